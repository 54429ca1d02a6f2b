"""Core readings that wait until the forward is over: what they read, and what must not spoil them.

The oracle is plain torch on the module's own outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import evenflow
from evenflow.schema import Run


def core(path: Path, model: nn.Module, forward: Callable[[], Tensor], steps: int = 3) -> Run:
    """Steps of rate 0, sampled: the first, which meets the sites, in full, then core readings."""
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    with evenflow.watch(run=path / "r.evenflow", every=1) as watch:
        cadence: Any = watch._conductor.cadence  # type: ignore[union-attr]
        cadence.full = lambda step, samples: step == 0
        for _ in range(steps):
            forward().square().mean().backward()
            optimizer.step()
    return evenflow.load(watch.path)


def readings(run: Run, op: str, metric: str) -> list[float]:
    (site,) = [s.id for s in run.sites if s.op == op]
    column = run.site(site, metric)
    assert column is not None
    return list(map(float, column))


def model(activation: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), activation, nn.Linear(8, 3))


@pytest.mark.parametrize(
    ("activation", "op"),
    [(nn.ReLU(), "relu"), (nn.ReLU(inplace=True), "relu"), (nn.Sigmoid(), "sigmoid"),
     (nn.Tanh(), "tanh"), (nn.Hardtanh(), "hardtanh")],
)  # fmt: skip
def test_they_are_those_of_the_output(activation: nn.Module, op: str, tmp_path: Path) -> None:
    net, x = model(activation), 9 * torch.randn(40, 6)
    out = net[:2](x).detach().clone()
    run = core(tmp_path, net, lambda: net(x))
    assert readings(run, op, "zeros") == pytest.approx([float((out == 0).float().mean())] * 3)
    low_high = evenflow.network.SATURATED.get(op)
    if low_high is not None:
        low, high = low_high
        past = (out <= low) | (out >= high) if op == "hardtanh" else (out < low) | (out > high)
        assert 0 < float(past.float().mean()) < 1
        assert readings(run, op, "saturated") == pytest.approx([float(past.float().mean())] * 3)


def test_reading_them_makes_no_sites_and_a_users_mode_does_not_see_it(tmp_path: Path) -> None:
    net, x = model(nn.Tanh()), torch.randn(40, 6)

    class Counting(TorchFunctionMode):
        seen = 0

        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            type(self).seen += 1
            return func(*args, **(kwargs or {}))

    def forward() -> Tensor:
        with Counting():
            out: Tensor = net(x)
        return out

    forward()
    alone, Counting.seen = Counting.seen, 0
    run = core(tmp_path, net, forward, 4)
    assert Counting.seen == 4 * alone
    ops = [s.op for s in run.sites if s.kind not in ("input", "loss")]
    assert sorted(set(ops) - {"mean", "square", "pow"}) == ["linear", "tanh"]
    assert len(readings(run, "tanh", "saturated")) == 4


def test_a_functional_network_without_modules_is_read_before_its_backward(tmp_path: Path) -> None:
    net, x = model(nn.ReLU()), torch.randn(40, 6)
    a, b = net[0], net[2]

    def forward() -> Tensor:
        hidden = torch.relu(F.linear(x, a.weight, a.bias))  # type: ignore[arg-type]
        return F.linear(hidden, b.weight, b.bias)  # type: ignore[arg-type]

    run = core(tmp_path, net, forward)
    zero = float((net[:2](x) == 0).float().mean())
    assert readings(run, "relu", "zeros") == pytest.approx([zero] * 3)


@pytest.mark.parametrize(("rows", "copied"), [(40, True), (400, False)])
def test_what_was_packed_away_and_overwritten_is_left_out(
    rows: int, copied: bool, tmp_path: Path
) -> None:
    """Saved-tensor hooks copy the result, so the script may overwrite it: no false reading. A small
    one (`together.SMALL` elements) was copied."""
    net, x = model(nn.ReLU()), torch.randn(rows, 6)

    def forward() -> Tensor:
        with torch.autograd.graph.saved_tensors_hooks(torch.clone, lambda t: t):
            out = net[:2](x)
            kept = out * 1.0
            with torch.no_grad():
                out.zero_()
        done: Tensor = net[2](kept)
        return done

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self) -> Tensor:
            return forward()

    whole = Whole()
    run = core(tmp_path, whole, whole)
    read = readings(run, "relu", "zeros")
    zero = float((net[:2](x) == 0).float().mean())
    assert read == pytest.approx([zero] * 3 if copied else [zero, *[math.nan] * 2], nan_ok=True)
