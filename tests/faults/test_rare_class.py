"""EF506 on runs made by hand and on real recorded ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.faults import View
from evenflow.faults.ef506_rare_class import RareClass
from evenflow.schema import Channel, Finding, Severity

from .synthetic import Builder, perceptron, steps_until


def entropy(share: Sequence[float]) -> float:
    return -sum(p * float(np.log(p)) for p in share if p > 0)


def run(labels: Sequence[float], said: Sequence[float], left: float, every: int = 16) -> Builder:
    """A classifier of batches of 32 with these shares, whose loss ends at `left` entropies."""
    b = perceptron(out=len(labels), steps=steps_until(256, every))
    loss = b.id("cross_entropy")
    for metric, shares in (("labelled", labels), ("said", said)):
        for k, share in enumerate(shares):
            b.columns[Channel("class", loss, metric, k)] = np.full(len(b.steps), share)
    b.set(loss, "rows", 32.0).set_step("backwards", 1.0)
    at = left * entropy(labels)
    return b.loss(at + (np.log(len(labels)) - at) * np.exp(-np.arange(len(b.curve_steps)) / 10))


def found(b: Builder) -> Finding | None:
    return next(iter(RareClass().check(View(b.run()))), None)


def test_a_class_that_is_never_said_is_named() -> None:
    f = found(run([0.95, 0.01, 0.04], [1, 0, 0], 0.8))
    assert f is not None and f.severity is Severity.warning
    assert f.evidence["class"] == 2 and f.evidence["share"] == pytest.approx(0.04)
    assert f.evidence["classes_unsaid"] == 2 and f.evidence["said"] == 0
    assert f.evidence["entropy_left"] == pytest.approx(0.8, rel=0.01)


@pytest.mark.parametrize(
    ("labels", "said", "left"),
    [
        ([0.95, 0.05], [0.97, 0.03], 0.8),  # said, if not as often
        ([0.95, 0.05], [1, 0], 0.3),  # most of what there was to learn is learned
        ([0.95, 0.05], [1, 0], 3.0),  # no guess yet
        ([0.7, 0.3], [1, 0], 0.9),  # not rare: the plateau's affair
        ([0.5, 0.5], [1, 0], 1.0),
        ([1.0, 0.0], [1, 0], 1.0),  # nothing else in the data
        ([1.0, 0.0], [0, 1], 1.0),  # and not even that is said: its entropy is 0
        ([0.999, 0.001], [1, 0], 0.9),  # too few to have been said
        ([0.9, 0.07, 0.03], [0.95, 0.05, 0], 0.8),  # most of the others are said
    ],
)
def test_else_nothing_is_said(labels: list[float], said: list[float], left: float) -> None:
    assert found(run(labels, said, left)) is None


def test_what_was_said_while_young_does_not_count() -> None:
    b = run([0.95, 0.05], [1, 0], 0.8)
    loss = b.id("cross_entropy")
    b.columns[Channel("class", loss, "said", 1)] = np.where(b.steps < 64, 0.5, 0.0)
    assert found(b) is not None
    b.columns[Channel("class", loss, "said", 1)] = np.where(b.steps < 200, 0.0, 0.5)
    assert found(b) is None


def test_a_loss_that_is_weighed_by_the_script_counts_as_the_function_gave_it() -> None:
    b = run([0.95, 0.05], [1, 0], 0.8)
    own = b.columns[Channel("step", 0, "loss")]
    b.set("cross_entropy", "rms", own)
    b.loss(b.curve_loss / 8)
    f = found(b)
    assert f is not None and f.evidence["entropy_left"] == pytest.approx(0.8, rel=0.01)


def test_too_few_readings_tell_nothing() -> None:
    assert found(run([0.95, 0.05], [1, 0], 0.8, every=64)) is None
    assert found(perceptron()) is None


# --- real runs ------------------------------------------------------------------------------------

Loss = Callable[[Tensor, Tensor], Tensor]


def told(loss: Loss, out: int, path: Path, apart: float = 0.8, even: bool = False) -> set[str]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, out))
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    with evenflow.watch(net, optimizer, run=path):
        for _ in range(200):
            y = (torch.rand(64) < (0.5 if even else 0.04)).long()
            x = torch.randn(64, 8) + apart * y[:, None] * (torch.arange(8) < 4)
            optimizer.zero_grad()
            loss(net(x), y).backward()
            optimizer.step()
    return {f.code for f in evenflow.diagnose(path) if f.severity > Severity.info}


def binary(z: Tensor, y: Tensor, weight: float | None = None) -> Tensor:
    w = None if weight is None else torch.tensor(weight)
    return F.binary_cross_entropy_with_logits(z[:, 0], y.float(), pos_weight=w)


def weighed(z: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(z, y, weight=torch.tensor([1.0, 24.0]))


def test_a_rare_class_never_said_is_told(tmp_path: Path) -> None:
    assert told(F.cross_entropy, 2, tmp_path / "ce") == {"EF506"}
    assert told(binary, 1, tmp_path / "bce") == {"EF506"}


@pytest.mark.parametrize(
    ("loss", "out", "how"),
    [
        (weighed, 2, {}),
        (lambda z, y: binary(z, y, 24.0), 1, {}),
        (F.cross_entropy, 2, {"even": True}),  # a sampler draws it as often
        (F.cross_entropy, 2, {"apart": 4.0}),  # learned
    ],
)
def test_its_cures_and_its_learning_are_healthy(
    loss: Loss, out: int, how: dict[str, float], tmp_path: Path
) -> None:
    assert told(loss, out, tmp_path / "r", **how) == set()  # type: ignore[arg-type]


def test_shares_of_classes_come_back_from_the_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Linear(4, 3)
    optimizer = torch.optim.SGD(net.parameters(), 0.0)
    x, y = torch.randn(50, 4), torch.randint(0, 3, (50,))
    y[:7] = -100
    with evenflow.watch(net, optimizer, run=tmp_path / "r", every=1):
        for _ in range(3):
            F.cross_entropy(net(x), y).backward()
            optimizer.step()
    view = View(evenflow.load(tmp_path / "r"))
    (loss,) = view.losses
    known = y != -100
    named = [float((y[known] == k).float().mean()) for k in range(3)]
    largest = net(x)[known].argmax(1)
    said = [float((largest == k).float().mean()) for k in range(3)]
    assert view.classes(loss, "labelled")[0] == pytest.approx(named)
    assert view.classes(loss, "said")[0] == pytest.approx(said)
    with pytest.raises(ValueError, match="labelled"):
        view.classes(loss, "labeled")
