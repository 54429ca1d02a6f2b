"""torch.compile: same graphs, no breaks, same losses; sampled steps are read all the same.

Each case runs in a process of its own: dynamo keeps counters and caches for a process.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from patience import HANG

SCRIPT = """
import json, sys
import torch, torch.nn.functional as F
from torch import nn
import evenflow

how, path = sys.argv[1], sys.argv[2]
torch.set_num_threads(1)
torch.manual_seed(0)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 16), nn.Linear(16, 3)
    def forward(self, x):
        return self.b(torch.tanh(self.a(x)))

net = Net()
by_hand = how == "fullgraph"
optimizer = None if by_hand else torch.optim.SGD(net.parameters(), 0.05)
if how == "in place before":
    net.compile(backend="aot_eager")
watch = evenflow.watch(run=path) if path else None
params = list(net.parameters())
call, backend = net, "aot_eager"
if how == "module":
    call = torch.compile(net, backend=backend)
elif how == "in place":
    net.compile(backend=backend)
elif how == "function":
    call = torch.compile(lambda x: net(x), backend=backend)

def step(x, y):
    optimizer.zero_grad()
    loss = F.cross_entropy(net(x), y)
    loss.backward()
    optimizer.step()
    return loss.detach()

def whole(x, y):
    loss = F.cross_entropy(net(x), y)
    grads = torch.autograd.grad(loss, params)
    with torch.no_grad():
        for p, g in zip(params, grads):
            p.sub_(g, alpha=0.05)
    return loss.detach()

if how == "step":
    compiled = torch.compile(step, backend=backend)
if by_hand:
    torch._dynamo.config.trace_autograd_ops = True
    compiled = torch.compile(whole, fullgraph=True, backend=backend)

losses = []
for i in range(60):
    x, y = torch.randn(16, 8), torch.randint(0, 3, (16,))
    if how in ("step", "fullgraph"):
        losses.append(float(compiled(x, y)))
        continue
    optimizer.zero_grad()
    loss = F.cross_entropy(call(x), y)
    if i % 7 == 0:  # evaluation between forward and backward
        net.eval()
        with torch.no_grad():
            call(x)
        net.train()
    loss.backward()
    optimizer.step()
    losses.append(float(loss.detach()))
if watch:
    watch.close()
from torch._dynamo.utils import counters
print(json.dumps({
    "losses": losses, "breaks": sum(counters["graph_break"].values()),
    "graphs": counters["stats"]["unique_graphs"], "captured": counters["stats"]["calls_captured"],
}))
"""


def run(how: str, path: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, how, path], capture_output=True, text=True, timeout=HANG
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Evenflow" not in done.stderr and "global hooks" not in done.stderr
    out: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return out


@pytest.mark.parametrize(
    "how",
    [
        "module",
        "fullgraph",
        *(
            pytest.param(h, marks=pytest.mark.slow)
            for h in ("in place", "in place before", "function", "step")
        ),
    ],
)
def test_compiled_training_is_the_same(how: str, tmp_path: Path) -> None:
    import evenflow

    bare, watched = run(how, ""), run(how, str(tmp_path / "r.evenflow"))
    assert watched["losses"] == pytest.approx(bare["losses"], rel=1e-4)
    if how != "step":
        assert {k: watched[k] for k in ("breaks", "graphs", "captured")} == {
            k: bare[k] for k in ("breaks", "graphs", "captured")
        }
    assert watched["graphs"] > 0 or how == "in place"
    stored = evenflow.load(tmp_path / "r.evenflow")
    assert stored.meta["steps"] >= 59 and len(stored.steps) >= 12
    named = {(s.path, s.op) for s in stored.sites}
    assert {("a", "linear"), ("", "tanh"), ("b", "linear"), ("", "cross_entropy")} <= named
    delta = next(s.id for s in stored.sites if s.path == "a")
    assert stored.site(delta, "delta") is not None
