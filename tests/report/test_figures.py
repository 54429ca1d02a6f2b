"""The figures both reports share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenflow.report.layers import chosen, cost, latest, now, relative_updates
from evenflow.schema import Channel, Parameter, Site

from .runs import empty


def test_latest_skips_what_was_not_measured() -> None:
    assert latest(np.array([1.0, 2.0, np.nan])) == 2.0
    assert np.isnan(latest(np.array([np.nan])))
    assert np.isnan(latest(None))


def test_now_does_not_show_an_old_value_for_a_layer_that_went_to_nan() -> None:
    columns = {
        Channel("site", 0, "rms"): np.array([1.0, np.nan]),
        Channel("site", 0, "nonfinite"): np.array([0.0, 3.0]),
    }
    run = empty(steps=np.arange(2), columns=columns)
    assert now(run, 0, "rms") == np.inf


def test_relative_update_joins_a_layers_parameters_and_minds_whose_step_it_was() -> None:
    sites = (Site(0, "G", "", "linear", "affine", params=("w", "b")),)
    params = (Parameter(0, "w", (2,), optimizer=1), Parameter(1, "b", (2,), optimizer=1))
    columns = {
        Channel("param", 0, "weight"): np.array([3.0, 3.0, 0.0]),
        Channel("param", 1, "weight"): np.array([4.0, 4.0, 0.0]),
        Channel("param", 0, "update"): np.array([0.3, 0.0, 1.0]),
        Channel("param", 1, "update"): np.array([0.4, 0.0, 1.0]),
        Channel("step", 0, "optimizer"): np.array([1.0, 0.0, 1.0]),
    }
    run = empty(sites=sites, params=params, steps=np.arange(3), columns=columns)
    np.testing.assert_allclose(relative_updates(run)[0], [0.1, np.nan, np.nan])
    assert relative_updates(empty(sites=sites)) == {}


def test_cost_is_what_was_spent_over_what_the_training_took() -> None:
    columns = {
        Channel("step", 0, "spent"): np.array([0.5, 2.0]),
        Channel("step", 0, "trained"): np.array([1.0, 50.0]),
        Channel("step", 0, "bare"): np.array([1.0, 0.5]),
    }
    run = empty(steps=np.array([0, 50]), columns=columns)
    assert cost(run) == pytest.approx(2 / 50)
    # not over: 49 steps since the latest sample, each a bare step's time
    assert cost(replace(run, curve_steps=np.arange(100))) == pytest.approx(2 / (50 + 49 * 0.5))
    assert cost(replace(run, meta={"spent": 3.0, "trained": 60.0})) == pytest.approx(3 / 60)
    assert cost(empty()) is None


@given(
    st.integers(0, 300),
    st.lists(st.integers(0, 400), max_size=50),
    st.integers(1, 60),
)
def test_chosen_rows_are_in_order_few_and_prefer_what_findings_name(
    count: int, named: list[int], most: int
) -> None:
    ids = list(range(0, 2 * count, 2))
    kept = chosen(ids, named, most)
    assert kept == sorted(set(kept))
    assert set(kept) <= set(ids)
    assert len(kept) == min(count, most)
    first = [i for i in dict.fromkeys(named) if i in set(ids)][: most // 2]
    assert set(first) <= set(kept)
