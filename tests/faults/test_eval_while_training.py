"""EF805: eval mode left on, as loops leave it, and what only looks alike."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.faults import judge
from evenflow.schema import Finding, Severity
from evenflow.tape.modes import Off, switched_off

from .synthetic import Builder, perceptron

Train = Callable[[], None]


def batch() -> tuple[Tensor, Tensor]:
    x = torch.randn(32, 8)
    return x, x[:, :4].argmax(1)


def normed() -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))


def layer_normed() -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16), nn.ReLU(), nn.Linear(16, 4))


def dropping(rate: float = 0.3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(rate), nn.Linear(16, 4))


def fit(
    net: nn.Module,
    steps: int = 60,
    before: Callable[[int], object] = lambda i: None,
    data: Callable[[], tuple[Tensor, Tensor]] = batch,
) -> None:
    optimizer = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], 1e-2)
    for i in range(steps):
        before(i)
        x, y = data()
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()


def told(train: Train, path: Path) -> dict[str, Finding]:
    torch.manual_seed(0)
    with evenflow.watch(run=path):
        train()
    return {f.code: f for f in reversed(evenflow.diagnose(path))}


def after_an_epoch() -> None:
    """Evaluation at the end of each epoch, and no train() but the first."""
    net = normed()
    fit(net, 120, lambda i: net.eval() if i == 20 else None)


def gan(generator: str) -> None:
    """The fakes are made in the discriminator's turn, and trained in the next."""
    g = nn.Sequential(nn.Linear(3, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 8))
    d = nn.Sequential(nn.Linear(8, 16), nn.LeakyReLU(0.2), nn.Dropout(0.2), nn.Linear(16, 1))
    of_g, of_d = torch.optim.Adam(g.parameters(), 1e-3), torch.optim.Adam(d.parameters(), 1e-3)
    getattr(g, generator)()
    for _ in range(60):
        fake = g(torch.randn(32, 3))
        d.train()
        of_d.zero_grad()
        (F.softplus(-d(torch.randn(32, 8) + 1)) + F.softplus(d(fake.detach()))).mean().backward()
        of_d.step()
        d.eval()  # while the generator learns
        of_g.zero_grad()
        F.softplus(-d(fake)).mean().backward()
        of_g.step()


def teacher() -> None:
    old, net = normed(), nn.Linear(8, 4)
    copy.deepcopy(old).eval()
    old.eval()
    fit(net, data=lambda: ((x := torch.randn(32, 8)), old(x).argmax(1)))


def perceptual(frozen: bool) -> None:
    eye = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4)).eval()
    eye.requires_grad_(not frozen)
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8))
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(60):
        x, _ = batch()
        out = net(x)
        optimizer.zero_grad()
        (F.mse_loss(out, x) + F.mse_loss(eye(out), eye(x))).backward()
        optimizer.step()


def attack() -> None:
    net = normed()
    optimizer = torch.optim.SGD(net.parameters(), 0.05)
    for _ in range(60):
        x, y = batch()
        net.eval()
        x.requires_grad_(True)
        F.cross_entropy(net(x), y).backward()
        assert x.grad is not None
        x = (x + 0.05 * x.grad.sign()).detach()
        net.train()
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()


def probe() -> None:
    """A head on a body that stands still."""
    net = normed().eval().requires_grad_(False)
    net[3].requires_grad_(True)
    fit(net)


def looked_at() -> None:
    """Evaluation with gradients on, at each tenth step, and back."""
    net = normed()

    def look(i: int) -> None:
        if i % 10 == 0:
            net.eval()
            net(batch()[0])
        net.train()

    fit(net, before=look)


HEALTHY: dict[str, Train] = {
    "plain": lambda: fit(nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)).eval()),
    "layer-norm": lambda: fit(layer_normed().eval()),
    "rate-0": lambda: fit(dropping(0.0).eval()),
    "train": lambda: fit(normed()),
    "gan": lambda: gan("train"),
    "teacher": teacher,
    "perceptual": lambda: perceptual(False),
    "perceptual-frozen": lambda: perceptual(True),
    "attack": attack,
    "probe": probe,
    "looked-at": looked_at,
}
SICK: dict[str, tuple[Train, str]] = {
    "norms": (lambda: fit(normed().eval()), "norms-off"),
    "after-an-epoch": (after_an_epoch, "norms-off"),
    "generator": (lambda: gan("eval"), "norms-off"),
    "dropout": (lambda: fit(dropping().eval()), "dropout-off"),
}


@pytest.mark.parametrize("kind", HEALTHY)
def test_no_alarm_where_nothing_that_is_trained_is_switched_off(kind: str, tmp_path: Path) -> None:
    found = told(HEALTHY[kind], tmp_path / "run.evenflow")
    assert "EF805" not in found
    assert kind == "probe" or all(f.severity is Severity.info for f in found.values())


