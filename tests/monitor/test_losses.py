"""The loss curve outlives a kill: the writer fetches it, whatever the training does meanwhile."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import evenflow
from evenflow.monitor import losses as module
from evenflow.monitor import quiet
from evenflow.monitor.inbox import _MARK, Inbox
from evenflow.monitor.losses import Losses

# Trains, then stays within its next step until all losses so far are in the file; then is killed.
KILLED = """
import os, signal, sys, time, torch, evenflow
path, every, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
model = torch.nn.Linear(4, 4)
optimizer = torch.optim.SGD(model.parameters(), 0.1)
evenflow.watch(model, optimizer, run=path, every=int(every) if every.isdigit() else every)
for step in range(steps):
    optimizer.zero_grad()
    model(torch.ones(2, 4)).square().sum().backward()
    if step == steps - 1:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            time.sleep(0.05)
            curve = evenflow.load(path).curve_steps
            if len(curve) and curve[-1] == step:
                os.kill(os.getpid(), signal.SIGKILL)
    optimizer.step()
"""


@pytest.mark.parametrize(("every", "steps"), [("auto", 150), ("0", 6), ("0", 150), ("7", 30)])
def test_a_kill_within_a_slow_step_costs_no_loss(every: str, steps: int, tmp_path: Path) -> None:
    path = tmp_path / "r.evenflow"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), every, str(steps)])
    assert done.returncode == -signal.SIGKILL
    run = evenflow.load(path)
    assert run.curve_steps.tolist() == list(range(steps))
    assert run.unsampled == (every == "0")


class Deaf:
    """A writer that only says what it was to fetch from."""

    def fetch(self, source: Callable[[], Any]) -> None:
        self.source = source


def test_losses_of_a_step_add_up_also_when_one_comes_late() -> None:
    writer = Deaf()
    losses = Losses(writer, lambda: None, name_ops=False)  # type: ignore[arg-type]
    losses.began()
    for step, loss in ((0, 1.0), (1, 2.0), (1, 3.0), (2, 0.5)):
        losses._note(step, torch.tensor(loss))
    assert writer.source() == ([0, 1, 2], [1.0, 5.0, 0.5])
    losses._note(2, torch.tensor(0.25))
    losses._note(3, torch.tensor(7.0))
    assert writer.source() == ([2, 3], [0.75, 7.0])
    assert writer.source() == ([], [])


def test_losses_on_a_device_are_sent_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """`meta` stands for a device here: a value there can be held, not read."""
    now, sent = [0.0], list[list[int]]()
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    monkeypatch.setattr(Inbox, "send", lambda self, steps, values: sent.append(steps))
    losses = Losses(Deaf(), lambda: None, name_ops=False)  # type: ignore[arg-type]
    losses.began()
    for step in range(10):
        losses._note(step, torch.empty((), device="meta"))
        now[0] += 0.08
    assert sent[0] == [0, 1, 2, 3, 4]
    assert len(sent) == 2
    losses.unsampled([(10, torch.empty(1, device="meta"))])
    losses.close([])
    assert [step for part in sent for step in part] == list(range(11))


def test_a_copy_has_come_when_no_mark_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that fills late, as a device does it: nothing is told before all has come."""
    inbox = Inbox()
    monkeypatch.setattr(inbox, "_block", lambda: torch.empty(512, dtype=torch.float64))
    inbox._copy([3, 4], torch.tensor([1.5, float("nan")], dtype=torch.float64))
    _, values, _ = inbox._on_the_way[0]
    values.view(np.int64)[1] = _MARK
    inbox._copy([5], torch.tensor([2.0], dtype=torch.float64))
    assert inbox.taken() == []
    values[1] = np.nan
    told = inbox.taken()
    assert [step for step, _ in told] == [3, 4, 5]
    np.testing.assert_equal([loss for _, loss in told], [1.5, np.nan, 2.0])
    assert len(inbox._spare) == 2
    inbox._copy([6], torch.tensor([4.0], dtype=torch.float64))
    assert inbox.taken() == [(6, 4.0)]
    assert len(inbox._spare) == 2


def test_a_device_without_page_locked_memory_is_copied_at_once() -> None:
    inbox = Inbox()
    inbox.send([1, 2], [torch.tensor(1.0), torch.tensor(2.0, dtype=torch.bfloat16)])
    assert inbox.taken() == [(1, 1.0), (2, 2.0)]
    inbox.wait()


def test_a_quiet_stretch_ends_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(quiet, "monotonic", lambda: now[0])
    model = torch.nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    import weakref
    from collections import deque

    still = quiet.Quiet(lambda loss: loss.detach(), deque())
    still.begin({id(optimizer): weakref.ref(optimizer)}, 8)
    assert still.update(optimizer)
    now[0] = 2 * quiet.SECONDS
    assert not still.update(optimizer)
    assert not still.on
    assert still.step == 1
