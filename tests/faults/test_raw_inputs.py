"""EF501 on real recorded runs: raw data whose scale does harm, and twins where it does none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.schema import Finding, Severity

Optimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


def adam(lr: float) -> Optimizer:
    return lambda params: torch.optim.Adam(params, lr)


def sgd(lr: float) -> Optimizer:
    return lambda params: torch.optim.SGD(params, lr)


def told(
    make: Callable[[], nn.Module],
    optimizer: Optimizer,
    path: Path,
    steps: int = 150,
    size: float = 200.0,
) -> dict[str, Finding]:
    """Three classes of eight raw readings, around `size`; what is found."""
    torch.manual_seed(0)
    centres, net = torch.randn(3, 8), make()
    opt = optimizer(net.parameters())
    with evenflow.watch(net, opt, run=path):
        for _ in range(steps):
            y = torch.randint(0, 3, (32,))
            x = size * (centres[y] + 0.5 * torch.randn(32, 8) + 0.5)
            loss = F.cross_entropy(net(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
    return {f.code: f for f in reversed(evenflow.diagnose(path))}


def dense(*behind: nn.Module, before: nn.Module | None = None) -> nn.Sequential:
    first = [] if before is None else [before]
    return nn.Sequential(*first, nn.Linear(8, 32), *behind, nn.Linear(32, 3))


class Norm(nn.Module):
    """A batch norm left in eval mode: it goes by statistics that nothing has filled."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(32)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm.eval()(x)


CANCELS: dict[str, tuple[Callable[[], nn.Module], Optimizer]] = {
    "batch-norm-behind": (lambda: dense(nn.BatchNorm1d(32), nn.ReLU()), sgd(0.1)),
    "layer-norm-behind": (lambda: dense(nn.LayerNorm(32), nn.ReLU()), adam(3e-3)),
    "batch-norm-first": (lambda: dense(nn.ReLU(), before=nn.BatchNorm1d(8)), sgd(0.1)),
}


@pytest.mark.parametrize("kind", CANCELS)
def test_a_norm_that_comes_first_makes_the_scale_its_own_affair(kind: str, tmp_path: Path) -> None:
    assert "EF501" not in told(*CANCELS[kind], tmp_path / "run.evenflow")


def test_a_norm_that_rescales_nothing_does_not(tmp_path: Path) -> None:
    net = lambda: dense(Norm(), nn.ReLU())  # noqa: E731
    found = told(net, sgd(0.1), tmp_path / "run.evenflow")
    assert found["EF501"].severity >= Severity.warning


def test_a_net_that_learns_all_the_same_is_not_accused(tmp_path: Path) -> None:
    found = told(lambda: dense(nn.ReLU()), adam(3e-3), tmp_path / "run.evenflow")
    assert found["EF501"].severity is Severity.info
    assert all(f.severity is Severity.info for f in found.values())


HARMED: dict[str, tuple[Callable[[], nn.Module], Optimizer]] = {
    "diverges": (lambda: dense(nn.ReLU()), sgd(0.1)),
    "saturates": (lambda: dense(nn.Sigmoid()), sgd(0.1)),
    "crawls": (lambda: dense(nn.ReLU()), sgd(1e-7)),
}


@pytest.mark.parametrize("kind", HARMED)
def test_where_the_scale_does_harm_it_is_the_cause(kind: str, tmp_path: Path) -> None:
    make, optimizer = HARMED[kind]
    found = told(make, optimizer, tmp_path / "run.evenflow")
    assert found["EF501"].severity >= Severity.warning
    assert found["EF501"].cause != "EF703"
    assert next(iter(evenflow.diagnose(tmp_path / "run.evenflow"))).code == "EF501"


def test_scaled_data_are_told_nothing_of(tmp_path: Path) -> None:
    found = told(lambda: dense(nn.Sigmoid()), adam(3e-3), tmp_path / "run.evenflow", size=1.0)
    assert "EF501" not in found
