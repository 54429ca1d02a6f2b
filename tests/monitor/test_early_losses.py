"""Losses before the first update, which may take minutes of micro-batches: a kill costs none."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import evenflow
from evenflow.faults import judge
from evenflow.monitor import losses as module
from evenflow.monitor.inbox import Inbox
from evenflow.monitor.losses import Losses
from evenflow.views import html

# Gathers gradients, then stays in a pass until all losses so far are in the file; then is killed.
KILLED = """
import os, signal, sys, time, torch, evenflow
path, every, passes = sys.argv[1], sys.argv[2], int(sys.argv[3])
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), 0.1)
evenflow.watch(model, optimizer, run=path, every=int(every) if every.isdigit() else every)
for k in range(passes):
    out = model(torch.ones(2, 4))
    (out * 0 + k).mean().backward()
until = time.monotonic() + 600
while time.monotonic() < until:
    time.sleep(0.05)
    if len(evenflow.load(path).curve_steps) == passes:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(path: Path, every: str, passes: int) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), every, str(passes)])
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize(("every", "passes"), [("auto", 1), ("auto", 200), ("0", 30), ("1", 300)])
def test_a_kill_before_the_first_update_costs_no_loss(
    every: str, passes: int, tmp_path: Path
) -> None:
    path = tmp_path / "r.evenflow"
    killed(path, every, passes)
    run = evenflow.load(path)
    assert run.curve_steps.tolist() == run.curve_loss.tolist() == list(range(passes))
    assert run.early and run.counted == 0 and run.unjudged == "no-steps"
    assert "each loss is one backward pass" in html(run, [])


def net() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    return model, torch.optim.SGD(model.parameters(), 0.05)


def gather(
    model: nn.Module, count: int, between: Callable[[], object] = int, scale: float = 1.0
) -> list[float]:
    """Backward passes of micro-batches, and what is called after each."""
    told = []
    for _ in range(count):
        x = scale * torch.randn(8, 4)
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        loss.backward()
        told.append(loss.item())
        between()
    return told


def test_a_resumed_run_begins_with_step_0_and_keeps_them_until_then(tmp_path: Path) -> None:
    path = tmp_path / "r.evenflow"
    killed(path, "auto", 5)
    model, optimizer = net()
    with evenflow.watch(model, optimizer, run=path, resume=True) as watch:
        told = gather(model, 2)
        run = watch.run()
        assert run.early and run.curve_steps.tolist() == list(range(7))
        np.testing.assert_allclose(run.curve_loss, [0, 1, 2, 3, 4, *told])
        optimizer.step()
        gather(model, 1)
    run = evenflow.load(path)
    assert not run.early and run.curve_steps.tolist() == [0, 1]
    np.testing.assert_allclose(run.curve_loss[0], sum(told))


@pytest.mark.parametrize("updates", [3, 0])
def test_the_curve_of_a_run_that_ends_is_what_it_was(updates: int, tmp_path: Path) -> None:
    """Whether the writer came while the first update was waited for, or not: the sum of each
    update's losses; where none was made, each loss by itself."""
    curves = []
    for often in (True, False):
        model, optimizer = net()
        with evenflow.watch(model, optimizer, run=tmp_path / f"{often}.evenflow") as watch:
            told = []
            for _ in range(max(updates, 1)):
                told.append(gather(model, 4, watch.run if often else int))
                if updates:
                    optimizer.step()
                    optimizer.zero_grad()
        run = evenflow.load(watch.path)
        assert not run.early
        expected = [sum(losses) for losses in told] if updates else told[0]
        assert run.curve_steps.tolist() == list(range(len(expected)))
        assert run.curve_loss.tolist() == expected
        curves.append(run.curve_loss.tobytes())
    assert curves[0] == curves[1]


def test_micro_batches_before_any_update_are_no_course_of_a_training(tmp_path: Path) -> None:
    model, optimizer = net()
    with evenflow.watch(model, optimizer, run=tmp_path / "r.evenflow", every=0) as watch:
        for k in range(60):  # sorted data: each batch is larger than the one before
            gather(model, 1, scale=1 + k)
        run = watch.run()
        assert run.early and len(run.curve_loss) == 60
        assert run.curve_loss[-1] > 100 * run.curve_loss[0]
        assert watch.findings() == judge(run) == []
        assert judge(replace(run, early=False)), "else this test could not fail"
        optimizer.step()


class Deaf:
    """A writer that only says what it was to fetch from."""

    def fetch(self, source: Callable[[], object]) -> None:
        self.source = source


def collector() -> tuple[Losses, Deaf]:
    writer = Deaf()
    return Losses(writer, lambda: None, name_ops=False), writer  # type: ignore[arg-type]


def test_losses_of_skipped_updates_are_kept_until_there_is_one() -> None:
    losses, writer = collector()
    losses._note(0, torch.tensor(1.0))
    losses.skipped()
    losses._note(0, torch.tensor(2.0))
    assert writer.source() == ([-1, -2], [1.0, 2.0])
    losses._note(0, torch.tensor(4.0))
    losses.began()
    assert writer.source() == ([0], [6.0]), "what came before it is no longer told"
    losses._note(1, torch.tensor(8.0))
    assert writer.source() == ([1], [8.0])


def test_on_a_device_they_go_by_time_and_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """`meta` stands for a device: a value there can be held, not read."""
    now, sent = [0.0], list[list[int]]()

    def send(self: Inbox, steps: list[int], values: list[Tensor]) -> None:
        sent.append(steps)

    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    monkeypatch.setattr(Inbox, "send", send)
    losses, _ = collector()
    for _ in range(3):
        now[0] += 2 * module.TOGETHER  # slow passes: each is sent as soon as it is there
        losses._note(0, torch.empty((), device="meta"))
    assert sent == [[-1], [-2], [-3]]
    losses.began()
    losses.close([])
    assert [step for part in sent[3:] for step in part] == [0, 0, 0]
