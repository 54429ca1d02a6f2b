"""EF811: gradients that are clipped away, however they are clipped; and clips that only trim."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

import evenflow
from evenflow.faults import judge
from evenflow.report.sentences import remedies
from evenflow.schema import Finding, Severity

from .synthetic import Builder, perceptron, steps_until

Clip = Callable[[nn.Module], object]


def net(act: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 32), act(), nn.Linear(32, 3))


def told(
    path: Path,
    clip: Clip,
    *,
    scaler: torch.amp.GradScaler | None = None,
    unscale: bool = False,
    lr: float = 0.1,
    adam: bool = False,
    parts: int = 1,
    times: float = 1.0,
    steps: int = 130,
) -> dict[str, Finding]:
    model = net()
    kind = torch.optim.Adam if adam else torch.optim.SGD
    optimizer = kind(model.parameters(), lr)
    scaling = scaler or torch.amp.GradScaler("cpu", enabled=False)
    with evenflow.watch(model, optimizer, run=path):
        for _ in range(steps):
            optimizer.zero_grad()
            for _ in range(parts):
                x = torch.randn(32, 8)
                loss = times * F.cross_entropy(model(x), x[:, :3].argmax(1)) / parts
                scaling.scale(loss).backward()  # type: ignore[no-untyped-call]
            if unscale:
                scaling.unscale_(optimizer)
            clip(model)
            scaling.step(optimizer)
            scaling.update()
    return {f.code: f for f in evenflow.diagnose(path)}


def norm(limit: float) -> Clip:
    return lambda m: clip_grad_norm_(m.parameters(), limit)


def by_hand(limit: float) -> Clip:
    def clip(m: nn.Module) -> None:
        size = math.sqrt(sum(float(p.grad.square().sum()) for p in m.parameters()))  # type: ignore[union-attr]
        for p in m.parameters():
            assert p.grad is not None
            p.grad *= min(1.0, limit / size)

    return clip


def each(limit: float) -> Clip:
    def clip(m: nn.Module) -> None:
        for p in m.parameters():
            clip_grad_norm_([p], limit)

    return clip


#: clip, scaler's start (0: no scaler), cause
SICK: dict[str, tuple[Clip, float, str]] = {
    "norm": (norm(1e-4), 0.0, "clip-too-low"),
    "value": (lambda m: clip_grad_value_(m.parameters(), 1e-5), 0.0, "clip-too-low"),
    "by-hand": (by_hand(1e-4), 0.0, "clip-too-low"),
    "each-tensor": (each(1e-4), 0.0, "clip-too-low"),
    "before-unscale": (norm(1.0), 2.0**16, "before-unscale"),
    "value-before-unscale": (
        lambda m: clip_grad_value_(m.parameters(), 0.5),
        2.0**16,
        "before-unscale",
    ),
}


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("kind", SICK)
def test_clipped_away(kind: str, parts: int, tmp_path: Path) -> None:
    clip, start, cause = SICK[kind]
    scaler = torch.amp.GradScaler("cpu", init_scale=start) if start else None
    found = told(tmp_path / "run.evenflow", clip, scaler=scaler, parts=parts)
    assert next(iter(found)) == "EF811"
    f = found["EF811"]
    assert f.severity is Severity.error and f.cause == cause
    assert f.evidence["gradient_kept"] < 1e-2
    assert {g.cause for code, g in found.items() if code != "EF811"} <= {"EF811"}
    first = remedies(f, evenflow.load(tmp_path / "run.evenflow"))[0]
    assert ("unscale_" in first) == (cause == "before-unscale")


def test_a_scale_that_grows_is_no_policy_gradient(tmp_path: Path) -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=20)
    found = told(tmp_path / "run.evenflow", norm(1.0), scaler=scaler)
    assert found["EF811"].severity is Severity.error
    assert found["EF811"].cause == "before-unscale"


HEALTHY: dict[str, dict[str, object]] = {
    "trims": {"clip": norm(1.0)},
    "unscaled-first": {
        "clip": norm(1.0),
        "scaler": torch.amp.GradScaler("cpu"),
        "unscale": True,
    },
    "a-scaler-and-no-clip": {"clip": lambda m: None, "scaler": torch.amp.GradScaler("cpu")},
    "adam": {"clip": norm(0.01), "adam": True, "lr": 1e-2},
    "the-rate-makes-up-for-it": {"clip": norm(0.01), "lr": 20.0},
    "a-sum-clipped-to-one": {"clip": norm(1.0), "times": 32.0},
}


@pytest.mark.parametrize("kind", HEALTHY)
def test_clips_that_do_no_harm(kind: str, tmp_path: Path) -> None:
    found = told(tmp_path / "run.evenflow", **HEALTHY[kind])  # type: ignore[arg-type]
    assert not [f for f in found.values() if f.severity > Severity.info], found


@pytest.mark.parametrize("share", [1 / 16, 1 / 1024])
def test_dividing_is_no_clip(share: float, tmp_path: Path) -> None:
    """Micro-batches divided at the end, a loss scale of one's own."""

    def divide(m: nn.Module) -> None:
        for p in m.parameters():
            assert p.grad is not None
            p.grad *= share

    assert "EF811" not in told(tmp_path / "run.evenflow", divide, times=1 / share)


