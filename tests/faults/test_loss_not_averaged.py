"""EF810: sums over samples and micro-batches at a rate for a mean; and sums that do no harm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

import evenflow
from evenflow.faults import judge
from evenflow.report.sentences import remedies
from evenflow.schema import Finding, Severity

from .synthetic import Builder, perceptron, steps_until

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]
PARTS = 16


def told(
    path: Path,
    backward: Callable[[nn.Module, Tensor, Tensor], None],
    *,
    adam: bool = False,
    lr: float = 0.2,
    clip: float = 0.0,
    divide: float = 1.0,
    steps: int = 60,
) -> dict[str, Finding]:
    """32 samples a step, whose class is the largest of their first three features."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))
    optimizer: torch.optim.Optimizer = torch.optim.SGD(net.parameters(), lr, momentum=0.9)
    if adam:
        optimizer = torch.optim.Adam(net.parameters(), lr)
    with evenflow.watch(net, optimizer, run=path):
        for _ in range(steps):
            x = torch.randn(32, 8)
            optimizer.zero_grad()
            backward(net, x, x[:, :3].argmax(1))
            for p in net.parameters():
                assert p.grad is not None
                p.grad /= divide
            if clip:
                clip_grad_norm_(net.parameters(), clip)
            optimizer.step()
    return {f.code: f for f in evenflow.diagnose(path)}


def of(loss: Loss) -> Callable[[nn.Module, Tensor, Tensor], None]:
    return lambda net, x, y: loss(net, x, y).backward()  # type: ignore[no-untyped-call]


def in_parts(share: float, parts: int = PARTS) -> Callable[[nn.Module, Tensor, Tensor], None]:
    def backward(net: nn.Module, x: Tensor, y: Tensor) -> None:
        for part, target in zip(x.chunk(parts), y.chunk(parts), strict=True):
            (F.cross_entropy(net(part), target) * share).backward()  # type: ignore[no-untyped-call]

    return backward


