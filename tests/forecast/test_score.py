"""The score of `benchmarks/trainability` is the one preflight uses, and it keeps its bars."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import evenflow

FOLDER = Path(__file__).parents[2] / "benchmarks" / "trainability"


@pytest.fixture(scope="module")
def score() -> ModuleType:
    sys.path.insert(0, str(FOLDER))
    try:
        import score  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(FOLDER))
    found: ModuleType = score
    return found


def test_table_is_large_and_even_enough(score: ModuleType) -> None:
    rows = score.rows(False)
    assert len(rows.index) >= 200
    assert np.mean(rows.accuracy >= score.LEARNS) >= 0.3
    assert np.mean(rows.accuracy <= score.FAILS) >= 0.3
    specs = {s.index: s for s in score.specs(max(rows.index) + 1)}
    known = [specs[i] for i in rows.index]
    assert {s.half for s in known} == {"calibration", "report"}
    assert all((s.half == "report") == (s.index % 2 == 1) for s in known)
    assert len({s.activation for s in known}) == 9 and len({s.init for s in known}) == 6
    assert min(s.depth for s in known) == 2 and max(s.depth for s in known) == 100


@pytest.mark.parametrize("half", [0, 1], ids=["calibration", "report"])
def test_preflight_tells_which_learn(score: ModuleType, half: int) -> None:
    rows = score.rows(False)
    clear = rows.where(
        (rows.index % 2 == half)
        & ((rows.accuracy >= score.LEARNS) | (rows.accuracy <= score.FAILS))
    )
    assert score.auc(clear) >= score.BARS["all"]
    assert score.auc(clear.where(abs(clear.ratio) <= 1)) >= score.BARS["near"]


def test_constants_are_those_of_the_fit(score: ModuleType) -> None:
    """Within a tenth of the most likely scales (1 - c's is hardly decided by the table)."""
    rows = score.rows(False)
    half = rows.where(
        (rows.index % 2 == 0) & ((rows.accuracy >= score.LEARNS) | (rows.accuracy <= score.FAILS))
    )
    fitted = dict(
        zip(("LOST", "ABOVE", "ROUGH", "GROWN"), score.fit(half, score.SLOPE), strict=True)
    )
    for name in ("LOST", "ROUGH", "GROWN"):
        assert getattr(score, name) == pytest.approx(fitted[name], rel=0.1), name


@pytest.mark.parametrize("index", [0, 6, 31, 138])
def test_what_is_scored_is_what_preflight_says(score: ModuleType, index: int) -> None:
    rows = score.rows(False)
    kept = rows.where(rows.index == index)
    spec = next(s for s in score.specs(index + 1) if s.index == index)
    state = torch.get_rng_state()
    forecast = evenflow.preflight(score.build(spec), score.digits()[0][: score.BATCH], advise=False)
    torch.set_rng_state(state)
    assert forecast.chance == pytest.approx(float(kept.chance[0]), abs=0.02)