@pytest.mark.parametrize("kind", SICK)
def test_eval_mode_left_on_is_told(kind: str, tmp_path: Path) -> None:
    train, cause = SICK[kind]
    f = told(train, tmp_path / "run.evenflow")["EF805"]
    assert f.cause == cause and f.severity >= Severity.warning
    assert evenflow.diagnose(tmp_path / "run.evenflow")[0].code == "EF805"
    assert (f.evidence["off_norms"], f.evidence["off_dropouts"]) == (
        (1, 0) if cause == "norms-off" else (0, 1)
    )


def test_norms_left_at_their_start_bring_raw_inputs_to_bear(tmp_path: Path) -> None:
    def train() -> None:
        net = normed().eval()
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        for _ in range(120):
            x, y = batch()
            optimizer.zero_grad()
            F.cross_entropy(net(300 * x + 900), y).backward()
            optimizer.step()

    found = told(train, tmp_path / "run.evenflow")
    f = evenflow.diagnose(tmp_path / "run.evenflow")[0]
    assert f.code == "EF805" and f.severity is Severity.error
    assert {g.cause for code, g in found.items() if code != "EF805"} == {"EF805"}


def test_norms_alone_are_an_info(tmp_path: Path) -> None:
    net = normed()

    def freeze(i: int) -> None:
        net.train()
        net[1].eval()

    f = told(lambda: fit(net, before=freeze), tmp_path / "run.evenflow")["EF805"]
    assert f.severity is Severity.info and f.cause == "norms-frozen"
    net[1].requires_grad_(False)
    assert "EF805" not in told(lambda: fit(net, before=freeze), tmp_path / "two.evenflow")


class ByHand(nn.Module):
    """Functions that are told the mode, with a rate of its own or a fixed one."""

    def __init__(self, rate: float | None) -> None:
        super().__init__()
        if rate is not None:
            self.dropout = rate

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, getattr(self, "dropout", 0.5), training=self.training)


@pytest.mark.parametrize(
    ("module", "off"),
    [
        (nn.BatchNorm2d(3), Off(1, 0)),
        (nn.BatchNorm1d(3, track_running_stats=False), Off()),  # no statistics: the batch's always
        (nn.InstanceNorm1d(3), Off()),
        (nn.LayerNorm(3), Off()),
        (nn.Dropout(0.1), Off(0, 1)),
        (nn.Dropout2d(0.0), Off()),
        (nn.LSTM(3, 3, 2, dropout=0.1), Off(0, 1)),
        (nn.MultiheadAttention(4, 2), Off()),
        (nn.MultiheadAttention(4, 2, dropout=0.1), Off(0, 1)),
        (ByHand(0.2), Off(0, 1)),
        (ByHand(0.0), Off()),
        (ByHand(None), Off(0, 1)),
        (nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(), nn.Dropout()), Off(1, 2)),
    ],
)
def test_what_eval_mode_switches_off(module: nn.Module, off: Off) -> None:
    assert switched_off(module.eval()) == off
    assert switched_off(module.train()) == Off()
    if off == Off() and isinstance(module, (nn.LayerNorm, ByHand, nn.BatchNorm1d)):
        x = torch.randn(5, 3)  # the oracle: both modes give the same
        assert torch.equal(module.train()(x), module.eval()(x))


def off(norms: object, drops: object = 0.0) -> Builder:
    b = perceptron(2, "relu")
    b.set("layers.0 linear", "off_norms", norms)  # type: ignore[arg-type]
    b.set("layers.0 linear", "off_dropouts", drops)  # type: ignore[arg-type]
    return b


def test_synthetic_runs() -> None:
    def codes(b: Builder) -> dict[str, Finding]:
        return {f.code: f for f in judge(b.run())}

    assert "EF805" not in codes(off(0.0))
    assert codes(off(2.0))["EF805"].severity is Severity.warning
    assert codes(off(0.0, 1.0))["EF805"].cause == "dropout-off"
    stuck = off(2.0)
    stuck.loss(2.3)
    assert codes(stuck)["EF805"].severity is Severity.error
    dropped = off(0.0, 1.0)
    dropped.loss(2.3)
    found = codes(dropped)
    assert found["EF805"].severity is Severity.warning
    assert found["EF401"].cause != "EF805"  # dropout that is off brings no plateau about
    T = len(stuck.steps)
    assert "EF805" not in codes(off(np.where(np.arange(T) < T - 1, 1.0, 0.0)))  # back at the end
    assert "EF805" not in codes(off(np.where(np.arange(T) > T - 3, 1.0, 0.0)))  # twice
    late = codes(off(np.where(np.arange(T) > T // 2, 1.0, 0.0)))["EF805"]
    assert 0.25 < late.evidence["time_share"] < 1
    still = off(2.0)
    for p in still.params:
        still.set_param(p.name, "update", 0.0)
    assert "EF805" not in codes(still)