def one_by_one(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return sum(
        (F.cross_entropy(net(a[None]), b[None]) for a, b in zip(x, y, strict=True)), x.new_zeros(())
    )


def by_hand(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return ((net(x) - F.one_hot(y, 3).float()) ** 2).sum()


#: backward, cause, times the gradient of a mean over samples
SICK: dict[str, tuple[Callable[[nn.Module, Tensor, Tensor], None], str, float]] = {
    "reduction": (
        of(lambda net, x, y: F.cross_entropy(net(x), y, reduction="sum")),
        "summed",
        32.0,
    ),
    "module": (
        of(lambda net, x, y: nn.CrossEntropyLoss(reduction="sum")(net(x), y)),
        "summed",
        32.0,
    ),
    "by-place": (
        of(lambda net, x, y: F.cross_entropy(net(x), y, None, None, -100, None, "sum")),
        "summed",
        32.0,
    ),
    "none-and-sum": (
        of(lambda net, x, y: F.cross_entropy(net(x), y, reduction="none").sum()),
        "summed",
        32.0,
    ),
    "squares-by-hand": (of(by_hand), "summed", 32.0),
    "micro-batches": (in_parts(1.0), "accumulated", 16.0),
    "one-backward-a-sample": (in_parts(1.0, 32), "accumulated", 32.0),
}


@pytest.mark.parametrize("kind", SICK)
def test_a_sum_at_a_rate_for_a_mean(kind: str, tmp_path: Path) -> None:
    backward, cause, times = SICK[kind]
    found = told(tmp_path / "run.evenflow", backward, lr=0.3)
    assert next(iter(found)) == "EF810", found
    f = found["EF810"]
    assert f.severity >= Severity.warning and f.cause == cause
    assert f.evidence["times_the_mean"] == pytest.approx(times, rel=1e-3)
    assert {g.cause for code, g in found.items() if code != "EF810"} <= {"EF810"}
    first = remedies(f, evenflow.load(tmp_path / "run.evenflow"))[0]
    assert ("(loss / parts).backward()" in first) == (cause == "accumulated")


def test_samples_added_up_in_a_list(tmp_path: Path) -> None:
    found = told(tmp_path / "run.evenflow", of(one_by_one), lr=0.3)
    assert next(iter(found)) == "EF810"
    assert found["EF810"].cause == "summed"


HEALTHY: dict[str, dict[str, object]] = {
    "mean": {"backward": of(lambda net, x, y: F.cross_entropy(net(x), y))},
    "divided": {"backward": in_parts(1 / PARTS)},
    "divided-at-the-end": {"backward": in_parts(1.0), "divide": PARTS},
    "sum-by-the-batch": {
        "backward": of(lambda net, x, y: F.cross_entropy(net(x), y, reduction="sum") / len(x))
    },
    "a-rate-for-a-sum": {
        "backward": of(lambda net, x, y: F.cross_entropy(net(x), y, reduction="sum")),
        "lr": 0.005,
    },
    "a-rate-for-micro-batches": {"backward": in_parts(1.0), "lr": 0.01},
    "adam": {
        "backward": of(lambda net, x, y: F.cross_entropy(net(x), y, reduction="sum")),
        "adam": True,
        "lr": 3e-3,
    },
    "clipped": {
        "backward": of(lambda net, x, y: F.cross_entropy(net(x), y, reduction="sum")),
        "clip": 0.5,
    },
}


@pytest.mark.parametrize("kind", HEALTHY)
def test_sums_that_do_no_harm(kind: str, tmp_path: Path) -> None:
    found = told(tmp_path / "run.evenflow", steps=120, **HEALTHY[kind])  # type: ignore[arg-type]
    assert not [f for f in found.values() if f.severity > Severity.info], found
    assert "EF810" not in found


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_rate_too_high_for_a_mean_is_the_cause_itself(reduction: str, tmp_path: Path) -> None:
    loss = of(lambda net, x, y: F.cross_entropy(net(x), y, reduction=reduction))
    found = told(tmp_path / "run.evenflow", loss, lr=30.0)
    assert "EF810" not in found and "EF703" in found


def diverged(backwards: float = 16.0, delta: float = 1.0) -> Builder:
    """Micro-batches, steps of .3 of the weights, and a loss that climbs."""
    b = perceptron(steps=steps_until(60, 2))
    b.loss(2.3 * 1.15 ** np.arange(61)).set_params("update", 1.5)
    b.set_step("backwards", backwards)
    return b.set("cross_entropy", "delta", delta)


def only(b: Builder) -> Finding | None:
    return next((f for f in judge(b.run()) if f.code == "EF810"), None)


def test_what_is_counted() -> None:
    f = only(diverged())
    assert f is not None and f.severity is Severity.error and f.cause == "accumulated"
    assert f.evidence["times_the_mean"] == 16 and f.evidence["averaged_update"] == 0.3 / 16
    assert only(diverged(3.0)) is None  # three times the mean
    assert only(diverged(delta=1 / 16)) is None
    assert only(diverged().set_step("grad_kept", 1 / 16)) is None
    assert only(diverged().optimizer("AdamW")) is None
    assert only(diverged().set_params("update", 5 * 16.0)) is None  # its mean: 1 of the weights
    assert only(diverged().loss(2.3 * 0.97 ** np.arange(61)).set_params("update", 5e-3)) is None
    summed = only(diverged(1.0).set("cross_entropy", "summed", 1.0))
    assert summed is not None and summed.cause == "summed"
    assert summed.evidence["times_the_mean"] == 32


def test_nothing_measured_nothing_said() -> None:
    assert only(diverged().forget("site", "delta")) is None
    assert only(diverged().forget("step", "backwards")) is None
    assert only(diverged().forget("param", "update")) is None


def test_where_nothing_is_left_of_any_gradient_nothing_is_divided_by_it() -> None:
    assert only(diverged().set_step("grad_kept", 0.0)) is None
