"""Quiet stretches between samples: the loss curve is that of the script, step by step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import evenflow

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


@pytest.mark.parametrize("kind", [plain, scaled, closure])
@pytest.mark.parametrize("every", [1, 25])
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
    assert len(run.steps) == -(-STEPS // every)
