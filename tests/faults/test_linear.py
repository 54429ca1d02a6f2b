"""Judging is linear in depth, for runs of every shape: counted in operations, not in seconds."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import numpy as np
import pytest

from benchmarks.judging import SHAPES
from evenflow.faults import judge
from evenflow.faults.series import grouped
from evenflow.network import chained, depths, reach
from evenflow.schema import Run


def operations(run: Run) -> int:
    """Lines run while judging: every turn of every loop counts, however busy the machine is."""
    count = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        judge(run)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("shape", SHAPES)
def test_operations_grow_no_faster_than_depth(shape: str) -> None:
    few, many = (operations(SHAPES[shape](n, 6)) for n in (40, 160))
    assert many < 5 * few  # linear: 4 at most, quadratic: towards 16


def test_the_count_sees_what_is_quadratic() -> None:
    def walk(n: int) -> int:
        links = [(i - 1,) if i else () for i in range(n)]
        count = 0

        def trace(frame: FrameType, event: str, arg: Any) -> Any:
            nonlocal count
            count += event == "line"
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            for i in range(n):
                reach(links, [i])
        finally:
            sys.settrace(before)
        return count

    assert walk(160) > 10 * walk(40)


def test_one_pass_agrees_with_a_walk_from_every_site() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        n = int(rng.integers(5, 30))
        parents = [
            tuple({int(p) for p in rng.integers(0, i, size=2)}) if i else () for i in range(n)
        ]
        own = [int(x) for x in rng.integers(0, 2, size=n)]
        longest = [0] * n
        for i in range(n):
            longest[i] = own[i] + max([longest[p] for p in parents[i]], default=0)
        assert depths(parents, own) == tuple(longest)

        def behind(i: int, parents: list[tuple[int, ...]] = parents) -> set[int]:
            return {i}.union(*(behind(p) for p in parents[i]))

        groups = [tuple(sorted(rng.choice(n, size=3, replace=False).tolist())) for _ in range(9)]
        assert chained(parents, groups) == [set(g) <= behind(g[-1]) for g in groups]
        assert reach(parents, groups[0]) == set().union(*(behind(i) for i in groups[0]))


def test_grouped_is_the_largest_known_of_each_group() -> None:
    a = np.array([[1.0, np.nan, 3.0, -1.0], [np.nan, np.nan, 2.0, 5.0]])
    out = grouped(a, [(0, 1), (), (3, 2), (1,)])
    nan = np.nan
    np.testing.assert_array_equal(out, [[1.0, nan, 3.0, nan], [nan, nan, 5.0, nan]])