def test_what_is_kept_is_the_share_of_the_norm(tmp_path: Path) -> None:
    """The reading against a slow one: gradients copied before the clip and after."""
    model, shares = net(nn.Tanh), []
    optimizer = torch.optim.SGD(model.parameters(), 0.5)
    with evenflow.watch(model, optimizer, run=tmp_path / "run.evenflow", every=1):
        for _ in range(9):
            optimizer.zero_grad()
            for _ in range(2):
                x = torch.randn(16, 8)
                F.cross_entropy(model(x), x[:, :3].argmax(1)).backward()
            whole: list[Tensor] = [p.grad.clone() for p in model.parameters()]  # type: ignore[union-attr]
            clip_grad_value_(model.parameters(), 0.02)
            left = sum(float(p.grad.double().square().sum()) for p in model.parameters())  # type: ignore[union-attr]
            shares.append(math.sqrt(left / sum(float(g.double().square().sum()) for g in whole)))
            optimizer.step()
    kept = evenflow.load(tmp_path / "run.evenflow").step("grad_kept")
    assert kept is not None
    # full readings: the first, and every eighth after it; at the first no parameter is known yet
    np.testing.assert_allclose(kept[[8]], [shares[8]], rtol=1e-5)
    assert np.isnan(kept[1:8]).all()


def clipped(kept: float = 0.01, update: float = 1e-3, loss: float = 2.3) -> Builder:
    """300 steps whose every gradient was clipped to a norm of .1; weights are of norm 5."""
    b = perceptron(steps=steps_until(300, 10)).loss(loss)
    b.set_step("grad_kept", kept).set_params("update", update)
    return b


def only(b: Builder) -> Finding | None:
    return next((f for f in judge(b.run()) if f.code == "EF811"), None)


def test_severity() -> None:
    stuck = only(clipped())
    assert stuck is not None and stuck.severity is Severity.error
    assert stuck.evidence["gradient_before"] == pytest.approx(10.0)
    some = only(clipped(loss=1.0).set_step("loss", 1.0))
    assert some is not None and some.severity is Severity.warning
    for b in (clipped(update=0.05), clipped(loss=0.1), clipped().optimizer("Adam")):
        f = only(b)
        assert f is not None and f.severity is Severity.info and f.cause == "length-alone"


def test_no_clip_no_finding() -> None:
    assert only(clipped(kept=0.3)) is None
    few = clipped()
    few.set_step("grad_kept", np.where(np.arange(31) % 5 == 0, np.nan, 0.01))
    assert only(few) is not None
    few.set_step("grad_kept", np.where(np.arange(31) % 5 == 0, 0.01, np.nan))
    assert only(few) is None  # seven readings
    varies = clipped().set_step("grad_norm", np.linspace(0.1, 0.2, 31))
    varies.set_params("grad_absmax", np.linspace(0.1, 0.2, 31))
    assert only(varies) is None
    short = clipped()
    short.steps = short.steps // 4
    assert only(short) is None
    assert only(clipped().forget("step", "grad_kept")) is None
