"""Other machines: what this one has and others lack is taken away."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
