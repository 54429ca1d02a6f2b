"""What a sampled step tells of its own price, by a clock that moves only while we read.

Then all of a step's time is ours, so its `cost` must equal its `wall` to the bit: a second that is
counted twice, or that belongs to another step, shows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import evenflow
from evenflow.tape.backward import BackwardReader
from evenflow.tape.forward import ForwardReader
from evenflow.tape.modulecalls import ModuleCalls
from evenflow.tape.parameters import Update
from evenflow.tape.recorder import Recorder

TICK = 2.0**-6  # seconds: sums of it are exact
READS = [
    (ForwardReader, "before"), (ForwardReader, "after"),
    (ModuleCalls, "_enter_call"), (BackwardReader, "_arrived"),
    (Recorder, "before_backward"), (Recorder, "release"), (Update, "gradients"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]

    def slow(read: Callable[..., Any]) -> Callable[..., Any]:
        def reads(*args: Any, **kwargs: Any) -> Any:
            now[0] += TICK
            return read(*args, **kwargs)

        return reads

    for owner, name in READS:
        monkeypatch.setattr(owner, name, slow(getattr(owner, name)))
    for module in [m for n, m in sys.modules.items() if n.startswith("evenflow.")]:
        if hasattr(module, "perf_counter"):
            monkeypatch.setattr(module, "perf_counter", lambda: now[0])


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))


def train(model: nn.Module) -> None:
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(4, 4)).square().mean().backward()
        optimizer.step()


def plain() -> None:
    train(net())


def builds_first() -> None:
    """What a script computes before it trains is read, and is no step's."""
    x = torch.ones(4, 4)
    for _ in range(200):
        x = F.relu(x * 0.5 + torch.nn.Parameter(torch.ones(4)))
    train(net())


def skips() -> None:
    """Updates that are left out belong to the step of the next one that is made."""
    model, scaler = net(), torch.amp.GradScaler("cpu", init_scale=2.0)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for skip in (True, True, False, True, False):
        optimizer.zero_grad()
        loss = model(torch.ones(4, 4)).square().mean()
        scaler.scale(loss * float("inf") if skip else loss).backward()
        scaler.step(optimizer)
        scaler.update()


def acts_in_vain() -> None:
    """Graphs that no backward comes for, until the sample is given up."""
    model = net()
    for _ in range(2000):
        model(torch.ones(1, 4))
    train(model)


def never_steps() -> None:
    """A sample that grows too long is kept until the watch closes."""
    model = net()
    torch.optim.SGD(model.parameters(), 0.1)
    held = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(20):
        model(torch.ones(4, 4)).square().mean().backward()
    assert held


def by_hand() -> None:
    w = torch.ones(4, 1, requires_grad=True)
    for _ in range(3):
        (g,) = torch.autograd.grad((torch.ones(4, 4) @ w).tanh().square().mean(), w)
        with torch.no_grad():
            w -= 0.1 * g


@pytest.mark.parametrize("every", [1, "auto"])
@pytest.mark.parametrize("script", [plain, builds_first, skips, acts_in_vain, never_steps, by_hand])
def test_a_second_is_counted_once(script: Callable[[], None], every: Any, tmp_path: Path) -> None:
    with evenflow.watch(run=tmp_path / "r.evenflow", every=every) as watch:
        script()
    run = evenflow.load(watch.path)
    wall, cost = run.step("wall"), run.step("cost")
    assert wall is not None and cost is not None and len(cost) >= 1
    assert bool((cost > 0).all())
    assert cost.tolist() == wall.tolist()
