"""EF812: weights that decay faster than they learn; decay that does no harm."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.faults import View, judge
from evenflow.schema import Finding, Severity

from .synthetic import Builder, perceptron, steps_until

Make = Callable[..., torch.optim.Optimizer]
sgd: Make = partial(torch.optim.SGD, lr=0.1)


def plain() -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))


def normed() -> nn.Sequential:
    norms = [nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 32)]
    return nn.Sequential(*norms, nn.LayerNorm(32), nn.ReLU(), nn.Linear(32, 3))


def told(
    path: Path,
    make: Make,
    *,
    net: Callable[[], nn.Sequential] = plain,
    penalty: float = 0.0,
    head: bool = True,
    steps: int = 120,
) -> dict[str, Finding]:
    """`head`: is the last layer's weight decayed, too?"""
    torch.manual_seed(0)
    model = net()
    last = [{"params": model[-1].parameters(), "weight_decay": 0.0}]
    rest = {"params": model[:-1].parameters()}
    optimizer = make(model.parameters() if head else [rest, *last])
    with evenflow.watch(model, optimizer, run=path):
        for _ in range(steps):
            x = torch.randn(32, 8)
            loss: Tensor = F.cross_entropy(model(x), x[:, :3].argmax(1))
            if penalty:
                loss = loss + penalty * sum(p.pow(2).sum() for p in model.parameters())
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return {f.code: f for f in evenflow.diagnose(path)}


SICK: dict[str, tuple[Make, float, str]] = {
    "sgd": (partial(sgd, weight_decay=1.0), 0.0, "weight-decay"),
    "momentum": (partial(sgd, momentum=0.9, weight_decay=0.5), 0.0, "weight-decay"),
    "adam": (partial(torch.optim.Adam, lr=0.01, weight_decay=5.0), 0.0, "weight-decay"),
    "adamw": (partial(torch.optim.AdamW, lr=1e-3, weight_decay=80.0), 0.0, "weight-decay"),
    "penalty": (sgd, 0.5, "penalty"),
}


@pytest.mark.parametrize("kind", SICK)
def test_weights_that_decay(kind: str, tmp_path: Path) -> None:
    make, penalty, cause = SICK[kind]
    found = told(tmp_path / "run.evenflow", make, penalty=penalty)
    assert next(iter(found)) == "EF812", found
    assert found["EF812"].severity is Severity.error and found["EF812"].cause == cause
    assert {f.cause for code, f in found.items() if code != "EF812"} <= {"EF812"}


HEALTHY: dict[str, dict[str, object]] = {
    "sgd": {"make": partial(sgd, weight_decay=1e-3)},
    "adamw": {"make": partial(torch.optim.AdamW, lr=1e-2, weight_decay=0.1)},
    "adamw-much": {"make": partial(torch.optim.AdamW, lr=1e-2, weight_decay=1.0)},
    "before-norms": {"make": partial(sgd, weight_decay=0.1), "net": normed, "head": False},
    "penalty": {"make": sgd, "penalty": 1e-4},
}


@pytest.mark.parametrize("kind", HEALTHY)
def test_decay_that_does_no_harm(kind: str, tmp_path: Path) -> None:
    found = told(tmp_path / "run.evenflow", **HEALTHY[kind])  # type: ignore[arg-type]
    assert not [f for f in found.values() if f.severity > Severity.info], found


STEPS = steps_until(100, 5)


def shrinking(inward: float = 1.0, loss: float = 2.3) -> Builder:
    """Norms that fall by 1/e in 20 steps, by updates `inward` of whose length does so."""
    b = perceptron(steps=STEPS).loss(loss).set_step("weight_decay", 0.5)
    norm = 5.0 * np.exp(-STEPS / 20)
    return b.set_params("weight", norm).set_params("update", norm / 20 / inward)


def only(b: Builder) -> Finding | None:
    return next((f for f in judge(b.run()) if f.code == "EF812"), None)


def test_what_is_read() -> None:
    f = only(shrinking())
    assert f is not None and f.severity is Severity.error and f.cause == "weight-decay"
    assert f.evidence["inward"] == pytest.approx(1.0)
    assert f.evidence["steps_to_e"] == pytest.approx(20.0)
    none = shrinking(loss=1.2).set_step("weight_decay", 0.0)
    assert only(none) is None  # the loss is its function's own: the gradient shrinks them
    some = only(none.set("cross_entropy", "rms", 1.2 - np.exp(-STEPS / 10)))
    assert some is not None and some.severity is Severity.warning and some.cause == "penalty"


def test_a_gradient_that_shrinks_what_has_nothing_to_learn(tmp_path: Path) -> None:
    """Targets that do not belong to their inputs: zero is the best there is to say."""
    torch.manual_seed(0)
    model = nn.Linear(8, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    with evenflow.watch(model, optimizer, run=tmp_path / "run.evenflow"):
        for _ in range(120):
            loss = F.mse_loss(model(torch.randn(512, 8)), torch.randn(512, 1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    run = evenflow.load(tmp_path / "run.evenflow")
    assert "EF812" not in {f.code for f in evenflow.diagnose(run)}
    weight = next(p.id for p in run.params if p.name.endswith("weight"))
    norms = View(run).param("weight")[:, weight]
    norms = norms[np.isfinite(norms)]
    assert norms[-1] < norms[0] / 2  # and they did shrink


def test_what_is_no_such_fault() -> None:
    assert only(shrinking(inward=0.4)) is None  # the gradient pulls crosswise
    assert only(shrinking(loss=0.1)) is None  # and yet it learns
    falls = 2.3 - 1.2 * np.arange(101) / 100
    assert only(shrinking().loss(falls)) is None  # and goes on learning
    assert only(shrinking().set_params("weight", 5.0 * np.exp(-STEPS / 200))) is None
    assert only(shrinking().set_params("weight", 5.0)) is None
    assert only(shrinking().forget("param", "update")) is None
    one = shrinking().set_params("weight", 5.0)
    one.set_param("Net.head.weight", "weight", 5.0 * np.exp(-STEPS / 20))
    assert only(one) is None  # one of four
