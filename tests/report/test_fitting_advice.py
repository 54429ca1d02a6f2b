"""No remedy recommends what a network already has: all of them, on real runs of each kind."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import evenflow
from evenflow.faults import CAUSES, REGISTRY, View, drawn
from evenflow.report.network import network_of
from evenflow.report.sentences import remedies
from evenflow.schema import Finding, Run, Severity
from evenflow.treatments import of_run
from evenflow.treatments.ranking import courses
from evenflow.words import Network, advice


class Residual(nn.Module):
    def __init__(self, norm: bool = False) -> None:
        super().__init__()
        self.enter, self.head = nn.Linear(8, 16), nn.Linear(16, 3)
        self.blocks = nn.ModuleList(nn.Linear(16, 16) for _ in range(5))
        self.norms = nn.ModuleList(nn.LayerNorm(16) if norm else nn.Identity() for _ in range(5))

    def forward(self, x: Tensor) -> Tensor:
        h = self.enter(x)
        for block, norm in zip(self.blocks, self.norms, strict=True):
            h = h + torch.relu(block(norm(h)))
        return self.head(h)


class Last(nn.Module):
    """The last state of a recurrent layer."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x.view(-1, 8, 1))[0][:, -1])


class Cell(nn.Module):
    """A gated cell of one's own, or torch's, over time."""

    def __init__(self, cell: nn.Module | None = None) -> None:
        super().__init__()
        self.cell, self.head = cell, nn.Linear(16, 3)
        self.gate, self.new = nn.Linear(17, 16), nn.Linear(17, 16)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros(len(x), 16)
        c = h
        for t in range(8):
            if isinstance(self.cell, nn.LSTMCell):
                h, c = self.cell(x[:, t : t + 1], (h, c))
            elif self.cell is not None:
                h = self.cell(x[:, t : t + 1], h)
            else:
                both = torch.cat([x[:, t : t + 1], h], 1)
                z = torch.sigmoid(self.gate(both))
                h = (1 - z) * h + z * torch.tanh(self.new(both))
        return self.head(h)


def _stack(act: type[nn.Module], norm: type[nn.Module] | None = None, depth: int = 6) -> nn.Module:
    layers: list[nn.Module] = []
    for k in range(depth):
        layers.append(nn.Linear(8 if k == 0 else 16, 16))
        layers += [norm(16), act()] if norm is not None else [act()]  # type: ignore[call-arg]
    return nn.Sequential(*layers, nn.Linear(16, 3))


def _drawn_(net: nn.Module, start: Callable[[Tensor], object]) -> nn.Module:
    for p in net.parameters():
        if p.dim() > 1:
            start(p)
    return net


def _open_(net: Last) -> Last:
    with torch.no_grad():
        for name, p in net.layer.named_parameters():
            if name.startswith("bias_ih"):
                p[16:32] = 1.0
    return net


#: How a remedy reads that asks for it, as advice or as a treatment's text.
SKIPS = r"[Aa]dd (residual|skips)|skips that start|or add skips|x \+ alpha \* f"
BATCH = r"[Pp]ut (a )?BatchNorm|LSUV or BatchNorm|^norm=batch"
LAYER = r"[Aa]dd normalisation|^norm=layer"
GATED = r"\ban LSTM or GRU|gated cells|^recurrent=(lstm|gru)"
OPEN = r"forget-gate bias|an LSTM's forget|^recurrent=forget"
RELU = r"sides \(ReLU|->relu"
HE = r"He\b(?! initialisation alone)|^init=he"
TIME = r"[Tt]hrough time|recurrent weights|^recurrent="
ADAM = r"[Uu]se Adam|or use Adam|Adam or RMSprop"
MOMENTUM = r"[Aa]dd momentum"
DECAY = r"[Aa]dd weight decay|Weight decay \(L2\)"
SCALE = r"Standardise (each )?input"

