"""EF303: steps that 16-bit weights cannot take; and weights with a 32-bit copy behind them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import evenflow
from evenflow.faults import judge
from evenflow.schema import Finding, Severity

from .synthetic import Builder, perceptron

Make = Callable[..., torch.optim.Optimizer]


class SGDWithCopy(torch.optim.SGD):
    """SGD that sums in float32 and rounds what it shows."""

    @torch.no_grad()
    def step(self, closure: object = None) -> None:  # type: ignore[override]
        for p in self.param_groups[0]["params"]:
            copy = self.state[p].setdefault("copy", p.float())
            copy -= self.param_groups[0]["lr"] * p.grad.float()
            p.copy_(copy)


def told(
    path: Path, make: Make, dtype: torch.dtype = torch.bfloat16, steps: int = 100
) -> dict[str, Finding]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 3)).to(dtype)
    optimizer = make(net.parameters())
    with evenflow.watch(net, optimizer, run=path):
        for _ in range(steps):
            x = torch.randn(32, 8)
            loss = F.cross_entropy(net(x.to(dtype)).float(), x[:, :3].argmax(1))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return {f.code: f for f in evenflow.diagnose(path)}


SICK: dict[str, Make] = {
    "sgd": partial(torch.optim.SGD, lr=1e-3),
    "momentum": partial(torch.optim.SGD, lr=1e-5, momentum=0.9),
    "adam": partial(torch.optim.Adam, lr=1e-5),
    "adamw": partial(torch.optim.AdamW, lr=1e-5),
    "nothing-at-all": partial(torch.optim.SGD, lr=1e-9),
}


@pytest.mark.parametrize("kind", SICK)
def test_steps_that_are_rounded_away(kind: str, tmp_path: Path) -> None:
    found = told(tmp_path / "run.evenflow", SICK[kind])
    assert next(iter(found)) == "EF303", found
    assert found["EF303"].severity is Severity.error
    assert {f.cause for code, f in found.items() if code != "EF303"} <= {"EF303"}


HEALTHY: dict[str, tuple[Make, torch.dtype]] = {
    "large-steps": (partial(torch.optim.SGD, lr=0.3), torch.bfloat16),
    "adam": (partial(torch.optim.Adam, lr=1e-2), torch.bfloat16),
    "a-copy": (partial(SGDWithCopy, lr=1e-3), torch.bfloat16),
    "a-copy-and-small-steps": (partial(SGDWithCopy, lr=5e-4), torch.bfloat16),
    "float32": (partial(torch.optim.SGD, lr=1e-5), torch.float32),
}


@pytest.mark.parametrize("kind", HEALTHY)
def test_steps_that_arrive(kind: str, tmp_path: Path) -> None:
    make, dtype = HEALTHY[kind]
    assert "EF303" not in told(tmp_path / "run.evenflow", make, dtype, steps=400)


def low(dtype: str = "bfloat16", update: float = 1e-4, loss: float = 2.3) -> Builder:
    """SGD at a rate of .1 asks for steps of 1e-3 of weights of norm 5: .1 of half a unit."""
    b = perceptron(3).loss(loss).set_params("update", update)
    b.params = [replace(p, dtype=dtype) for p in b.params]
    return b


def only(b: Builder) -> Finding | None:
    return next((f for f in judge(b.run()) if f.code == "EF303"), None)


def test_what_is_read() -> None:
    f = only(low())
    assert f is not None and f.severity is Severity.error
    assert f.evidence["applied"] == pytest.approx(0.1)
    assert f.evidence["half_units"] == pytest.approx(1e-3 / 5 * 2**9)
    assert f.evidence["lost"] == 1 and "Net.layers.0.weight" in f.params
    some = only(low(loss=1.0))
    assert some is not None and some.severity is Severity.warning
    one = low(update=1e-3, loss=1.0).set_param("Net.head.weight", "update", 0.0)
    f = only(one)
    assert f is not None and f.severity is Severity.warning and f.params == ("Net.head.weight",)


def test_what_is_no_such_fault() -> None:
    assert only(low("float32")) is None
    assert only(low(update=1e-3)) is None  # all of it arrives
    assert only(low("float16", update=5e-4)) is None
    assert only(low(loss=0.05)) is None  # converged
    assert only(low().forget("param", "update")) is None
    spent = low(update=1e-3)  # a schedule's end
    rate = np.where(np.arange(len(spent.steps)) < 12, 0.1, 1e-6)
    spent.set_step("lr", rate).set_params("update", 1e-2 * rate)
    assert only(spent) is None or only(spent).severity is Severity.warning  # type: ignore[union-attr]
