"""Plain recurrent networks, unrolled by hand and fused (calibration half)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, healthy, sick
from .data import digits, text
from .loop import accuracy, fit, fit_text, seed_all, text_score, written_score


def softmax_then_nll(out: Tensor, y: Tensor) -> Tensor:
    """The mistake: nll_loss wants log-probabilities, and gets probabilities."""
    return F.nll_loss(out.softmax(-1), y)


class Elman(nn.Module):
    """h = f(W x + U h), written out step by step; the digit arrives in `pieces` pieces."""

    def __init__(
        self, pieces: int, act: Callable[[Tensor], Tensor], gain: float, hidden: int = 32
    ) -> None:
        super().__init__()
        self.pieces = pieces
        self.act = act
        self.inp = nn.Linear(64 // pieces, hidden)
        self.rec = nn.Linear(hidden, hidden, bias=False)
        self.head = nn.Linear(hidden, 10)
        nn.init.orthogonal_(self.rec.weight, gain)

    def forward(self, x: Tensor) -> Tensor:
        parts = x.view(len(x), self.pieces, -1)
        h = torch.zeros(len(x), self.rec.in_features)
        for t in range(self.pieces):
            h = self.act(self.inp(parts[:, t]) + self.rec(h))
        out: Tensor = self.head(h)
        return out


class CharRNN(nn.Module):
    """Embedding, fused `nn.RNN`, head: next-character prediction."""

    def __init__(self, size: int, hidden: int = 64, both: bool = False) -> None:
        super().__init__()
        self.embed = nn.Embedding(size, 16)
        self.rnn = nn.RNN(16, hidden, batch_first=True, bidirectional=both)
        self.head = nn.Linear(hidden * (2 if both else 1), size)

    def forward(self, x: Tensor) -> Tensor:
        h, _ = self.rnn(self.embed(x))
        out: Tensor = self.head(h)
        return out


class RowsFirst(nn.Module):
    """The same with time first: by a transpose, or (`dealt`) by a view that mixes the digits up."""

    def __init__(self, dealt: bool) -> None:
        super().__init__()
        self.rnn, self.head, self.dealt = nn.RNN(8, 48), nn.Linear(48, 10), dealt

    def forward(self, x: Tensor) -> Tensor:
        rows = x.view(8, len(x), 8) if self.dealt else x.view(len(x), 8, 8).transpose(0, 1)
        out: Tensor = self.head(self.rnn(rows)[0][-1])
        return out


class RowRNN(nn.Module):
    """Fused `nn.RNN` over the rows of the digit; the last state decides."""

    def __init__(self, layers: int = 1) -> None:
        super().__init__()
        self.rnn = nn.RNN(8, 48, layers, batch_first=True)
        self.head = nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        h, _ = self.rnn(x.view(len(x), 8, 8))
        out: Tensor = self.head(h[:, -1])
        return out


def train_elman(
    seed: int,
    *,
    pieces: int = 32,
    act: Callable[[Tensor], Tensor] = torch.tanh,
    gain: float = 1.0,
    lr: float = 1e-3,
    steps: int = 300,
    clip: float | None = 1.0,
) -> float:
    """Unrolled network on digits; held-out accuracy."""
    seed_all(seed)
    data = digits()
    model = Elman(pieces, act, gain)
    fit(model, torch.optim.Adam(model.parameters(), lr), data, steps=steps, clip=clip)
    return accuracy(model, data.x_test, data.y_test)


def train_text(
    seed: int,
    *,
    lr: float = 3e-3,
    optimizer: str = "Adam",
    clip: float | None = 1.0,
    steps: int = 200,
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
) -> float:
    """Character model of the licence; minus the held-out loss."""
    seed_all(seed)
    data = text()
    model = CharRNN(data.size)
    opt = getattr(torch.optim, optimizer)(model.parameters(), lr)
    fit_text(model, opt, data, steps=steps, clip=clip, loss=loss)
    return text_score(model, data)


def train_writer(seed: int, *, both: bool, steps: int = 200) -> float:
    """Character model of the licence; minus the held-out loss of the next one, as it writes."""
    seed_all(seed)
    data = text()
    model = CharRNN(data.size, both=both)
    fit_text(model, torch.optim.Adam(model.parameters(), 3e-3), data, steps=steps, clip=1.0)
    return written_score(model, data)


def train_first(seed: int, *, dealt: bool, steps: int = 200) -> float:
    """Fused network over rows, time first; held-out accuracy."""
    seed_all(seed)
    data = digits()
    model = RowsFirst(dealt)
    fit(model, torch.optim.Adam(model.parameters(), 2e-3), data, steps=steps, clip=1.0)
    return accuracy(model, data.x_test, data.y_test)


def train_rows(seed: int, *, layers: int = 1, lr: float = 2e-3, steps: int = 200) -> float:
    """Fused network over rows; held-out accuracy."""
    seed_all(seed)
    data = digits("unit")
    model = RowRNN(layers)
    fit(model, torch.optim.Adam(model.parameters(), lr), data, steps=steps, clip=1.0)
    return accuracy(model, data.x_test, data.y_test)


_LOOP = r"Elman(\.inp|\.rec| tanh| relu| add)"
_sick, _healthy = partial(sick, "rnn"), partial(healthy, "rnn")

CASES: tuple[Case, ...] = (
    _sick(
        "forgets",
        "32 steps of tanh, recurrent weights of gain .05, one loss at the end",
        partial(train_elman, gain=0.05),
        0.62,
        twin="remembers",
        expect="101",
        allow="205 401 404",
        where=_LOOP,
    ),
    _healthy(
        "remembers", "32 steps of tanh, orthogonal recurrence", partial(train_elman, gain=1.0), 0.64
    ),
    _sick(
        "explodes",
        "32 steps of ReLU, recurrent weights of gain 2.5, no clipping",
        partial(train_elman, act=torch.relu, gain=2.5, clip=None),
        0.5,
        twin="identity",
        expect="102",
        allow="206 302 402 403 703 202 205 401 103",
        where=_LOOP,
    ),
    _healthy(
        "identity",
        "32 steps of ReLU, orthogonal recurrence",
        partial(train_elman, act=torch.relu, gain=1.0),
        0.5,
    ),
    _sick(
        "text-rate",
        "character model, Adam with a rate of .5",
        partial(train_text, lr=0.5, clip=None),
        -2.6,
        twin="text",
        expect="703",
        allow="302 402 403 201 203 206 102 401 204 205 101 104",
    ),
    _sick(
        "text-probabilities",
        "character model, softmax before nll_loss",
        partial(train_text, loss=softmax_then_nll),
        -2.6,
        twin="text",
        expect="701",
        allow="401 404 102 206 201",
        where=r"nll_loss|softmax|head",
    ),
    _sick(
        "text-logits",
        "character model, logits into nll_loss",
        partial(train_text, loss=F.nll_loss),
        -2.6,
        twin="text",
        expect="701",
        allow="102 201 203 206 302 402 703",
        where=r"nll_loss|head",
    ),
    _healthy("text", "character model, fused RNN, clipping", partial(train_text), -2.5),
    _sick(
        "text-slow",
        "character model, plain SGD with a rate of 1e-5",
        partial(train_text, lr=1e-5, optimizer="SGD"),
        -3.0,
        twin="text-sgd",
        expect="404",
        allow="301 401",
    ),
    _healthy(
        "text-sgd",
        "character model, plain SGD, clipping",
        partial(train_text, lr=1.0, optimizer="SGD"),
        -2.9,
    ),
    _sick(
        "rows-dealt",
        "the rows are put first by a view in place of a transpose",
        partial(train_first, dealt=True),
        0.5,
        twin="rows-first",
        expect="808",
        allow="401 404",
        where="input",
    ),
    _healthy("rows-first", "rows first, by a transpose", partial(train_first, dealt=False), 0.8),
    _sick(
        "both-ways",
        "a character model that reads its text both ways",
        partial(train_writer, both=True),
        -2.1,
        twin="one-way",
        expect="809",
        allow="",
        where="rnn",
    ),
    _healthy(
        "one-way", "a character model, as it writes", partial(train_writer, both=False), -2.05
    ),
    _healthy("rows", "fused RNN over 8 rows", partial(train_rows), 0.8),
    _healthy("rows-deep", "two fused RNN layers over 8 rows", partial(train_rows, layers=2), 0.8),
)
