"""Quiet stretches between samples: the loss curve is that of the script, step by step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import evenflow
from evenflow.monitor import quiet

STEPS = 75
Step = Callable[[nn.Module, torch.optim.Optimizer], Tensor]


def loss_of(model: nn.Module) -> Tensor:
    loss: Tensor = model(torch.randn(8, 3)).square().mean()
    return loss


def plain() -> Step:
    def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> Tensor:
        loss = loss_of(model)
        loss.backward()
        optimizer.step()
        return loss

    return step


def scaled() -> Step:
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=10)

    def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> Tensor:
        loss = loss_of(model)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss

    return step


def closure() -> Step:
    def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> Tensor:
        kept: list[Tensor] = []

        def close() -> Tensor:
            loss = loss_of(model)
            loss.backward()
            kept.append(loss)
            return loss

        optimizer.step(close)  # type: ignore[arg-type]
        return kept[0]

    return step


def in_turns() -> Step:
    """Two optimizers, each after a backward of its own, by turns."""
    other = nn.Linear(3, 2)
    second = torch.optim.SGD(other.parameters(), 0.05)
    turn = iter(range(10 * STEPS))

    def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> Tensor:
        net, mine = (other, second) if next(turn) % 2 else (model, optimizer)
        mine.zero_grad()
        loss = loss_of(net)
        loss.backward()
        mine.step()
        return loss

    return step


@pytest.mark.parametrize("kind", [plain, scaled, closure, in_turns])
@pytest.mark.parametrize("every", [0, 1, 25])
def test_the_curve_is_the_scripts_own(kind: Callable[[], Step], every: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    step, told = kind(), []
    with evenflow.watch(run=tmp_path / "a.evenflow", every=every) as watch:
        for _ in range(STEPS):
            optimizer.zero_grad()
            told.append(step(model, optimizer).item())
    run = evenflow.load(watch.path)
    assert list(run.curve_steps) == list(range(STEPS))
    np.testing.assert_allclose(run.curve_loss, told, rtol=1e-6)
    if kind is not in_turns:
        assert len(run.steps) == (-(-STEPS // every) if every else 0)


@pytest.mark.parametrize("kind", [plain, in_turns])
def test_without_samples_most_steps_are_only_counted(
    kind: Callable[[], Step], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is more than counting costs 45 us a step."""
    monkeypatch.setattr(quiet, "SECONDS", 3600.0)  # however slow this machine is
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    step = kind()
    with evenflow.watch(run=tmp_path / "a.evenflow", every=0) as watch:
        conductor: Any = watch._conductor
        told, real = [], conductor.updates.unsampled
        monkeypatch.setattr(conductor.updates, "unsampled", lambda *a: (told.append(a), real(*a)))
        for _ in range(10 * quiet.STRETCH):
            optimizer.zero_grad()
            step(model, optimizer)
    assert len(told) <= 10 + 2
