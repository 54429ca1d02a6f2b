"""EF804 on real recorded runs: softmaxes along the wrong axis, and practice that looks alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.schema import Finding, Severity

N, T, D = 16, 6, 8
Weigh = Callable[[Tensor], Tensor]


class Pool(nn.Module):
    """Attention over T steps: `weigh` makes weights of scores [N, T, 1]."""

    def __init__(self, weigh: Weigh, classes: int = 1, units: int = 1) -> None:
        super().__init__()
        self.embed, self.score = nn.Linear(D, 16), nn.Linear(16, units)
        self.weigh, self.head = weigh, nn.Linear(16, classes)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x).tanh()
        return self.head((self.weigh(self.score(h)) * h).sum(1))


class Additive(nn.Module):
    """Bahdanau's: a query against T keys; `dim` is the softmax's."""

    def __init__(self, dim: int, squeezed: bool) -> None:
        super().__init__()
        self.q, self.k, self.v = nn.Linear(D, 16), nn.Linear(D, 16), nn.Linear(16, 1, bias=False)
        self.head, self.dim, self.squeezed = nn.Linear(D, 1), dim, squeezed

    def forward(self, x: Tensor) -> Tensor:
        e = self.v(torch.tanh(self.q(x[:, -1:]) + self.k(x)))  # [N, T, 1]
        if self.squeezed:
            return self.head((torch.softmax(e.squeeze(-1), self.dim)[..., None] * x).sum(1))
        return self.head(torch.bmm(e.softmax(self.dim).transpose(1, 2), x)[:, 0])


class Dot(nn.Module):
    """The last step asks all T: scores [N, T, 1] of a product; `dim` is the softmax's."""

    def __init__(self, dim: int, product: bool) -> None:
        super().__init__()
        self.q, self.k, self.head = nn.Linear(D, 16), nn.Linear(D, 16), nn.Linear(D, 1)
        self.dim, self.product = dim, product

    def forward(self, x: Tensor) -> Tensor:
        scores = torch.bmm(self.k(x), self.q(x[:, -1]).unsqueeze(2))  # [N, T, 1]
        w = F.softmax(scores / 4, dim=self.dim)
        if self.product:
            return self.head(torch.bmm(w.transpose(1, 2), x)[:, 0])
        return self.head((w * x).sum(1))


class Cross(nn.Module):
    """T queries, and as many keys as the memory has."""

    def __init__(self, keys: int) -> None:
        super().__init__()
        self.q, self.k, self.v = nn.Linear(D, 16), nn.Linear(D, 16), nn.Linear(D, 16)
        self.head, self.keys = nn.Linear(16, 1), keys

    def forward(self, x: Tensor) -> Tensor:
        memory = x[:, : self.keys]
        scores = self.q(x) @ self.k(memory).transpose(1, 2) / 4
        return self.head((scores.softmax(-1) @ self.v(memory) + self.q(x)).mean(1))


class Slots(nn.Module):
    """Slots compete for inputs: a softmax over slots, weighted means over inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.slots = nn.Parameter(torch.randn(3, 16))
        self.k, self.head = nn.Linear(D, 16), nn.Linear(48, 1)

    def forward(self, x: Tensor) -> Tensor:
        k = self.k(x)
        w = torch.einsum("sd,ntd->nst", self.slots, k).softmax(1)
        return self.head((w / w.sum(-1, keepdim=True) @ k).flatten(1))


class Gate(nn.Module):
    """A mixture of experts, gated by a softmax along `dim`; `kept` samples for each expert."""

    def __init__(self, dim: int, experts: int = 3, kept: int = 0, both: bool = False) -> None:
        super().__init__()
        self.gate = nn.Linear(T * D, experts)
        self.experts = nn.ModuleList(nn.Linear(T * D, 16) for _ in range(experts))
        self.head, self.dim, self.kept, self.both = nn.Linear(16, 1), dim, kept, both

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        scores = self.gate(x)
        w = torch.softmax(scores, self.dim)
        if self.both:
            w = w * torch.softmax(scores, 1)
        if self.kept:
            w = w * (w >= w.topk(self.kept, 0).values[-1:])
        out = torch.stack([e(x).relu() for e in self.experts], 1)
        return self.head((w[..., None] * out).sum(1))


class Normal(nn.Module):
    """Features normalised along `dim` before the head."""

    def __init__(self, dim: int, width: int = 16) -> None:
        super().__init__()
        self.body, self.head, self.dim = nn.Linear(T * D, width), nn.Linear(width, 1), dim

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.normalize(self.body(x.flatten(1)), dim=self.dim))


class Cosine(nn.Module):
    """A cosine classifier: its weights are normalised along their first axis."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.weight = nn.Linear(T * D, N), nn.Parameter(torch.randn(N, 3))

    def forward(self, x: Tensor) -> Tensor:
        h = F.normalize(self.body(x.flatten(1)), dim=1)
        return 8 * h @ F.normalize(self.weight, dim=0)


