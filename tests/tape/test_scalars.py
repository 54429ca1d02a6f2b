"""The scalar buffer against a slow, obvious reading of the same notes, and layouts met again."""

from __future__ import annotations

import math
import statistics

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evenflow.schema import METRICS, Channel
from evenflow.tape.scalars import Layouts, ScalarBuffer

_VALUES = st.floats(0, 1e6, allow_nan=False)
_KEYS = st.tuples(st.sampled_from(list(METRICS)), st.integers(0, 3)).map(
    lambda key: (key[0][0], key[1], key[0][1], -1)
)
_NOTES = st.lists(st.tuples(_KEYS, _VALUES), max_size=30)
_SLOWLY = {
    "mean": statistics.fmean,
    "rms": lambda v: math.sqrt(statistics.fmean(x * x for x in v)),
    "norm": lambda v: math.sqrt(math.fsum(x * x for x in v)),
    "sum": math.fsum,
    "largest": lambda v: sorted(v)[-1],
    "least": lambda v: sorted(v)[0],
    "last": lambda v: v[-1],
}


def _slowly(notes: list[tuple[tuple[str, int, str, int], float]]) -> dict[Channel, float]:
    by_channel: dict[Channel, list[float]] = {}
    for key, value in notes:
        by_channel.setdefault(Channel(*key), []).append(value)
    return {c: _SLOWLY[METRICS[c.of, c.metric].fold](v) for c, v in by_channel.items()}


@given(st.lists(_NOTES, min_size=1, max_size=4))
def test_a_reading_holds_each_channel_once_whatever_was_met_before(steps):
    layouts: Layouts = {}
    for step, notes in enumerate([*steps, *steps]):
        scalars = ScalarBuffer()
        for key, value in notes:
            scalars.add(key, value)
        reading = scalars.finish(step).reading(layouts, {"cost": 1.5, "wall": math.nan})
        found = dict(zip(reading.channels, reading.values, strict=True))
        expected = _slowly([*notes, (("step", 0, "cost", -1), 1.5)])
        assert list(found) == list(expected)
        assert list(found.values()) == pytest.approx(list(expected.values()), rel=1e-12)
        assert all(type(c) is Channel for c in reading.channels)


def test_channels_of_a_layout_met_again_are_the_same_object():
    layouts: Layouts = {}
    readings = []
    for value in (1.0, 2.0):
        scalars = ScalarBuffer()
        scalars.add(("site", 0, "rms", -1), value)
        scalars.extend([("param", 0, "grad", -1), ("param", 1, "grad", -1)], [value, -value])
        readings.append(scalars.finish(0).reading(layouts))
    assert readings[0].channels is readings[1].channels
    assert readings[1].values.tolist() == [2.0, 2.0, -2.0]


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=2, max_size=5))
def test_shares_of_a_fork_are_the_inner_products(pairs):
    a, b = (torch.tensor(x, dtype=torch.float64) for x in zip(*pairs, strict=True))
    whole, layouts = a + b, {}
    for times in (1.0, 0.0, 1.0):  # in between a step to which no gradient came
        scalars = ScalarBuffer()
        for site, g in ((1, a), (2, b)):
            scalars.add(("edge", site, "delta_in", 0), float(times * g.norm()))
        scalars.add(("site", 0, "delta", -1), float(times * whole.norm()))
        reading = scalars.finish(0).reading(layouts)
        found = {
            c.id: v
            for c, v in zip(reading.channels, reading.values, strict=True)
            if c.metric == "share"
        }
        size = float(whole.square().sum())
        if times == 0 or size < 1e-6:
            assert times != 0 or not found
            continue
        assert found[1] == pytest.approx(float(a @ whole) / size, rel=1e-6, abs=1e-6)
        assert found[1] + found[2] == pytest.approx(1)
