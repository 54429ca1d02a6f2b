"""EF808 and EF809 on real recorded runs: samples mixed, the future read, and what looks alike."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.schema import Finding, Severity

N, T, D, V = 12, 6, 8, 11
Batch = Callable[[], tuple[Any, Tensor]]


def record(train: Callable[[], None], path: Path) -> list[Finding]:
    torch.manual_seed(0)
    with evenflow.watch(run=path):
        train()
    return evenflow.diagnose(path)


def fit(net: nn.Module, batch: Batch, loss: Any = F.mse_loss, steps: int = 6) -> None:
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(steps):
        x, y = batch()
        optimizer.zero_grad()
        loss(net(x), y).backward()
        optimizer.step()


def series() -> tuple[Tensor, Tensor]:
    x = torch.randn(N, T, D)
    return x, x[:, -1, :1]


def labels() -> tuple[Tensor, Tensor]:
    x = torch.randn(N, T, D)
    return x, x[:, 0, :3].argmax(1)


# -- samples ----------------------------------------------------------------------------------
class Recurrent(nn.Module):
    """A recurrent layer; `last` makes features [N, ..] of what it puts out."""

    def __init__(self, last: Callable[[Any], Tensor], width: int = 16, **how: Any) -> None:
        super().__init__()
        self.rnn, self.head, self.last = nn.LSTM(D, 16, **how), nn.Linear(width, 1), last

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.last(self.rnn(x)))


class Viewed(nn.Module):
    """Samples first in, time first inside: by `turn`."""

    def __init__(self, turn: Callable[[Tensor], Tensor], kind: str = "GRU") -> None:
        super().__init__()
        self.rnn, self.head, self.turn = getattr(nn, kind)(D, 16), nn.Linear(16, 1), turn

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(self.turn(x))[0][-1])


class Attending(nn.Module):
    def __init__(self, first: bool, stock: bool = False, back: str = "") -> None:
        super().__init__()
        self.body: Any = (
            nn.TransformerEncoder(
                nn.TransformerEncoderLayer(D, 2, 16, batch_first=first), 2, None, False
            )
            if stock
            else nn.MultiheadAttention(D, 2, batch_first=first)
        )
        self.head, self.stock = nn.Linear(D, 3), stock

    def forward(self, x: Tensor) -> Tensor:
        h = self.body(x) if self.stock else x + self.body(x, x, x, need_weights=False)[0]
        return self.head(h.mean(1))


class Flattened(nn.Module):
    """Time first inside; flattened to [N, T * H] by a view, or by a transpose before it."""

    def __init__(self, right: bool) -> None:
        super().__init__()
        self.rnn, self.head, self.right = nn.GRU(D, 4), nn.Linear(T * 4, 1), right

    def forward(self, x: Tensor) -> Tensor:
        h = self.rnn(x.transpose(0, 1))[0]
        h = h.transpose(0, 1) if self.right else h
        return self.head(h.reshape(x.shape[0], -1))


class Words(nn.Module):
    """Word indices [N, T], an LSTM, a class."""

    def __init__(self, first: bool) -> None:
        super().__init__()
        self.embed, self.rnn = nn.Embedding(V, D), nn.LSTM(D, 16, batch_first=first)
        self.drop, self.head = nn.Dropout(0.5), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.drop(self.rnn(self.embed(x))[0][:, -1]))


def words() -> tuple[Tensor, Tensor]:
    x = torch.randint(V, (N, T))
    return x, x[:, 0] % 3


def both_ends(right: bool) -> Callable[[Any], Tensor]:
    def last(made: Any) -> Tensor:
        h = made[1][0]  # [2, N, H]
        return (h.transpose(0, 1) if right else h).reshape(N, -1)

    return last


SICK: dict[str, tuple[Callable[[], None], str]] = {
    "lstm": (lambda: fit(Recurrent(lambda m: m[0][:, -1]), series), "time-first"),
    "words": (lambda: fit(Words(False), words, F.cross_entropy), "time-first"),
    "attention": (lambda: fit(Attending(False), labels, F.cross_entropy), "time-first"),
    "encoder": (
        lambda: fit(Attending(False, stock=True), labels, F.cross_entropy),
        "time-first",
    ),
    "view": (lambda: fit(Viewed(lambda x: x.view(T, N, D)), series), "view-for-transpose"),
    "reshape": (
        lambda: fit(Viewed(lambda x: x.reshape(T, -1, D), "RNN"), series),
        "view-for-transpose",
    ),
    "flattened": (lambda: fit(Flattened(False), series), "view-for-transpose"),
    "both-ends": (
        lambda: fit(Recurrent(both_ends(False), 32, batch_first=True, bidirectional=True), series),
        "view-for-transpose",
    ),
    "by-hand": (
        lambda: fit(Viewed(lambda x: x.view(T, N, D)), series, lambda p, y: ((p - y) ** 2).mean()),
        "view-for-transpose",
    ),
    "accumulated": (lambda: accumulated(Viewed(lambda x: x.view(T, N, D))), "view-for-transpose"),
    "bfloat16": (lambda: half(Viewed(lambda x: x.view(T, N, D))), "view-for-transpose"),
}


def accumulated(net: nn.Module) -> None:
    optimizer = torch.optim.SGD(net.parameters(), 1e-2)
    for _ in range(4):
        optimizer.zero_grad()
        for _ in range(3):
            x, y = series()
            (nn.MSELoss()(net(x), y) / 3).backward()
        optimizer.step()


def half(net: nn.Module) -> None:
    optimizer = torch.optim.AdamW(net.parameters(), 1e-2)
    for _ in range(4):
        x, y = series()
        with torch.autocast("cpu", torch.bfloat16):
            loss = F.mse_loss(net(x).float(), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize("kind", SICK)
def test_mixed_samples_are_the_root(kind: str, tmp_path: Path) -> None:
    train, cause = SICK[kind]
    found = record(train, tmp_path / "run.evenflow")
    assert found and (found[0].code, found[0].cause) == ("EF808", cause)
    assert found[0].severity is Severity.error and 0 < found[0].evidence["mixed"] <= 1


class Norms(nn.Module):
    """All that takes statistics of a batch, by layers and by hand; dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm, self.drop = nn.Linear(T * D, 16), nn.BatchNorm1d(16), nn.Dropout(0.3)
        self.head = nn.Linear(17, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.drop(self.norm(self.a(x.flatten(1))).relu())
        h = (h - h.mean(0)) / (h.std(0) + 1e-3)
        spread = h.var(0).mean().expand(len(h), 1)  # a discriminator's: how alike the batch is
        return self.head(torch.cat([h, spread], 1))


class Graph(nn.Module):
    """Nodes that read their neighbours: by a matrix, by indices, by attention among all."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.a, self.b, self.how = nn.Linear(T * D, 16), nn.Linear(16, 1), how

    def forward(self, x: Tensor) -> Tensor:
        h, n = self.a(x.flatten(1)).relu(), len(x)
        if self.how == "matrix":
            h = (torch.rand(n, n) < 0.3).float() @ h
        elif self.how == "sparse":
            h = torch.sparse.mm((torch.rand(n, n) < 0.3).float().to_sparse(), h)
        elif self.how == "indices":
            edges = torch.randint(n, (2, 40))
            h = torch.zeros_like(h).index_add(0, edges[1], h[edges[0]])
        elif self.how == "attention":
            h = (h @ h.T).softmax(1) @ h
        elif self.how == "gates":
            pairs = torch.cat([h[:, None].expand(n, n, 16), h[None].expand(n, n, 16)], -1)
            h = pairs.mean(-1).masked_fill(torch.rand(n, n) < 0.3, -1e9).softmax(1) @ h
        elif self.how == "mixed-up":
            h = 0.7 * h + 0.3 * h[torch.randperm(n)]
        return self.b(h)


class Sets(nn.Module):
    """Attention among the elements of each sample's set."""

    def __init__(self) -> None:
        super().__init__()
        self.attend, self.head = nn.MultiheadAttention(D, 2, batch_first=True), nn.Linear(D, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.attend(x, x, x)[0].amax(1))


class Document(nn.Module):
    """Sentences of one document, each with a label: a recurrence over the sentences."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.rnn = nn.Embedding(V, D), nn.LSTM(D, 16, batch_first=True)
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(self.embed(x).mean(1)[None])[0][0])


class Rollout(nn.Module):
    """[T * N, ..] of an agent, a recurrence over T."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.rnn, self.head = nn.Linear(D, 16), nn.GRU(16, 16), nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x[:, 0]).view(3, N // 3, 16)
        return self.head(self.rnn(h)[0].reshape(N, 16))


class Tagger(nn.Module):
    """Time first, a tag for each step; both ways."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.rnn = nn.Embedding(V, D), nn.LSTM(D, 16, bidirectional=True)
        self.head = nn.Linear(32, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(self.embed(x))[0])


def tags() -> tuple[Tensor, Tensor]:
    x = torch.randint(V, (T, N))
    return x, x % 3


def contrast() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(T * D, 16))
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(6):
        x = torch.randn(N, T, D)
        a, b = F.normalize(net(x)), F.normalize(net(x + 0.1 * torch.randn_like(x)))
        optimizer.zero_grad()
        F.cross_entropy(a @ b.T * 5, torch.arange(N)).backward()
        optimizer.step()


def penalty() -> None:
    """A gradient penalty: a graph that differentiates within its forward."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(T * D, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(6):
        x = torch.randn(N, T, D, requires_grad=True)
        out = net(x)
        (grad,) = torch.autograd.grad(out.sum(), x, create_graph=True)
        optimizer.zero_grad()
        (
            F.mse_loss(out, x[:, 0, :1].detach()) + (grad.flatten(1).norm(dim=1) - 1).pow(2).mean()
        ).backward()
        optimizer.step()


def own_tags(net: nn.Module) -> None:
    fit(net, tags, lambda p, y: F.cross_entropy(p.flatten(0, 1), y.flatten()))


HEALTHY: dict[str, Callable[[], None]] = {
    "lstm": lambda: fit(Recurrent(lambda m: m[0][:, -1], batch_first=True), series),
    "words": lambda: fit(Words(True), words, F.cross_entropy),
    "attention": lambda: fit(Attending(True), labels, F.cross_entropy),
    "encoder": lambda: fit(Attending(True, stock=True), labels, F.cross_entropy),
    "transpose": lambda: fit(Viewed(lambda x: x.transpose(0, 1)), series),
    "flattened": lambda: fit(Flattened(True), series),
    "both-ends": lambda: fit(
        Recurrent(both_ends(True), 32, batch_first=True, bidirectional=True), series
    ),
    "norms": lambda: fit(Norms(), series),
    **{f"graph-{how}": partial(lambda how: fit(Graph(how), series), how) for how in (
        "matrix", "sparse", "indices", "attention", "gates", "mixed-up"
    )},
    "sets": lambda: fit(Sets(), series),
    "document": lambda: fit(Document(), words, F.cross_entropy),
    "rollout": lambda: fit(Rollout(), series),
    "time-first": lambda: own_tags(Tagger()),
    "contrast": contrast,
    "penalty": penalty,
}  # fmt: skip


@pytest.mark.parametrize("kind", HEALTHY)
def test_what_is_meant_or_apart_is_not_told(kind: str, tmp_path: Path) -> None:
    found = {f.code for f in record(HEALTHY[kind], tmp_path / "run.evenflow")}
    assert not {"EF808", "EF809"} & found


# -- time -------------------------------------------------------------------------------------
class Attention(nn.Module):
    """Attention by hand over [N, T, D]; how later keys are masked."""

    def __init__(self, mask: str) -> None:
        super().__init__()
        self.qkv, self.out, self.mask = nn.Linear(D, 3 * D), nn.Linear(D, D), mask
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        t = x.shape[1]
        seen = torch.ones(t, t, dtype=torch.bool).tril()
        if self.mask == "fused":
            return self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True))
        if self.mask == "fused-none":
            return self.out(F.scaled_dot_product_attention(q, k, v))
        z = q @ k.transpose(1, 2) / D**0.5
        if self.mask == "inf":
            z = z.masked_fill(~seen, -torch.inf)
        elif self.mask == "large":
            z = z + (~seen) * -1e9
        elif self.mask == "inverted":
            z = z.masked_fill(seen & ~torch.eye(t, dtype=torch.bool), -torch.inf)
        elif self.mask == "one-too-far":
            z = z.masked_fill(~torch.ones(t, t, dtype=torch.bool).tril(1), -torch.inf)
        w = z.softmax(-1)
        if self.mask == "late":
            w = w * seen
        return self.out(w @ v)


