"""EF407: the length of an epoch against epochs drawn by hand, and real trainings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.faults import View
from evenflow.faults.ef407_memorising import guess_of
from evenflow.faults.epochs import lengths, stairs
from evenflow.schema import Finding

STEPS = np.array([0, 1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256])


def drawn(samples: int, batch: int, steps: np.ndarray, seed: int) -> np.ndarray:
    """Share of each read batch's samples that earlier read ones held, by doing just that."""
    rng = np.random.default_rng(seed)
    order: list[np.ndarray] = []
    while len(order) <= steps[-1]:
        whole = rng.permutation(samples)
        order += [whole[i : i + batch] for i in range(0, samples, batch)]
    seen: set[int] = set()
    shares = []
    for s in steps:
        shares.append(np.mean([int(i) in seen for i in order[s]]))
        seen |= {int(i) for i in order[s]}
    return np.array(shares)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("samples", "batch"), [(400, 16), (1500, 64), (960, 32), (700, 10)])
def test_the_length_of_an_epoch_is_among_those_told(samples: int, batch: int, seed: int) -> None:
    found = lengths(drawn(samples, batch, STEPS, seed), STEPS, float(batch))
    epoch = -(-samples // batch)
    assert epoch in found
    close = 1.5 if batch > 10 else 2.5
    assert found.max() < close * epoch and found.min() > epoch / close


def test_of_large_batches_a_part_is_told_by() -> None:
    shares = drawn(20_000, 256, STEPS, 0)  # of batches of 1,024 the first 256 are read
    found = lengths(shares, STEPS, 256.0)
    assert 79 in found
    fewer = lengths(shares, STEPS, 1024.0)
    assert len(fewer) == 0 or fewer.max() < 79  # each epoch is a quarter as long


@pytest.mark.parametrize(
    "again",
    [
        np.zeros(len(STEPS)),  # nothing comes again
        np.r_[np.zeros(12), np.ones(5)],  # in a fixed order all or nothing
        np.full(len(STEPS), 0.5),  # samples of a batch that equal each other, from the start
    ],
)
def test_what_no_length_explains_has_none(again: np.ndarray) -> None:
    assert len(lengths(again, STEPS, 32.0)) == 0


def test_stairs_are_told_from_a_slope() -> None:
    rng = np.random.default_rng(0)
    noise = 0.02 * rng.standard_normal(600)
    steps = np.arange(600)
    by_steps = 2.0 - 0.06 * (steps // 25) + noise
    sloping = 2.0 - 0.06 * steps / 25 + noise
    found = stairs(by_steps, np.array([24, 25, 26]))
    assert found is not None and found.epoch == 25 and found.epochs == 24
    assert found.jumps == pytest.approx(0.06 * 23, abs=0.15)
    assert found.within == pytest.approx(0.0, abs=0.15)
    assert found.doubt == pytest.approx(3 * 0.02 * (12 * 24 / 25) ** 0.5, rel=0.15)
    plain = stairs(sloping, np.array([25]))
    assert plain is not None and plain.jumps < 0.15
    assert plain.within == pytest.approx(0.06 * 24, abs=0.15)
    assert stairs(by_steps, np.array([4])) is None  # too short to show a course
    assert stairs(by_steps[:70], np.array([25])) is None  # fewer than three


# -- real trainings ---------------------------------------------------------------------------
Made = Callable[[], tuple[Tensor, Tensor]]


def table(noise: float, n: int = 256, classes: int = 4) -> tuple[Tensor, Tensor]:
    y = torch.randint(0, classes, (n,))
    return torch.randn(classes, 8)[y] + noise * torch.randn(n, 8), y


def judged(
    path: Path,
    x: Tensor,
    y: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
    out: int = 4,
    times: int = 30,
    fixed: bool = False,
    change: Callable[[Tensor], Tensor] = lambda x: x,
    rate: float = 3e-3,
) -> tuple[Finding | None, View]:
    net = nn.Sequential(nn.Linear(x.shape[1], 128), nn.ReLU(), nn.Linear(128, out))
    optimizer = torch.optim.Adam(net.parameters(), rate)
    with evenflow.watch(net, optimizer, run=path) as watch:
        for _ in range(times):
            order = torch.arange(len(x)) if fixed else torch.randperm(len(x))
            for batch in order.split(16):
                value = loss(net(change(x[batch])), y[batch])
                optimizer.zero_grad()
                value.backward()
                optimizer.step()
    run = evenflow.load(watch.path)
    return next((f for f in evenflow.diagnose(run) if f.code == "EF407"), None), View(run)


@pytest.mark.parametrize("seed", range(2))
def test_labels_shuffled_apart(tmp_path: Path, seed: int) -> None:
    torch.manual_seed(seed)
    x, y = table(1.0, 384)
    f, view = judged(tmp_path / "r.evenflow", x, y[torch.randperm(384)], times=50)
    assert f is not None and f.evidence["epoch"] == 24
    assert f.evidence["fresh"] > 0.97 and f.evidence["between"] > 0.9
    share = torch.bincount(y).double() / 384
    assert guess_of(view) == pytest.approx(float(-(share * share.log()).sum()), rel=0.02)


def test_a_regression_is_told_as_well(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x, y = torch.randn(256, 16), torch.randn(256, 1)
    f, _ = judged(tmp_path / "r.evenflow", x, y, F.mse_loss, 1, times=60)
    assert f is not None and f.evidence["epoch"] == 16


@pytest.mark.parametrize(
    "how",
    [
        {},  # its labels are right
        {"rate": 2e-4},  # and it learns slowly, at a guess for the whole first epoch
        {"times": 60, "rate": 1e-4},
    ],
)
def test_a_network_that_learns_is_not_accused(how: dict[str, float], tmp_path: Path) -> None:
    torch.manual_seed(0)
    x, y = table(1.0)
    assert judged(tmp_path / "r.evenflow", x, y, **how)[0] is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "how",
    [
        {"fixed": True},  # then there are no stairs
        {"change": lambda x: x + 0.1 * torch.randn_like(x)},  # no sample ever comes again
        {"times": 2},  # fewer than three epochs
    ],
)
def test_what_cannot_be_told_is_not_said(how: dict[str, object], tmp_path: Path) -> None:
    torch.manual_seed(0)
    x, y = table(1.0)
    assert judged(tmp_path / "r.evenflow", x, y[torch.randperm(256)], **how)[0] is None  # type: ignore[arg-type]
