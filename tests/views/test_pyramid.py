"""Readings as bytes: nothing that was measured is lost by making them coarser."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evenflow.views.pyramid import BROKEN, MISSING, TOP, ZERO, Range, coarser, encode, range_of

CODES = st.one_of(st.integers(0, TOP), st.sampled_from([ZERO, BROKEN, MISSING]))


def worst(cells: list[int], least: bool) -> int:
    """By hand."""
    if BROKEN in cells:
        return BROKEN
    measured = [c for c in cells if c <= TOP]
    if least and ZERO in cells:
        return ZERO
    if measured:
        return min(measured) if least else max(measured)
    return ZERO if ZERO in cells else MISSING


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 40)), elements=CODES),
    st.integers(1, 9),
    st.booleans(),
)
def test_a_coarser_picture_is_the_worst_of_what_it_joins(
    codes: np.ndarray, factor: int, least: bool
) -> None:
    found = coarser(codes, factor, least)
    rows, columns = codes.shape
    for r in range(rows):
        for c in range(-(-columns // factor)):
            cells = codes[r, c * factor : (c + 1) * factor].tolist()
            assert found[r, c] == worst(cells, least)


def test_one_dead_step_among_ten_thousand_is_still_seen() -> None:
    codes = np.full((1, 10_000), 200, np.uint8)
    codes[0, 5_321] = ZERO
    assert (coarser(codes, 8, least=True) == ZERO).sum() == 1


@given(st.floats(1e-12, 1e6), st.booleans())
def test_codes_rise_with_the_value(value: float, log: bool) -> None:
    scale = Range(-8.0, 0.0, True) if log else Range(0.0, 1.0, False)
    low, high = encode(np.array([value, 1.1 * value], np.float32), scale)
    assert low <= high <= TOP


def test_a_healthy_run_does_not_fill_the_palette() -> None:
    healthy = np.array([[1e-3], [3e-4], [2e-4]], np.float32)
    codes = encode(healthy, range_of("delta", healthy, True))
    assert codes.min() > 0.85 * TOP
    sick = np.array([[1e-3], [1e-6], [1e-20]], np.float32)
    assert encode(sick, range_of("delta", sick, True)).min() == 0


@pytest.mark.parametrize("name", ["delta", "update", "spread"])
def test_a_range_of_nothing(name: str) -> None:
    scale = range_of(name, np.full((2, 3), np.nan, np.float32), True)
    assert scale.low < scale.high
