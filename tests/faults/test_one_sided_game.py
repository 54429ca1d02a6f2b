"""EF405: games that one side has won, fair ones, and two optimizers that play no game."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.faults import judge
from evenflow.schema import Finding, Parameter, Severity

from .synthetic import Builder

Loss = Callable[[Tensor], Tensor]


def real(at: float) -> Tensor:
    return at + torch.randn(32, 2) * torch.tensor([1.0, 0.3])


def game(
    path: Path, judge_loss: Callable[[Tensor, Tensor], Tensor], maker_loss: Loss, far: bool
) -> dict[str, Finding]:
    torch.manual_seed(0)
    g = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))
    d = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
    rates = (1e-5, 1e-2) if far else (2e-3, 1e-3)
    of_g, of_d = (
        torch.optim.Adam(net.parameters(), rate, betas=(0.5, 0.9))
        for net, rate in zip((g, d), rates, strict=True)
    )
    with evenflow.watch(run=path, every=1):
        for _ in range(120):
            of_d.zero_grad()
            judge_loss(d(real(5.0 if far else 0.5)), d(g(torch.randn(32, 4)).detach())).backward()
            of_d.step()
            of_g.zero_grad()
            maker_loss(d(g(torch.randn(32, 4)))).backward()
            of_g.step()
    return {f.code: f for f in reversed(evenflow.diagnose(path))}


def entropy(x: Tensor, is_real: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(x, torch.full_like(x, is_real))


def squares(x: Tensor, is_real: float) -> Tensor:
    return F.mse_loss(x, torch.full_like(x, is_real))


LOSSES: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Loss]] = {
    "cross-entropy": (lambda r, f: entropy(r, 1) + entropy(f, 0), lambda f: entropy(f, 1)),
    "minimax": (lambda r, f: entropy(r, 1) + entropy(f, 0), lambda f: -entropy(f, 0)),
    "softplus": (
        lambda r, f: (F.softplus(-r) + F.softplus(f)).mean(),
        lambda f: F.softplus(-f).mean(),
    ),
    "squares": (lambda r, f: squares(r, 1) + squares(f, 0), lambda f: squares(f, 1)),
}


@pytest.mark.parametrize("kind", LOSSES)
def test_a_judge_that_is_always_right_has_won(kind: str, tmp_path: Path) -> None:
    found = game(tmp_path / "sick.evenflow", *LOSSES[kind], far=True)
    f = found["EF405"]
    assert f.severity is Severity.error
    assert evenflow.diagnose(tmp_path / "sick.evenflow")[0].code == "EF405"
    assert f.evidence["judge_loss"] < 0.1 < 0.25 < f.evidence["time_won"]
    assert ("maker_gradient" in f.evidence) == (kind == "minimax")
    run = evenflow.load(tmp_path / "sick.evenflow")
    assert {run.sites[i].root for i in f.sites} == {"Sequential"}  # called first: the judge


@pytest.mark.parametrize("kind", LOSSES)
def test_a_fair_game_is_none(kind: str, tmp_path: Path) -> None:
    assert "EF405" not in game(tmp_path / "fair.evenflow", *LOSSES[kind], far=False)


def test_a_critic_has_no_floor(tmp_path: Path) -> None:
    found = game(
        tmp_path / "critic.evenflow",
        lambda r, f: f.mean() - r.mean(),
        lambda f: -f.mean(),
        far=True,
    )
    assert "EF405" not in found


def two(feeds: bool = True, op: str = "binary_cross_entropy_with_logits") -> Builder:
    """Rows by turns: a judge (optimizer 0), fed by a maker (optimizer 1) or by data."""
    b = Builder(steps=np.arange(40))
    x = b.input()
    made = b.linear("g", x)
    b.loss_on(b.linear("d", made if feeds else x), op, (32, 64))
    b.params = [Parameter(p.id, p.name, p.shape, optimizer=int(".g." in p.name)) for p in b.params]
    turn = np.arange(40) % 2
    b.set_step("optimizer", turn)
    b.meta["optimizers"] = [{"class": "Adam", "params": 2, "turn": k} for k in (0, 1)]
    return b


def series(b: Builder, judge_loss: object, maker_loss: object, grad: object = 0.1) -> set[str]:
    turn = np.arange(40) % 2
    loss = np.where(turn == 0, judge_loss, maker_loss)  # type: ignore[arg-type]
    b.set_step("loss", loss)
    b.set_step("grad_norm", np.broadcast_to(np.asarray(grad, dtype=float), 40).copy())
    b.loss(loss)
    return {f.code for f in judge(b.run())}


def test_synthetic_games() -> None:
    row = np.arange(40)
    falls = np.where(row < 10, 1.39, 0.01)
    assert "EF405" in series(two(), falls, np.where(row < 10, 0.7, 5.0))
    assert "EF405" not in series(two(), 0.9, 1.0)
    assert "EF405" not in series(two(), np.where(row < 10, 1.39, 0.2), 3.0)  # right 9 times of 10
    assert "EF405" not in series(two(), np.where(row > 33, 0.01, 1.39), 5.0)  # at the end only
    assert "EF405" not in series(two(), falls, 0.3)  # the other one gains as well
    assert "EF405" not in series(two(feeds=False), falls, 5.0)  # two losses that have no game
    fades = np.where(row < 10, 0.1, 1e-5)
    assert "EF405" in series(two(), falls, -0.001, fades)  # log(1 - D)
    assert "EF405" not in series(two(), falls, -0.001)
    assert "EF405" not in series(two(), falls - 1, 5.0)  # goes below 0: no floor
    assert "EF405" not in series(two(op="mse_loss"), falls, 5.0)  # its targets vary
    same = two(op="mse_loss")
    same.set(next(s.id for s in same.sites if s.op == "target"), "std", 0.0)
    assert "EF405" in series(same, falls, 5.0)