class Language(nn.Module):
    """A language model over `mix`; head tied to nothing."""

    def __init__(self, mix: nn.Module, wide: int = D) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(V, D), nn.Embedding(T, D)
        self.mix, self.norm, self.head = mix, nn.LayerNorm(wide), nn.Linear(wide, V)
        nn.init.zeros_(self.head.weight)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x) + self.place(torch.arange(x.shape[1]))
        m = self.mix(h)
        m = m[0] if isinstance(m, tuple) else m
        return self.head(self.norm(m + h if m.shape == h.shape else m))


class Conv(nn.Module):
    def __init__(self, causal: bool) -> None:
        super().__init__()
        self.conv, self.causal = nn.Conv1d(D, D, 3, padding=0 if causal else 1), causal

    def forward(self, x: Tensor) -> Tensor:
        h = x.transpose(1, 2)
        return self.conv(F.pad(h, (2, 0)) if self.causal else h).relu().transpose(1, 2)


class Stock(nn.Module):
    """torch's encoder as a decoder, masked or not."""

    def __init__(self, masked: bool) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(D, 2, 16, batch_first=True)
        self.body, self.masked = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), masked

    def forward(self, x: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        return self.body(x, mask=mask if self.masked else None)


def text(shift: int = 1) -> tuple[Tensor, Tensor]:
    ids = torch.randint(V, (N, T + 1))
    return ids[:, :-1], ids[:, 1:] if shift else ids[:, :-1]


def told(logits: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), y.flatten())