Kind = tuple[Callable[[], nn.Module], str, tuple[str, ...]]
SGD, PLAIN = "sgd", ""
KINDS: dict[str, Kind] = {
    "residual": (Residual, SGD, (SKIPS, TIME, SCALE)),
    "residual with LayerNorm": (lambda: Residual(True), "adam", (SKIPS, LAYER, ADAM, TIME)),
    "BatchNorm, sigmoid": (lambda: _stack(nn.Sigmoid, nn.BatchNorm1d), SGD, (BATCH, TIME)),
    "BatchNorm, ReLU": (lambda: _stack(nn.ReLU, nn.BatchNorm1d), "adam", (BATCH, ADAM)),
    "LayerNorm": (lambda: _stack(nn.Tanh, nn.LayerNorm), SGD, (LAYER, TIME)),
    "He, ReLU": (lambda: _drawn_(_stack(nn.ReLU), nn.init.kaiming_normal_), SGD, (HE, RELU)),
    "He, uniform": (lambda: _drawn_(_stack(nn.ReLU), nn.init.kaiming_uniform_), SGD, (HE,)),
    "Adam": (lambda: _stack(nn.ReLU), "adam", (ADAM, RELU, TIME)),
    "momentum": (lambda: _stack(nn.Tanh), "momentum", (MOMENTUM, TIME)),
    "decay": (lambda: _stack(nn.Tanh), "decay", (DECAY, ADAM)),
    "LSTM": (lambda: Last(nn.LSTM(1, 16, batch_first=True)), "adam", (GATED, ADAM)),
    "open LSTM": (
        lambda: _open_(Last(nn.LSTM(1, 16, batch_first=True))), SGD, (GATED, OPEN.split("|^")[0]),
    ),
    "GRU": (lambda: Last(nn.GRU(1, 16, batch_first=True)), SGD, (GATED,)),
    "LSTMCell": (lambda: Cell(nn.LSTMCell(1, 16)), SGD, (GATED,)),
    "GRUCell": (lambda: Cell(nn.GRUCell(1, 16)), SGD, (GATED,)),
    "a gated cell of one's own": (Cell, SGD, (GATED,)),
}  # fmt: skip


def _run(path: Path, net: nn.Module, optimizer: str) -> Run:
    params = net.parameters()
    made = {
        "adam": lambda: torch.optim.Adam(params, lr=1e-3),
        "momentum": lambda: torch.optim.SGD(params, lr=1e-3, momentum=0.9),
        "decay": lambda: torch.optim.AdamW(params, lr=1e-3),
        SGD: lambda: torch.optim.SGD(params, lr=1e-3),
    }[optimizer]()
    with evenflow.watch(net, made, run=path, every=1):
        for _ in range(4):
            loss = F.cross_entropy(net(torch.randn(32, 8)), torch.randint(0, 3, (32,)))
            made.zero_grad()
            loss.backward()
            made.step()
    return evenflow.load(path)


def _finding(code: str, cause: str = "") -> Finding:
    return Finding(code, REGISTRY[code].name, Severity.error, (0,), 0, 3, {}, cause=cause)


def _all_findings() -> list[Finding]:
    return [
        _finding(code, cause)
        for code in REGISTRY
        for cause in ("", *CAUSES, *REGISTRY)
        if cause != code
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_recommended_that_is_there(kind: str, tmp_path: Path) -> None:
    make, optimizer, had = KINDS[kind]
    torch.manual_seed(0)
    run = _run(tmp_path / "run.evenflow", make(), optimizer)
    network = network_of(run)
    facts = replace(of_run(run), drawn=drawn(View(run)))
    for f in _all_findings():
        given, _ = courses([f], facts)
        texts = [*remedies(f, run, network), *(str(t) for c in given for t in c.treatments)]
        for pattern in had:
            told = [t for t in texts if re.search(pattern, t)]
            assert not told, (f.code, f.cause, pattern, told)


def test_the_patterns_know_what_is_recommended_to_others() -> None:
    """Each pattern is met by some remedy: a test that looks for nothing proves nothing."""
    told = {t for f in _all_findings() for t in advice(f)}
    for pattern in (SKIPS, BATCH, LAYER, GATED, OPEN, RELU, HE, TIME, ADAM, MOMENTUM, DECAY, SCALE):
        assert any(re.search(pattern, t) for t in told), pattern


def test_every_finding_still_has_a_remedy() -> None:
    """Whatever a network has, something is left to do."""
    everything = Network(30, frozenset(
        ("skips", "norm", "batch_norm", "relu", "recurrent", "gated", "forget-bias", "adaptive",
         "momentum", "decay", "he", "scaled")
    ))  # fmt: skip
    for code in REGISTRY:
        # weights that are too small or too large are none of a usual start's
        assert advice(_finding(code), everything) or code in ("EF601", "EF602"), code


def test_a_network_that_has_none_of_it_is_told_all(tmp_path: Path) -> None:
    torch.manual_seed(0)
    run = _run(tmp_path / "run.evenflow", _stack(nn.Sigmoid), SGD)
    told = " ".join(remedies(_finding("EF101"), run))
    assert re.search(SKIPS, told) and re.search(BATCH, told) and "LSUV" in told
    run = _run(tmp_path / "rnn.evenflow", Last(nn.RNN(1, 16, batch_first=True)), SGD)
    assert re.search(GATED, " ".join(remedies(_finding("EF101", "through-time"), run)))
