"""Other machines: what this one has and others lack is taken away."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import evenflow
from evenflow.tape import numbers, parameters, scalars

WINDOWS = """
import os, sys
import torch, torch.distributed.elastic  # Linux builds of torch want these themselves
for name in ("fork", "register_at_fork", "killpg", "sched_getaffinity", "getuid", "WNOHANG"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None  # importing it raises ImportError
import signal
for name in ("SIGKILL", "SIGALRM", "setitimer", "SIGHUP"):
    if hasattr(signal, name):
        delattr(signal, name)
import evenflow, evenflow.cli, evenflow.trial, evenflow.fit
from torch import nn
net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
optimizer = torch.optim.SGD(net.parameters(), 0.1)
with evenflow.watch(run=sys.argv[1], heal=True, every=1) as watch:
    for _ in range(3):
        optimizer.zero_grad()
        net(torch.randn(8, 3)).square().mean().backward()
        optimizer.step()
print(len(evenflow.load(watch.path).steps))
"""


def test_a_machine_without_posix(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WINDOWS, str(tmp_path / "r.evenflow")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["3"]


def test_a_device_without_float64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No conversion asks such a device for what it has not; the readings stay what they were."""

    def train(path: Path) -> evenflow.Run:
        torch.manual_seed(0)
        net = Forked()
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        with evenflow.watch(run=path, every=1) as watch:
            for _ in range(3):
                optimizer.zero_grad()
                net(torch.randn(6, 5, 4)).square().mean().backward()
                optimizer.step()
            assert watch.active
        return evenflow.load(watch.path)

    there = train(tmp_path / "a.evenflow")

    def no_double(self: Tensor) -> Tensor:
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype")

    whole: Any = Tensor.to

    def no_to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if torch.float64 in (*args, *kwargs.values()):
            no_double(self)
        moved: Tensor = whole(self, *args, **kwargs)
        return moved

    monkeypatch.setattr(scalars, "widest", lambda kind: torch.float32)
    monkeypatch.setattr(numbers, "widest", lambda kind: torch.float32)
    monkeypatch.setattr(Tensor, "double", no_double)
    monkeypatch.setattr(Tensor, "to", no_to)
    g = torch.randn(5)
    assert numbers.wide(g).dtype == torch.float32
    assert float(parameters._hypot([3.0, torch.tensor(4.0)])) == 5.0
    here = train(tmp_path / "b.evenflow")
    assert here.columns.keys() == there.columns.keys()
    assert {"share", "flow"} <= {c.metric for c in here.columns}
    for channel, column in there.columns.items():
        if channel.of != "step":
            np.testing.assert_allclose(here.columns[channel], column, rtol=1e-4, atol=1e-6)


def test_the_widest_numbers_are_found_out_by_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*args: Any, **kwargs: Any) -> None:
        raise TypeError("no float64 here")

    scalars.widest.cache_clear()
    assert scalars.widest("cpu") == torch.float64
    monkeypatch.setattr(torch, "empty", refuses)
    assert scalars.widest("mps") == torch.float32
    scalars.widest.cache_clear()


class Forked(nn.Module):
    """A trunk with three branches (shares by inner products), after a recurrent layer (a probe)."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(4, 6, batch_first=True)
        self.a, self.b, self.c = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.rnn(x)[0])
        out: Tensor = self.a(h) + self.b(h) * self.c(h)
        return out
