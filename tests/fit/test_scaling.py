"""Inputs brought to size: tame columns, wild ones, and numbers that are no measurements."""

from __future__ import annotations

import numpy as np
import pytest

from evenflow.fit import NetworkRegressor
from evenflow.fit.scaling import BOUND, WILD, scaling

DRAWS = np.random.default_rng(0)
X = DRAWS.normal(size=(400, 3)) * [1.0, 50.0, 1e-3] + [0.0, 1e3, 5.0]


@pytest.mark.parametrize("kind", ["auto", "robust"])
def test_a_number_beyond_all_measure_reads_as_the_middle_and_a_large_one_stays_large(
    kind: str,
) -> None:
    rows = X.copy()
    rows[0, 1], rows[1, 1] = -999_999.0, 1e3 + 50 * 100
    known = scaling(rows, kind)
    z = known.apply(rows)
    assert z[0, 1] == 0
    assert 0.99 * BOUND < z[1, 1] < BOUND
    assert known.wild(rows).tolist() == [0, 1, 0]
    others = np.delete(z, 1, axis=1)
    np.testing.assert_array_equal(others, np.delete(scaling(X, kind).apply(X), 1, axis=1))


@pytest.mark.parametrize("kind", ["standard", "minmax", "none"])
def test_scalings_that_bend_nothing_read_every_number_as_it_is(kind: str) -> None:
    rows = np.array([[0.0], [1.0], [2.0]])
    known = scaling(rows, kind)
    far = np.array([[10 * WILD]])
    assert known.apply(far)[0, 0] > WILD
    assert not known.wild(far).any()


def test_a_sentinel_for_not_known_costs_no_more_than_a_missing_number() -> None:
    y = X @ [1.0, 0.02, 300.0]
    rows = X.copy()
    rows[:8, 0] = -999_999.0
    filled = rows.copy()
    filled[:8, 0] = np.median(rows[8:, 0])
    marked, imputed = (
        NetworkRegressor(epochs=20, random_state=0).fit(x, y).score(X, y) for x in (rows, filled)
    )
    assert marked == pytest.approx(imputed, abs=0.02)


def test_a_fit_says_which_numbers_it_did_not_believe() -> None:
    rows = X.copy()
    rows[:8, 2] = 1e6
    model = NetworkRegressor(epochs=2, random_state=0).fit(rows, X[:, 0])
    told = [a for a in model.fit_report_.treatments if a.treatment == "wild=middle"]
    assert len(told) == 1
    assert "8 in column 2" in told[0].reason
    tame = NetworkRegressor(epochs=2, random_state=0).fit(X, X[:, 0])
    assert all(a.treatment != "wild=middle" for a in tame.fit_report_.treatments)
