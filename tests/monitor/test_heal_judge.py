"""Outliers and divergence, on numbers alone; against slow, obvious second implementations."""

from __future__ import annotations

import math
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenflow.monitor.healing.judge import (
    EARLY,
    FACTOR,
    FIRST,
    LEAST,
    REGIME,
    WINDOW,
    LossHistory,
    Norms,
)
from evenflow.schema import HEALS, Event, Intervention, allowed, interventions

positive = st.floats(1e-3, 1e9)


@given(st.lists(positive, max_size=300))
def test_an_outlier_is_far_beyond_all_recent_ones(norms: list[float]) -> None:
    judge, kept, on_end = Norms(), [], []
    for norm in norms:
        factor = FACTOR if len(kept[-WINDOW:]) >= LEAST else EARLY
        far = len(kept) >= FIRST and norm > factor * max(kept[-WINDOW:])
        if far:
            on_end.append(norm)
            far = len(on_end) <= REGIME
            if not far:
                kept, on_end = list(on_end), []
        else:
            kept.append(norm)
            on_end = []
        assert judge.outlier(norm) == far


def test_outliers_on_end_are_another_regime() -> None:
    judge = Norms()
    assert not any(judge.outlier(1.0) for _ in range(20))
    assert [judge.outlier(50.0) for _ in range(12)] == [True] * REGIME + [False] * 4
    assert judge.usual == 50.0


def test_a_gradient_that_grows_step_by_step_is_none() -> None:
    judge = Norms()
    assert not any(judge.outlier(1.5**k) for k in range(100))
    assert math.isinf(Norms().limit) and math.isnan(Norms().usual)


def losses(*values: float) -> tuple[LossHistory, list[bool]]:
    judge = LossHistory()
    return judge, [judge.take(v) for v in values]


def test_divergence_is_three_times_the_start_for_three_of_five() -> None:
    judge, said = losses(*[2.0] * 5, 7.0, 7.0, 7.0, 7.0, 7.0)
    assert said == [False] * 9 + [True] and judge.limit == 6.0
    assert not any(losses(*[2.0] * 5, 7.0, 7.0, 2.0, 7.0, 7.0, 2.0, 7.0, 7.0)[1])
    assert not any(losses(*[2.0] * 5, *[5.9] * 20)[1])


def test_what_was_won_and_lost_again() -> None:
    fall = [2.3 * 0.9**k for k in range(60)]
    judge, said = losses(*fall)
    assert not any(said) and 0.9 < judge.limit < 1.0
    assert any(losses(*fall, *[1.2] * 6)[1])
    assert not any(losses(*fall, *[0.8] * 20)[1]), "less than half of it"


def test_a_rate_far_too_high_ruins_the_start_itself() -> None:
    """Then the median of the start is no start: suspect, to be confirmed by the weights."""
    assert losses(2.3, 50.0, 1e4, 1e6, 1e8, 1e9)[0].suspect
    assert losses(2.3, *[math.nan] * 5)[1][-1]
    assert not losses(*[2.3] * 9)[0].suspect and not losses(2.3, 9.0, 2.3, 9.0, 9.0)[0].suspect


def test_tasks_that_take_turns_diverge_not() -> None:
    assert not any(losses(*[0.1, 100.0] * 40)[1])
    assert not any(losses(*[100.0, 0.1] * 40)[1])
    assert not any(losses(*[-5.0 - 0.1 * k for k in range(50)])[1]), "below zero"


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60))
def test_level_is_the_median_of_five_and_calm_excludes_diverged(values: list[float]) -> None:
    judge = LossHistory()
    for k, v in enumerate(values):
        diverged = judge.take(v)
        if k >= 4:
            assert judge.level == median(values[k - 4 : k + 1])
        assert not (diverged and judge.calm)
    again = judge.copy()
    assert again.limit == judge.limit or math.isnan(judge.limit)
    again.take(1e9)
    assert len(values) < 5 or judge.level == median(values[-5:])


def test_names_of_what_is_allowed() -> None:
    assert allowed(True) == allowed("all") == allowed(list(HEALS)) == HEALS
    assert allowed(False) == allowed(None) == allowed("") == allowed("none") == ()
    assert allowed("skip, clip") == allowed(("skip", "clip")) == ("clip", "skip")
    with pytest.raises(ValueError, match=r"no 'rolback'.*clip, skip.*mean rollback\?"):
        allowed("clip,rolback")
    with pytest.raises(ValueError, match="no 7"):
        allowed([7])  # type: ignore[list-item]


numbers = st.dictionaries(st.text(max_size=5), st.floats(allow_nan=False), max_size=4)


@given(
    st.builds(
        Intervention,
        st.sampled_from(HEALS), st.integers(0, 9**9), st.text(max_size=9), st.integers(0, 9),
        st.integers(0, 9**9), st.text(max_size=9), numbers, numbers, numbers, st.text(max_size=9),
    )
)  # fmt: skip
def test_records_read_back(done: Intervention) -> None:
    assert interventions([Event("note", 1), done.event()]) == [done]


def test_garbled_records_are_left_out() -> None:
    good = Intervention("clip", 3, "outlier-gradient").event()
    for key, bad in (("did", "explode"), ("before", [1]), ("after", {"a": "b"}), ("attempt", "x")):
        assert interventions([Event("healed", 3, {**good.detail, key: bad})]) == []
    assert interventions([Event("healed", 3, {}), good]) == interventions([good])
