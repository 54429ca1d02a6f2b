"""A GradScaler that skips updates: all of them, which is told, or the first few, which is well."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import evenflow
from evenflow.schema import Run


def train(path: Path, skips: int, given: bool) -> Run:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(net.parameters(), 0.05)
    scaler = torch.amp.GradScaler("cpu")
    with evenflow.watch(*((net, optimizer) if given else ()), run=path) as watch:
        for k in range(60):
            x = torch.randn(32, 4)
            optimizer.zero_grad()
            scaler.scale((net(x) - x[:, :1]).square().mean()).backward()
            if k < skips:
                net[0].weight.grad.view(-1)[0] = float("inf")
            scaler.step(optimizer)
            scaler.update()
    return evenflow.load(watch.path)


@pytest.mark.parametrize("given", [False, True])
def test_all_skipped(given: bool, tmp_path: Path) -> None:
    run = train(tmp_path / "a.evenflow", 60, given)
    found = {f.code: f for f in evenflow.diagnose(run)}
    assert found["EF802"].cause == "all-skipped" and "skipped" in found["EF802"].message
    assert found["EF802"].evidence["backward_passes"] == 60
    assert len(run.curve_loss) == 60 and min(run.steps) >= 0


@pytest.mark.parametrize("given", [False, True])
def test_the_first_few_skipped(given: bool, tmp_path: Path) -> None:
    run = train(tmp_path / "a.evenflow", 5, given)
    assert not evenflow.diagnose(run)
    assert run.meta["steps"] == 55 and list(run.steps[:3]) == [0, 1, 2]
    assert run.curve_loss[0] < 2, "not the sum of what was skipped"