class Single(nn.Module):
    """A multi-head attention whose memory is one token: so are the data."""

    def __init__(self) -> None:
        super().__init__()
        self.attend, self.head = nn.MultiheadAttention(D, 2, batch_first=True), nn.Linear(D, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head((x + self.attend(x, x[:, :1], x[:, :1])[0]).mean(1))


def regress(net: nn.Module, steps: int = 24, lengths: tuple[int, ...] = (T,)) -> None:
    """Squared errors against the step whose first feature is largest."""
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for i in range(steps):
        x = torch.randn(N, lengths[i % len(lengths)], D)
        y = x[..., 1].gather(1, x[..., 0].argmax(1, keepdim=True))
        optimizer.zero_grad()
        F.mse_loss(net(x), y).backward()
        optimizer.step()


def classify(
    net: nn.Module,
    last: Callable[[Tensor], Tensor] = lambda z: z,
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
) -> None:
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    for _ in range(24):
        x = torch.randn(N, T, D)
        y = x[:, 0, :3].argmax(1)
        optimizer.zero_grad()
        loss(last(net(x)), y).backward()
        optimizer.step()


def by_hand(net: nn.Module, dim: int) -> None:
    """A cross entropy without any loss function."""
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    for _ in range(24):
        x = torch.randn(N, T, D)
        y = F.one_hot(x[:, 0, :3].argmax(1), 3).float()
        optimizer.zero_grad()
        (-(torch.log_softmax(net(x), dim) * y).sum(1).mean()).backward()
        optimizer.step()


def time_first() -> None:
    """[T, N, D], a softmax over time, a target for each step: axis 0 is no batch."""
    body, score, head = nn.Linear(D, 16), nn.Linear(16, 3), nn.Linear(3 * 16, 1)
    net = nn.ModuleList([body, score, head])
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(24):
        x = torch.randn(T, N, D)
        h = body(x)
        w = torch.softmax(score(h), 0)
        context = torch.einsum("tnk,tnd->nkd", w, h).flatten(1)
        optimizer.zero_grad()
        F.mse_loss(head(context.expand(T, N, 48)), x[..., :1]).backward()
        optimizer.step()


def contrast(dim: int = 1) -> None:
    """Images and texts of a batch against each other, by a softmax along either axis."""
    a, b = nn.Linear(D, 16), nn.Linear(D, 16)
    net = nn.ModuleList([a, b])
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(24):
        x = torch.randn(N, D)
        z = F.normalize(a(x)) @ F.normalize(b(x + 0.1 * torch.randn(N, D))).T * 5
        loss = F.nll_loss(z.log_softmax(1), torch.arange(N))
        loss = loss + F.nll_loss(z.log_softmax(0).T, torch.arange(N))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def weighted() -> None:
    """Advantages weighted by a softmax over the batch: of the loss, not of what is predicted."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(T * D, 16), nn.ReLU(), nn.Linear(16, 4))
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(24):
        x = torch.randn(N, T, D)
        w = torch.softmax(x[:, :4, 0], dim=0)
        optimizer.zero_grad()
        (w * (net(x) - x[:, :4, 1]) ** 2).sum().backward()
        optimizer.step()


SICK: dict[str, tuple[Callable[[], None], str, str]] = {
    "function": (lambda: regress(Pool(lambda z: F.softmax(z, -1))), "one-value", "softmax"),
    "module": (lambda: regress(Pool(nn.Softmax(dim=2))), "one-value", "softmax"),
    "method": (lambda: regress(Pool(lambda z: z.softmax(-1))), "one-value", "softmax"),
    "by-hand": (
        lambda: by_hand(Pool(nn.Identity(), 3), 0),
        *("samples", "log_softmax"),
    ),
    "through-tanh": (
        lambda: regress(Pool(lambda z: torch.softmax(torch.tanh(z) / 2, 2))),
        *("one-value", "softmax"),
    ),
    "log": (lambda: regress(Pool(lambda z: z.log_softmax(-1).exp())), "one-value", "log_softmax"),
    "normalize": (
        lambda: regress(Pool(lambda z: F.normalize(z, dim=-1))),
        "one-value",
        "normalize",
    ),
    "gumbel": (
        lambda: regress(Pool(lambda z: F.gumbel_softmax(z, tau=1.0))),
        *("one-value", "gumbel_softmax"),
    ),
    "bahdanau": (lambda: regress(Additive(2, squeezed=False)), "one-value", "softmax"),
    "dot": (lambda: regress(Dot(2, product=False)), "one-value", "softmax"),
    "dot-product": (lambda: regress(Dot(-1, product=True)), "one-value", "softmax"),
    "one-expert": (lambda: regress(Gate(1, experts=1)), "one-value", "softmax"),
    "normalize-one": (lambda: regress(Normal(1, width=1)), "one-value", "normalize"),
    "over-the-batch": (
        lambda: classify(Pool(nn.Identity(), 3), lambda z: F.log_softmax(z, 0), F.nll_loss),
        *("samples", "log_softmax"),
    ),
    "attention-over-the-batch": (lambda: regress(Additive(0, squeezed=True)), "samples", "softmax"),
    "unsaid-over-the-batch": (
        lambda: regress(Pool(lambda z: F.softmax(z, dim=None, _stacklevel=3), units=16)),
        *("samples", "softmax"),
    ),
    "gate-over-the-batch": (lambda: regress(Gate(0)), "samples", "softmax"),
    "normalize-over-the-batch": (lambda: regress(Normal(0)), "samples", "normalize"),
}


def record(train: Callable[[], None], path: Path) -> list[Finding]:
    torch.manual_seed(0)
    with evenflow.watch(run=path, every=1):
        train()
    return evenflow.diagnose(path)


@pytest.mark.filterwarnings("ignore:Implicit dimension choice")
@pytest.mark.parametrize("kind", SICK)
def test_the_wrong_axis_is_the_root(kind: str, tmp_path: Path) -> None:
    train, cause, op = SICK[kind]
    found = record(train, tmp_path / "run.evenflow")
    f = found[0]
    assert (f.code, f.cause, f.severity) == ("EF804", cause, Severity.error)
    site = evenflow.load(tmp_path / "run.evenflow").sites[f.sites[0]]
    assert site.op == op
    assert f.evidence["along"] == (1 if cause == "one-value" else N)
    assert all("EF804" in [x.what for x in g.chain] for g in found if g.code == "EF104")


HEALTHY: dict[str, Callable[[], None]] = {
    "function": lambda: regress(Pool(lambda z: F.softmax(z, 1))),
    "by-hand": lambda: by_hand(Pool(nn.Identity(), 3), 1),
    "bahdanau": lambda: regress(Additive(1, squeezed=False)),
    "bahdanau-squeezed": lambda: regress(Additive(-1, squeezed=True)),
    "dot": lambda: regress(Dot(1, product=False)),
    "single-key": lambda: regress(Cross(1)),
    "single-token": lambda: regress(Single()),
    "keys": lambda: regress(Cross(3)),
    "one-step-now-and-then": lambda: regress(Pool(lambda z: F.softmax(z, 1)), lengths=(T, 1, 3)),
    "one-step-always": lambda: regress(Pool(lambda z: F.softmax(z, 1)), lengths=(1,)),
    "slots": lambda: regress(Slots()),
    "experts": lambda: regress(Gate(1)),
    "expert-choice": lambda: regress(Gate(0, kept=6)),
    "soft-choice": lambda: regress(Gate(0, both=True)),
    "normalize": lambda: regress(Normal(1)),
    "cosine": lambda: classify(Cosine()),
    "time-first": time_first,
    "contrast": contrast,
    "weighted": weighted,
}


@pytest.mark.parametrize("kind", HEALTHY)
def test_what_is_meant_is_no_fault(kind: str, tmp_path: Path) -> None:
    assert "EF804" not in {f.code for f in record(HEALTHY[kind], tmp_path / "run.evenflow")}


def test_a_softmax_of_one_output_stays_with_the_loss(tmp_path: Path) -> None:
    """What the loss is given is EF701's to judge."""

    def train() -> None:
        net = nn.Sequential(nn.Flatten(), nn.Linear(T * D, 1), nn.Softmax(dim=1))
        regress(net)

    found = record(train, tmp_path / "run.evenflow")
    assert found[0].code == "EF701" and "EF804" not in {f.code for f in found}
