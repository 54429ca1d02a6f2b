"""LSTM and GRU on the rows of digits and on text (report half)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from .case import Case, healthy, sick
from .data import Split, digits, shuffled, text
from .loop import accuracy, fit, fit_text, seed_all, text_score


class RowLSTM(nn.Module):
    """Fused LSTM or GRU over the eight rows; the last state decides."""

    def __init__(
        self, kind: str = "LSTM", hidden: int = 32, both: bool = False, first: bool = True
    ) -> None:
        super().__init__()
        self.rnn = getattr(nn, kind)(8, hidden, batch_first=first, bidirectional=both)
        self.head = nn.Linear(hidden * (2 if both else 1), 10)

    def forward(self, x: Tensor) -> Tensor:
        h = self.rnn(x.view(len(x), 8, 8))[0]
        out: Tensor = self.head(h[:, -1])
        return out


class AskedLSTM(nn.Module):
    """LSTM outputs of the eight rows, weighed by what the last asks: a softmax along `dim`."""

    def __init__(self, dim: int, hidden: int = 32) -> None:
        super().__init__()
        self.rnn = nn.LSTM(8, hidden, batch_first=True)
        self.ask, self.head, self.dim = nn.Linear(hidden, hidden), nn.Linear(hidden, 10), dim

    def forward(self, x: Tensor) -> Tensor:
        h = self.rnn(x.view(len(x), 8, 8))[0]
        scores = (h @ self.ask(h[:, -1]).unsqueeze(2)).squeeze(2) / h.shape[2] ** 0.5
        out: Tensor = self.head((torch.softmax(scores, self.dim)[..., None] * h).sum(1))
        return out


class PixelGRU(nn.Module):
    """A GRU cell called once for each of `pieces` pieces of the digit."""

    def __init__(self, pieces: int = 16, hidden: int = 32) -> None:
        super().__init__()
        self.pieces = pieces
        self.cell = nn.GRUCell(64 // pieces, hidden)
        self.head = nn.Linear(hidden, 10)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros(len(x), self.cell.hidden_size)
        for part in x.view(len(x), self.pieces, -1).unbind(1):
            h = self.cell(part, h)
        out: Tensor = self.head(h)
        return out


class CharLSTM(nn.Module):
    """Embedding, fused LSTM or GRU, head: next-character prediction."""

    def __init__(self, size: int, kind: str = "LSTM", layers: int = 1) -> None:
        super().__init__()
        self.embed = nn.Embedding(size, 16)
        self.rnn = getattr(nn, kind)(16, 64, layers, batch_first=True)
        self.head = nn.Linear(64, size)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.rnn(self.embed(x))[0])
        return out


def dropped(d: Split) -> Split:
    """Lost pixels are NaN in one image of forty."""
    x = d.x.clone()
    x[::40, 20] = torch.nan
    return d._replace(x=x)


def train_rows(
    seed: int,
    *,
    model: Callable[[], nn.Module] = RowLSTM,
    optimizer: str = "Adam",
    lr: float = 5e-3,
    decay: float = 1.0,
    steps: int = 200,
    change: Callable[[Split], Split] | None = None,
    clip: float | None = 1.0,
    **settings: float,
) -> float:
    """A gated network on digits; held-out accuracy."""
    seed_all(seed)
    data = digits("unit")
    if change is not None:
        data = change(data)
    net = model()
    opt = getattr(torch.optim, optimizer)(net.parameters(), lr, **settings)
    schedule = torch.optim.lr_scheduler.ExponentialLR(opt, decay)
    fit(net, opt, data, steps=steps, clip=clip, schedule=schedule)
    return accuracy(net, data.x_test, data.y_test)


def train_text(
    seed: int,
    *,
    kind: str = "LSTM",
    layers: int = 1,
    optimizer: str = "Adam",
    lr: float = 5e-3,
    clip: float | None = 1.0,
    steps: int = 150,
    frozen_embedding: float | None = None,
) -> float:
    """Character model of the licence; minus the held-out loss.

    `frozen_embedding` is a learning rate for the embedding alone.
    """
    seed_all(seed)
    data = text()
    model = CharLSTM(data.size, kind, layers)
    groups: list[dict[str, object]] = [
        {"params": [*model.rnn.parameters(), *model.head.parameters()]}
    ]
    embedding: dict[str, object] = {"params": model.embed.parameters()}
    if frozen_embedding is not None:
        embedding["lr"] = frozen_embedding
    opt = getattr(torch.optim, optimizer)([embedding, *groups], lr)
    fit_text(model, opt, data, steps=steps, clip=clip)
    return text_score(model, data)


_sick, _healthy = partial(sick, "gated"), partial(healthy, "gated")

CASES: tuple[Case, ...] = (
    _sick(
        "shuffled-labels",
        "inputs and labels shuffled apart",
        partial(train_rows, change=shuffled, lr=1e-3),
        0.5,
        twin="lstm",
        expect="401",
        allow="404",
    ),
    _sick(
        "softmax-of-samples",
        "attention over the rows whose softmax goes along the samples of the batch",
        partial(train_rows, model=partial(AskedLSTM, 0), lr=2e-3),
        0.5,
        twin="asked",
        expect="804",
        allow="205 301 401 404",
        where="softmax",
    ),
    _healthy("asked", "attention over rows", partial(train_rows, model=partial(AskedLSTM, 1)), 0.7),
    _sick(
        "batch-first-forgotten",
        "an LSTM without batch_first takes the digits for steps in time",
        partial(train_rows, model=partial(RowLSTM, first=False)),
        0.7,
        twin="lstm",
        expect="808",
        allow="401 404",
        where="rnn",
    ),
    _healthy("lstm", "fused LSTM over rows", partial(train_rows), 0.8),
    _sick(
        "rate-decay",
        "the rate decays by .8 at every batch instead of every epoch",
        partial(train_rows, model=partial(RowLSTM, "GRU"), decay=0.8),
        0.7,
        twin="gru",
        expect="401",
        allow="404 301",
    ),
    _healthy("gru", "fused GRU over rows", partial(train_rows, model=partial(RowLSTM, "GRU")), 0.8),
    _sick(
        "slow",
        "plain SGD with a rate of 1e-5",
        partial(train_text, optimizer="SGD", lr=1e-5),
        -3.0,
        twin="text-sgd",
        expect="404",
        allow="301 401",
    ),
    _healthy(
        "text-sgd",
        "character model, GRU, plain SGD, clipping",
        partial(train_text, kind="GRU", optimizer="SGD", lr=2.0),
        -2.9,
    ),
    _sick(
        "lost-pixels",
        "lost pixels are NaN",
        partial(train_rows, change=dropped, clip=None),
        0.5,
        twin="lstm",
        expect="503",
        allow="103 401 402",
        where="input",
    ),
    _sick(
        "text-rate",
        "character model, Adam with a rate of 1",
        partial(train_text, lr=1.0, clip=None),
        -2.6,
        twin="text",
        expect="703",
        allow="101 102 104 201 203 205 206 302 401 402 403",
    ),
    _healthy("text", "character model, LSTM, clipping", partial(train_text), -2.6),
    _healthy(
        "text-deep",
        "character model, two GRU layers, AdamW",
        partial(train_text, kind="GRU", layers=2, optimizer="AdamW"),
        -2.6,
    ),
    _healthy("cell", "GRU cell called 16 times", partial(train_rows, model=PixelGRU), 0.7),
    _healthy(
        "both-ways",
        "bidirectional LSTM, RMSprop",
        partial(train_rows, model=partial(RowLSTM, both=True), optimizer="RMSprop", lr=2e-3),
        0.8,
    ),
)