class Within(nn.Module):
    """The loss within the model, shifted there, as Hugging Face has it."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return told(self.net(x)[:, :-1], x[:, 1:])


class Forecast(nn.Module):
    """A series [N, T, 3]: the next value of each."""

    def __init__(self, both: bool) -> None:
        super().__init__()
        self.rnn = nn.GRU(3, 16, batch_first=True, bidirectional=both)
        self.head = nn.Linear(32 if both else 16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0])


class Sentence(nn.Module):
    """An autoencoder: one code of the whole text, and each word out of it and those before."""

    def __init__(self, pooled: bool) -> None:
        super().__init__()
        self.words, self.pooled = nn.Embedding(V, D), pooled
        self.read, self.write = LSTM(), nn.GRU(D + 16, 16, batch_first=True)
        self.head = nn.Linear(16, V)

    def forward(self, x: Tensor) -> Tensor:
        y = self.words(x)
        states, (last, _) = self.read(y)
        code = states.mean(1) if self.pooled else last[0]
        each = code[:, None].expand(-1, x.shape[1], -1)
        return self.head(self.write(torch.cat([y, each], -1))[0])


def waves() -> tuple[Tensor, Tensor]:
    x = torch.randn(N, T + 1, 3).cumsum(1)
    return x[:, :-1], x[:, 1:]


def language(mix: nn.Module, loss: Any = told, wide: int = D, data: Batch = text) -> None:
    fit(Language(mix, wide), data, loss)


LSTM = partial(nn.LSTM, D, 16, batch_first=True)
LEAKS: dict[str, Callable[[], None]] = {
    "no-mask": lambda: language(Attention("none")),
    "fused": lambda: language(Attention("fused-none")),
    "inverted": lambda: language(Attention("inverted")),
    "one-too-far": lambda: language(Attention("one-too-far")),
    "late": lambda: language(Attention("late")),
    "stock": lambda: language(Stock(False)),
    "both-ways": lambda: language(LSTM(bidirectional=True), wide=32),
    "convolution": lambda: language(Conv(False)),
    "classes-second": lambda: language(
        Attention("none"), lambda p, y: F.cross_entropy(p.transpose(1, 2), y)
    ),
    "within": lambda: within("none"),
    "forecast": lambda: fit(Forecast(True), waves),
}


def within(mask: str) -> None:
    net = Within(Language(Attention(mask)))
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(6):
        optimizer.zero_grad()
        net(text()[0]).backward()
        optimizer.step()


@pytest.mark.parametrize("kind", LEAKS)
def test_a_future_that_is_read_is_the_root(kind: str, tmp_path: Path) -> None:
    found = record(LEAKS[kind], tmp_path / "run.evenflow")
    assert found and found[0].code == "EF809"
    assert found[0].severity is Severity.error and 0 < found[0].evidence["ahead"] <= 1


CAUSAL: dict[str, Callable[[], None]] = {
    "inf": lambda: language(Attention("inf")),
    "large": lambda: language(Attention("large")),
    "fused": lambda: language(Attention("fused")),
    "stock": lambda: language(Stock(True)),
    "one-way": lambda: language(LSTM(), wide=16),
    "convolution": lambda: language(Conv(True)),
    "within": lambda: within("inf"),
    "forecast": lambda: fit(Forecast(False), waves),
    "autoencoder": lambda: fit(Sentence(False), text, told),
    "autoencoder-pooled": lambda: fit(Sentence(True), text, told),
    "words-given-back": lambda: language(Attention("none"), data=lambda: text(0)),
    "masked-words": lambda: language(Attention("none"), data=masked),
    "tags": lambda: language(Attention("none"), data=lambda: (text()[0], torch.randint(V, (N, T)))),
}


def masked() -> tuple[Tensor, Tensor]:
    """A denoising encoder: words left out are to be found, all others are no target."""
    y = torch.randint(V - 1, (N, T))
    out = torch.rand(N, T) < 0.3
    return y.masked_fill(out, V - 1), y.masked_fill(~out, -100)


@pytest.mark.parametrize("kind", CAUSAL)
def test_what_looks_back_or_may_look_ahead_is_not_told(kind: str, tmp_path: Path) -> None:
    assert not {"EF808", "EF809"} & {
        f.code for f in record(CAUSAL[kind], tmp_path / "run.evenflow")
    }
