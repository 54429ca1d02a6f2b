"""When steps are sampled: pure arithmetic, no clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenflow.session.cadence import BIRTH, Cadence


def run(cadence: Cadence, steps: int, bare: float, extra: float) -> list[int]:
    sampled = []
    for step in range(steps):
        if cadence.wants(step):
            sampled.append(step)
            cadence.ran_sampled(step, bare + extra, extra)
        else:
            cadence.ran_bare(bare)
    return sampled


@given(st.floats(1e-4, 1.0), st.floats(0.05, 3.0), st.sampled_from([0.01, 0.05, 0.002]))
def test_the_budget_is_kept_after_birth(bare: float, share: float, budget: float) -> None:
    sampled = run(Cadence("auto", budget), 6000, bare, share * bare)
    late = [s for s in sampled if s > max(BIRTH)]
    assert len(late) * share * bare <= budget * (6000 - max(BIRTH)) * bare + share * bare
    assert late or share / budget > 3000, "a long run must still be looked at"


def test_birth_is_dense() -> None:
    sampled = run(Cadence("auto", 0.01), 257, 0.01, 0.005)
    assert sampled[:5] == [0, 1, 2, 3, 4] and set(sampled) == BIRTH and len(BIRTH) == 17


def test_trouble_makes_samples_denser_within_a_fixed_allowance() -> None:
    calm, alarmed = Cadence("auto", 0.01), Cadence("auto", 0.01)
    run(calm, 1000, 0.01, 0.005)
    run(alarmed, 1000, 0.01, 0.005)
    alarmed.alert()
    assert run(alarmed, 10, 0.01, 0.005) == list(range(10))
    sampled = 10
    for _ in range(100):
        alarmed.alert()
        sampled += alarmed.wants(257)
        alarmed.ran_sampled(1000, 0.015, 0.005)
    assert sampled == 64, "the allowance is spent"
    assert alarmed.gap() == calm.gap()


def test_a_stall_of_the_machine_is_not_taken_for_our_cost() -> None:
    cadence = Cadence("auto", 0.01)
    run(cadence, 300, 0.01, 0.002)
    usual = cadence.gap()
    cadence.ran_sampled(300, 60.0, 0.002)  # a laptop was closed for a minute
    assert cadence.gap() < 10 * usual


def test_every_n_and_never() -> None:
    assert [s for s in range(10) if Cadence(4, 0.01).wants(s)] == [0, 4, 8]
    assert not any(Cadence(0, 0.01).wants(s) for s in range(10))


@pytest.mark.parametrize("every", ["often", -1, True])
def test_a_wrong_every_is_named(every: object) -> None:
    with pytest.raises(ValueError, match=str(every)):
        Cadence(every, 0.01)  # type: ignore[arg-type]


@pytest.mark.parametrize("budget", [0, -0.1, 1.5])
def test_a_wrong_budget_is_named(budget: float) -> None:
    with pytest.raises(ValueError, match=str(budget)):
        Cadence("auto", budget)
