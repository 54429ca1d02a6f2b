"""Weights are too large or too small at the start only against usual starts; trained for real."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import evenflow
from evenflow.faults.start import excess
from evenflow.faults.view import View
from evenflow.schema import Channel, Finding, Run


def _plain(depth: int, act: type[nn.Module], width: int = 32, norm: bool = False) -> nn.Sequential:
    layers: list[nn.Module] = []
    for k in range(depth):
        layers.append(nn.Linear(16 if k == 0 else width, width))
        layers += [nn.BatchNorm1d(width)] if norm else []
        layers.append(act())
    return nn.Sequential(*layers, nn.Linear(width, 4))


def _times_(net: nn.Module, factor: float) -> nn.Module:
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(factor if p.dim() > 1 else 1.0)
    return net


def _he_(net: nn.Module) -> nn.Module:
    for p in net.parameters():
        if p.dim() > 1:
            nn.init.kaiming_normal_(p)
    return net


def _train(
    path: Path, net: nn.Module, rate: float, steps: int = 60, sgd: bool = True
) -> dict[str, Finding]:
    optimizer = (torch.optim.SGD if sgd else torch.optim.Adam)(net.parameters(), lr=rate)
    with evenflow.watch(net, optimizer, run=path, budget=1.0):
        for _ in range(steps):
            x = torch.randn(32, 16)
            loss = F.cross_entropy(net(x), x[:, :4].argmax(1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return {f.code: f for f in evenflow.diagnose(path)}


def _said(found: dict[str, Finding]) -> set[str]:
    """All causes and links told."""
    return {link.what for f in found.values() for link in f.chain} | {
        f.cause for f in found.values()
    }


SICK: dict[str, tuple[Callable[[], nn.Module], float, str, str]] = {
    "three times the default": (lambda: _times_(_plain(48, nn.ReLU), 3), 1e-6, "EF206", "EF602"),
    "five times the default": (lambda: _times_(_plain(20, nn.ReLU), 5), 1e-6, "EF102", "EF602"),
    "a tenth of the default": (lambda: _times_(_plain(6, nn.Tanh), 0.1), 1e-2, "EF101", "EF601"),
}


@pytest.mark.parametrize("name", SICK)
def test_an_unusual_start_is_the_cause(name: str, tmp_path: Path) -> None:
    make, rate, code, cause = SICK[name]
    torch.manual_seed(0)
    found = _train(tmp_path / "run.evenflow", make(), rate)
    assert found[code].cause == cause


USUAL: dict[str, tuple[Callable[[], nn.Module], float, str]] = {
    "explodes by depth": (lambda: _plain(60, nn.ReLU, norm=True), 1e-6, "EF102"),
    "explodes by rate": (lambda: _plain(3, nn.ReLU), 30.0, "EF102"),
    "explodes by rate, He": (lambda: _he_(_plain(3, nn.ReLU)), 10.0, "EF102"),
    "grows by rate, He": (lambda: _he_(_plain(3, nn.ReLU)), 3.0, "EF206"),
    "saturates by rate": (lambda: _plain(3, nn.Tanh), 300.0, "EF201"),
    "vanishes by depth": (lambda: _plain(24, nn.Tanh), 1e-2, "EF101"),
    "vanishes by depth, ReLU": (lambda: _plain(24, nn.ReLU), 1e-2, "EF101"),
}


@pytest.mark.parametrize("name", USUAL)
def test_a_usual_start_never_is(name: str, tmp_path: Path) -> None:
    make, rate, code = USUAL[name]
    torch.manual_seed(0)
    found = _train(tmp_path / "run.evenflow", make(), rate)
    assert code in found
    assert not {"EF601", "EF602"} & _said(found)


@pytest.mark.parametrize("act", [nn.Tanh, nn.ReLU])
def test_the_healthy_twin(act: type[nn.Module], tmp_path: Path) -> None:
    torch.manual_seed(0)
    assert not _train(tmp_path / "run.evenflow", _plain(3, act), 3e-3, 300, sgd=False)


@pytest.mark.parametrize(("factor", "told"), [(1.0, set()), (0.1, {"EF601"})])
def test_a_forecast_keeps_to_it(factor: float, told: set[str]) -> None:
    torch.manual_seed(0)
    net = _times_(_plain(30, nn.Tanh), factor)
    found = evenflow.preflight(net, (32, 16), advise=False).findings
    codes = {f.code for f in found}
    assert "EF604" in codes
    assert codes & {"EF601", "EF602"} == told


# --- what is usual -------------------------------------------------------------------------------


class Zoo(nn.Module):
    """One layer of each kind that has a start of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(10, 24)
        self.conv, self.up = nn.Conv1d(24, 40, 5), nn.ConvTranspose1d(40, 16, 4)
        self.lstm, self.gru = nn.LSTM(16, 32, batch_first=True), nn.GRU(32, 8, batch_first=True)
        self.rnn, self.cell = nn.RNN(8, 64, batch_first=True), nn.GRUCell(64, 16)
        self.attend = nn.MultiheadAttention(16, 2, batch_first=True)
        self.wide, self.narrow = nn.Linear(16, 300), nn.Linear(300, 6)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x).transpose(1, 2)
        h = self.up(self.conv(h).tanh()).transpose(1, 2)
        h = self.rnn(self.gru(self.lstm(h)[0])[0])[0]
        h = torch.stack([self.cell(h[:, t]) for t in range(h.shape[1])], 1)
        return self.narrow(self.wide(self.attend(h, h, h)[0]).relu().mean(1))


STARTS: dict[str, Callable[[Tensor], object]] = {
    "default": lambda w: w,
    "he": nn.init.kaiming_normal_,
    "he uniform": nn.init.kaiming_uniform_,
    "xavier": nn.init.xavier_uniform_,
    "xavier normal": nn.init.xavier_normal_,
    "orthogonal": nn.init.orthogonal_,
}


def _recorded(path: Path, change: Callable[[Tensor], object], factor: float = 1.0) -> Run:
    torch.manual_seed(1)
    net = Zoo()
    with torch.no_grad():
        for p in net.parameters():
            if p.dim() > 1:
                change(p)
                p.mul_(factor)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
    with evenflow.watch(net, optimizer, run=path, every=1):
        for _ in range(3):
            loss = F.cross_entropy(net(torch.randint(0, 10, (8, 12))), torch.randint(0, 6, (8,)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return evenflow.load(path)


@pytest.mark.parametrize("start", STARTS)
def test_every_usual_start_of_every_layer(start: str, tmp_path: Path) -> None:
    for k, (factor, sign) in enumerate(((1.0, 0), (20.0, 1), (1 / 40, -1))):
        view = View(_recorded(tmp_path / f"{k}.evenflow", STARTS[start], factor))
        off = excess(view)
        judged = [s.id for s in view.sites if view.weights[s.id] and s.kind != "embedding"]
        assert {view.sites[i].op for i in judged} >= {
            "linear",
            "conv1d",
            "conv_transpose1d",
            "lstm",
        }
        told = {view.sites[i].name: float(off[i]) for i in judged if np.sign(off[i]) != sign}
        assert not told, (factor, told)


def test_where_the_first_step_was_not_recorded_nothing_is_said(tmp_path: Path) -> None:
    run = _recorded(tmp_path / "run.evenflow", nn.init.kaiming_normal_, 20.0)
    assert (excess(View(run)) > 0).any()
    later = dataclasses.replace(
        run,
        steps=run.steps[1:],
        columns={c: v[1:] for c, v in run.columns.items() if isinstance(c, Channel)},
    )
    assert not excess(View(later)).any()
