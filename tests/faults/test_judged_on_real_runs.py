"""Recurrent nets that explode, paralysis by the rate, linear activations: trained for real."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

import evenflow
from evenflow.report.sentences import remedies
from evenflow.schema import Finding
from evenflow.store import load

_PIXELS, _LABELS = load_digits(return_X_y=True)
DIGITS = torch.tensor((_PIXELS - _PIXELS.mean()) / _PIXELS.std(), dtype=torch.float32)
LABELS = torch.tensor(_LABELS)


def _train(
    model: nn.Module, path: Path, rate: float, adam: bool = False, steps: int = 120
) -> dict[str, Finding]:
    """Findings by code; 64 digits a step."""
    draw = torch.Generator().manual_seed(0)
    kind = torch.optim.Adam if adam else torch.optim.SGD
    optimizer = kind(model.parameters(), rate)
    with evenflow.watch(model, optimizer, run=path):
        for _ in range(steps):
            ids = torch.randint(0, len(DIGITS), (64,), generator=draw)
            loss = F.cross_entropy(model(DIGITS[ids]), LABELS[ids])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return {f.code: f for f in evenflow.diagnose(path)}


class Fused(nn.Module):
    """The digits' pixels as `steps` steps."""

    def __init__(self, gain: float, kind: type[nn.RNNBase] = nn.RNN, **more: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rnn = kind(4, 64, batch_first=True, **more)  # type: ignore[arg-type]
        self.head = nn.Linear(64, 10)
        with torch.no_grad():
            self.rnn.weight_hh_l0.mul_(gain)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x.view(len(x), 16, 4))[0][:, -1])


class Relu(Fused):
    def __init__(self, gain: float) -> None:
        super().__init__(gain, nonlinearity="relu")


class Gru(Fused):
    def __init__(self, gain: float) -> None:
        super().__init__(gain, nn.GRU)


class Cell(nn.Module):
    def __init__(self, gain: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.cell, self.head = nn.RNNCell(4, 64, nonlinearity="relu"), nn.Linear(64, 10)
        with torch.no_grad():
            self.cell.weight_hh.mul_(gain)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), 64)
        for t in range(16):
            h = self.cell(x[:, 4 * t : 4 * t + 4], h)
        return self.head(h)


@pytest.mark.parametrize(
    ("make", "gain", "rate", "adam"),
    [
        (Relu, 5.0, 1e-3, True),
        (Relu, 6.0, 1e-2, False),
        (Cell, 6.0, 1e-2, False),
        (Fused, 6.0, 1e-3, True),
        (Gru, 20.0, 1e-3, True),
    ],
)
def test_a_recurrent_net_that_explodes_is_told(
    make: Callable[[float], nn.Module], gain: float, rate: float, adam: bool, tmp_path: Path
) -> None:
    found = _train(make(gain), tmp_path / "sick", rate, adam)
    assert found["EF102"].severity.name == "error"
    assert found["EF102"].cause == "through-time" and found["EF102"].evidence["decades"] > 2
    twin = _train(make(1.0), tmp_path / "healthy", 1e-3, adam=True)
    assert not {c for c, f in twin.items() if f.severity.name != "info"}


def test_a_loss_that_falls_but_stands_above_guessing_is_no_health(tmp_path: Path) -> None:
    def net(scale: float) -> nn.Module:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        with torch.no_grad():
            model[2].weight.mul_(scale)  # type: ignore[operator]
        return model

    found = _train(net(300.0), tmp_path / "sick", 1e-4, adam=True)
    assert found["EF401"].evidence["loss_left"] > 1.1
    assert found["EF401"].evidence["start_loss"] > found["EF401"].evidence["last_loss"]
    assert "EF401" not in _train(net(1.0), tmp_path / "healthy", 1e-3, adam=True)


def _sigmoid() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Linear(64, 64), nn.Sigmoid(), nn.Linear(64, 64), nn.Sigmoid(), nn.Linear(64, 10))
    )


def _tanh() -> nn.Module:
    torch.manual_seed(0)
    layers = [m for _ in range(3) for m in (nn.Linear(64, 64), nn.Tanh())]
    return nn.Sequential(*layers, nn.Linear(64, 10))


class Convolutions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.b(self.a(x.view(-1, 1, 8, 8)).tanh()).tanh().flatten(1))


@pytest.mark.parametrize(
    ("make", "rates", "adam", "well"),
    [
        (_sigmoid, (10.0, 30.0, 100.0), False, 0.5),
        (_tanh, (0.3, 1.0), True, 1e-3),
        (Convolutions, (1.0,), True, 1e-3),
    ],
)
def test_what_the_rate_has_done_is_not_blamed_on_the_start(
    make: Callable[[], nn.Module],
    rates: tuple[float, ...],
    adam: bool,
    well: float,
    tmp_path: Path,
) -> None:
    for rate in rates:
        found = _train(make(), tmp_path / f"{rate}", rate, adam)
        assert next(iter(found)) == "EF703"
        assert found["EF201"].cause == "EF703"
        assert "EF602" not in {link.what for f in found.values() for link in f.chain}
    assert not _train(make(), tmp_path / "healthy", well, adam, steps=250)


@pytest.mark.parametrize("make", [_sigmoid, _tanh, Convolutions])
def test_a_start_that_is_too_large_is_still_told(
    make: Callable[[], nn.Module], tmp_path: Path
) -> None:
    model = make()
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(30.0 if p.dim() > 1 else 1.0)
    found = _train(model, tmp_path / "sick", 1e-4, adam=True)
    assert found["EF201"].cause == "EF602"


ALMOST: dict[str, Callable[[], nn.Module]] = {
    "leaky": lambda: nn.LeakyReLU(1.0),
    "clamped": lambda: nn.Hardtanh(-1e3, 1e3),
    "always-on": lambda: nn.Threshold(-1e3, 0.0),
}


@pytest.mark.parametrize("name", list(ALMOST))
def test_an_activation_that_is_linear_on_what_it_sees_is_none(name: str, tmp_path: Path) -> None:
    def net(act: Callable[[], nn.Module]) -> nn.Module:
        torch.manual_seed(0)
        layers = [m for _ in range(3) for m in (nn.Linear(64, 32), act(), nn.Linear(32, 64), act())]
        return nn.Sequential(*layers, nn.Linear(64, 10))

    found = _train(net(ALMOST[name]), tmp_path / "sick", 1e-3, adam=True)
    assert found["EF702"].evidence["straight_activations"] == 6
    assert "EF702" not in _train(net(lambda: nn.LeakyReLU(0.5)), tmp_path / "well", 1e-3, adam=True)
    sick = evenflow.preflight(net(ALMOST[name]), (32, 64), advise=False)
    assert "EF702" in {f.code for f in sick.findings} and sick.verdict != "healthy"
    well = evenflow.preflight(net(nn.Tanh), (32, 64), advise=False)
    assert "EF702" not in {f.code for f in well.findings}


def test_advice_fits_the_depth(tmp_path: Path) -> None:
    """A stuck XOR of two hidden units is no net of 50 layers."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 1), nn.Sigmoid())
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = torch.tensor([[0.0], [1.0], [1.0], [0.0]])
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with evenflow.watch(model, optimizer, run=tmp_path / "xor"):
        for _ in range(500):
            optimizer.zero_grad()
            F.mse_loss(model(x), y).backward()
            optimizer.step()
    run = load(tmp_path / "xor")
    said = [text for f in evenflow.diagnose(run) for text in remedies(f, run)]
    assert said and not [text for text in said if "50" in text or "ReZero" in text]
    assert any("more hidden units" in text for text in said)
