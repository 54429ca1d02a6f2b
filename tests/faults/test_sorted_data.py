"""EF505 on runs made by hand and on real recorded ones, and what keeps legitimate data out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.faults import View, judge
from evenflow.faults.ef505_sorted_data import SortedData
from evenflow.schema import Finding, Severity

from .synthetic import Builder, perceptron, steps_until

STEPS = steps_until(199)
K = 10


def batches(of: Callable[[int], np.ndarray], dtype: str = "int64", at: float = 0.5) -> Builder:
    """A classifier whose batch at each step has the labels `of(step)`; its loss falls to `at`."""
    b = perceptron(steps=STEPS)
    t = b.id("target")
    b.sites[t] = replace(b.sites[t], dtype=dtype)
    y = [of(int(s)) for s in STEPS]
    b.set(t, "label_mean", [float(v.mean()) for v in y])
    b.set(t, "label_rms", [float(np.sqrt((v.astype(float) ** 2).mean())) for v in y])
    b.set("cross_entropy", "rows", [float(len(v)) for v in y])
    b.set_step("backwards", 1.0)
    return b.loss(at + (2.3 - at) * np.exp(-np.arange(len(b.curve_steps)) / 20))


def found(b: Builder) -> Finding | None:
    return next(iter(SortedData().check(View(b.run()))), None)


def folders(step: int) -> np.ndarray:
    """Four batches a class, over and over."""
    return np.full(32, step // 4 % K)


def shuffled(step: int) -> np.ndarray:
    return np.random.RandomState(step).randint(0, K, 32)


def slow(y: list[np.ndarray]) -> float:
    """The share within batches, as a table of analysis of variance has it."""
    n = len(y[0])
    inside = float(np.mean([np.sum((v - v.mean()) ** 2) / (n - 1) for v in y]))
    between = float(np.var([v.mean() for v in y], ddof=1)) - inside / n
    return inside / (inside + max(between, 0.0))


def test_sorted_classes_are_the_root_of_all() -> None:
    b = batches(lambda s: np.concatenate([folders(s)[2:], [(s // 4 + 1) % K] * 2]), at=2.3)
    all_found = judge(b.run())
    assert all_found[0].code == "EF505" and all_found[0].severity is Severity.error
    assert "EF401" in {f.code for f in all_found}
    assert {f.cause for f in all_found[1:]} == {"EF505"}
    within = slow([np.r_[folders(s)[2:], [(s // 4 + 1) % K] * 2] for s in range(200)])
    assert all_found[0].evidence["within"] == pytest.approx(within, rel=1e-6)


@pytest.mark.parametrize("at", [0.05, 1.0, 2.3])
def test_shuffled_classes_are_not(at: float) -> None:
    assert found(batches(shuffled, at=at)) is None
    assert slow([shuffled(s) for s in range(200)]) > 0.9


def test_the_same_batch_at_every_step_is_not() -> None:
    assert found(batches(lambda s: shuffled(0))) is None
    assert found(batches(lambda s: np.full(32, 3))) is None


def test_batches_of_one_sample_tell_nothing_and_those_of_two_tell_enough() -> None:
    assert found(batches(lambda s: folders(s)[:1])) is None
    assert found(batches(lambda s: shuffled(s)[:2])) is None
    assert found(batches(lambda s: folders(s)[:2])) is not None


def test_a_ragged_last_batch_does_not_count() -> None:
    def of(step: int) -> np.ndarray:
        return shuffled(step)[: 1 if step % 5 == 4 else 32]

    assert found(batches(of)) is None
    assert found(batches(lambda s: folders(s)[: 1 if s % 5 == 4 else 32])) is not None


@pytest.mark.parametrize(
    ("at", "severity"), [(1.3, Severity.error), (0.8, Severity.warning), (0.1, Severity.info)]
)
def test_groups_in_any_order_count_by_the_harm_they_do(at: float, severity: Severity) -> None:
    f = found(batches(lambda s: np.full(32, np.random.RandomState(s).randint(K)), at=at))
    assert f is not None and f.severity is severity
    assert f.evidence["mean_loss_left"] == pytest.approx(at / 2.3, rel=0.05)


def test_targets_of_ones_in_turn_with_zeros_were_made() -> None:
    assert found(batches(lambda s: np.full(32, s % 2), "float32", 2.3)) is None
    f = found(batches(lambda s: np.full(32, s // 9 % 2), "float32", 2.3))  # a sorted column
    assert f is not None and f.severity is Severity.error


def test_tasks_that_never_come_back_are_an_info() -> None:
    f = found(batches(lambda s: np.full(32, s // 20)))
    assert f is not None and f.severity is Severity.info


def test_agents_and_rivals_are_left_out() -> None:
    b = batches(folders)
    b.meta["optimizers"] = [{"class": "Adam", "turn": 0}, {"class": "Adam", "turn": 1}]
    assert found(b) is None


def test_too_few_batches_tell_nothing() -> None:
    b = batches(folders)
    t = b.id("target")
    few = np.where(STEPS % 40 == 0, STEPS // 4 % K, np.nan)
    b.set(t, "label_mean", few).set(t, "label_rms", few)
    assert found(b) is None


# --- real runs ------------------------------------------------------------------------------------

CENTRES = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))


def told(labels: Iterator[Tensor], path: Path, accumulate: int = 1) -> Finding | None:
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    with evenflow.watch(net, optimizer, run=path):
        for _ in range(80):
            optimizer.zero_grad()
            for _ in range(accumulate):
                y = next(labels)
                x = CENTRES[y % 4] + torch.randn(len(y), 8)
                (F.cross_entropy(net(x), y) / accumulate).backward()
            optimizer.step()
    return {f.code: f for f in evenflow.diagnose(path)}.get("EF505")


def forever(y: Tensor, size: int, shuffle: bool = False) -> Iterator[Tensor]:
    """Batches of a table, the ragged last one too."""
    while True:
        yield from (y[torch.randperm(len(y))] if shuffle else y).split(size)


TABLE = torch.arange(4).repeat_interleave(25)


def test_a_sorted_table_is_told(tmp_path: Path) -> None:
    torch.manual_seed(0)
    f = told(forever(TABLE, 8), tmp_path / "r.evenflow")
    assert f is not None and f.severity is Severity.error and f.evidence["within"] < 0.1


@pytest.mark.parametrize("size", [2, 8, 32])
def test_a_shuffled_one_is_not(size: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    assert told(forever(TABLE, size, shuffle=True), tmp_path / "r.evenflow") is None


def test_a_table_in_an_order_of_its_own_is_not(tmp_path: Path) -> None:
    torch.manual_seed(0)
    assert told(forever(torch.arange(4).repeat(25), 8), tmp_path / "r.evenflow") is None


def test_micro_batches_of_one_class_make_a_mixed_step(tmp_path: Path) -> None:
    torch.manual_seed(0)
    mixed = forever(torch.arange(4).repeat_interleave(8), 8)
    assert told(mixed, tmp_path / "r.evenflow", accumulate=4) is None
    pure = forever(torch.arange(4).repeat_interleave(96), 8)
    assert told(pure, tmp_path / "p.evenflow", accumulate=4) is not None
