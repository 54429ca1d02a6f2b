"""Whether a training came to grief: one answer, held against trainings that did and did not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import evenflow
from evenflow.faults import View


def _goes_on(path: Path, logit: float, rate: float, steps: int) -> View:
    """A classifier of ten one-hot inputs that begins with this logit for the right class."""
    torch.manual_seed(0)
    net = nn.Linear(10, 10, bias=False)
    with torch.no_grad():
        net.weight.copy_(logit * torch.eye(10))
    optimizer = torch.optim.SGD(net.parameters(), lr=rate)
    x = torch.eye(10).repeat(4, 1)
    with evenflow.watch(net, optimizer, run=path, every=4):
        for _ in range(steps):
            loss = nn.functional.cross_entropy(net(x), torch.arange(10).repeat(4))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return View(evenflow.load(path))


def test_a_converged_training_whose_loss_stands_still_is_not_harmed(tmp_path: Path) -> None:
    view = _goes_on(tmp_path / "run.evenflow", logit=5.17, rate=1e-6, steps=60)
    assert view.loss.start == pytest.approx(0.05, abs=0.002)
    assert abs(view.loss.fallen) < 0.01
    assert not view.harmed


def test_one_that_stands_still_at_a_guess_is(tmp_path: Path) -> None:
    view = _goes_on(tmp_path / "run.evenflow", logit=0.0, rate=1e-6, steps=60)
    assert view.loss.left == pytest.approx(1.0, abs=0.01)
    assert view.harmed


def test_one_that_learns_is_not(tmp_path: Path) -> None:
    view = _goes_on(tmp_path / "run.evenflow", logit=0.0, rate=3.0, steps=60)
    assert view.loss.left < 0.6
    assert not view.harmed
