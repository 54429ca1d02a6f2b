"""When steps are sampled: pure arithmetic, no clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenflow.monitor.cadence import BIRTH, LONGEST, Cadence, allowance

pytestmark = pytest.mark.budget


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
        alarmed.ran_bare(0.01, 100)
        alarmed.ran_sampled(1000, 0.015, 0.005)
    assert sampled == 64, "the allowance is spent"
    assert alarmed.gap() == calm.gap()


def test_a_dear_first_sample_does_not_stay_the_only_one() -> None:
    cadence, sampled = Cadence("auto", 0.01), []
    for step in range(120):
        if not cadence.wants(step):
            cadence.ran_bare(0.02)
            continue
        sampled.append(step)
        cost = 1.1 if step == 0 else 0.01  # everything is made ready, on a busy machine
        assert cost <= cadence.limit()
        cadence.ran_sampled(step, 0.02 + cost, cost)
        assert cadence.spent <= allowance(cadence.trained, 0.01)
    assert sampled == [s for s in sorted(BIRTH) if s < 120]


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


@given(
    st.floats(1e-4, 5.0),
    st.floats(1e-4, 30.0),
    st.floats(1.05, 1.27),
    st.sampled_from([0.01, 0.05, 0.002]),
    st.lists(st.integers(0, 400), max_size=12),
)
def test_the_budget_binds_at_birth_and_under_alarm(
    bare: float, cost: float, hidden: float, budget: float, alarms: list[int]
) -> None:
    """`cost`: what our clocks would see of a whole sample; it takes `hidden` times that, in part
    at the steps after it."""
    cadence, trained, spent = Cadence("auto", budget), 0.0, 0.0
    for step in range(400):
        if step in alarms:
            cadence.alert()
        if not cadence.wants(step):
            cadence.ran_bare(bare)
        elif cost > (limit := cadence.limit()):
            cadence.was_cut(step, bare + hidden / 1.05 * limit, limit)
            spent += hidden * limit
        else:
            cadence.ran_sampled(step, bare + hidden / 1.05 * cost, cost)
            spent += hidden * cost
        trained += bare
        assert spent <= allowance(trained, budget) + 1e-9


def test_a_sample_that_is_too_dear_waits_for_its_turn() -> None:
    cadence = Cadence("auto", 0.01)
    sampled = run(cadence, 400, 0.1, 0.7)  # a sample of seven steps' length
    assert sampled[:2] == [0, 1], "two seconds may be spent at once"
    for k, step in enumerate(sampled):
        assert (k + 1) * 0.7 <= allowance((step + 1) * 0.1, 0.01)
    assert len(sampled) >= 5, "and a second more every hundred steps"
    assert cadence.due(400) > 400, "until then steps may be quiet"


def test_what_was_asked_for_is_not_cut() -> None:
    cadence = Cadence(1, 0.01)
    run(cadence, 10, 0.001, 5.0)
    assert cadence.wants(10) and cadence.limit() == float("inf")


def test_a_sample_cut_at_its_longest_is_made_smaller_and_others_wait() -> None:
    cadence = Cadence("auto", 0.01)
    assert LONGEST / 2 < cadence.limit() <= LONGEST
    assert cadence.was_cut(0, 2.1, cadence.limit()), "whatever is left to spend, it is too long"
    cadence.ran_bare(0.1, 50)
    assert not cadence.was_cut(51, 0.5, 0.4), "more may be spent later on"


def test_the_price_is_told_without_the_machines_stalls() -> None:
    """1 ms by our clocks, 2 ms in truth and .1 at the steps after; a step of 10 ms, and one of a
    minute in between."""
    cadence = Cadence("auto", 0.01)
    for step in range(300):
        if cadence.wants(step):
            stall = 60.0 if step == 128 else 0.0
            cadence.ran_sampled(step, 0.012 + stall, 0.001)
        else:
            cadence.ran_bare(0.01)
    samples = sum(s in BIRTH for s in range(300))
    assert cadence.told["spent"] == pytest.approx(0.0021 * samples)


def test_a_training_that_sampling_outweighs_is_not_lost_in_the_difference() -> None:
    """1 ms a step; a sample takes 20 ms, of which our clocks see now 8 and now 12."""
    cadence = Cadence("auto", 0.01)
    for step in range(300):
        if cadence.wants(step):
            cadence.ran_sampled(step, 0.021, 0.008 if step % 4 else 0.012)
        else:
            cadence.ran_bare(0.001)
    assert cadence.told["trained"] == pytest.approx(0.001 * 300)


def test_where_every_step_is_sampled_the_rest_is_the_trainings() -> None:
    """No bare step is seen: of what our clocks leave, 16 calls of 100 us are ours, and as much as
    11 for the sample as such."""
    cadence = Cadence(1, 0.01, call=1e-4)
    for step in range(100):
        assert cadence.wants(step)
        cadence.ran_sampled(step, 0.01 + 0.0127, 0.01, heard=16)
    assert cadence.told["trained"] == pytest.approx(0.01 * 100)
    assert cadence.told["spent"] == pytest.approx(0.0127 * 100)


def test_what_makes_ready_is_told_as_it_was_and_not_in_proportion() -> None:
    """The first sample takes a second; each leaves 1 ms unseen, 2 ms with the steps after it."""
    cadence = Cadence("auto", 0.01)
    for step in range(300):
        if cadence.wants(step):
            own = 0.01 if step else 1.0
            cadence.ran_sampled(step, 0.02 + own + 0.001, own)
        else:
            cadence.ran_bare(0.02)
    n = sum(s in BIRTH for s in range(300))
    seen = 1.0 + 0.01 * (n - 1)
    assert cadence.told["spent"] == pytest.approx(seen + 0.001 * n + 0.05 * 0.011 * n)
    assert cadence.told["trained"] == pytest.approx(0.02 * 300)


def test_the_hooks_of_quiet_steps_are_told_and_are_not_in_the_budget() -> None:
    """3.4 calls' worth a step: 34 us of 1 ms."""
    cadence = Cadence(0, 0.01, call=1e-5)
    for _ in range(50):
        cadence.ran_bare(0.001, 8)
    assert cadence.spent == 0.0
    assert cadence.told["spent"] == pytest.approx(400 * 3.4e-5)
    assert cadence.told["trained"] == pytest.approx(400 * 96.6e-5)


def test_short_steps_that_others_interrupt_are_told_as_they_usually_are() -> None:
    """1 ms, 1 ms more that is ours; every tenth is interrupted for 5 ms in ours or in its own."""
    cadence = Cadence(1, 0.01, call=1e-5)
    for step in range(100):
        ours, theirs = 5e-3 * (step % 10 == 5), 5e-3 * (step % 10 == 7)
        cadence.ran_sampled(step, 0.0022 + ours + theirs, 0.001 + ours, heard=9)
    assert cadence.told["trained"] == pytest.approx(0.001 * 100)
    assert cadence.told["spent"] == pytest.approx(0.0012 * 100 + 10 * 3e-3)


def test_lengths_that_scatter_do_not_outweigh_what_calls_let_expect() -> None:
    """Steps of 10 ms, every other one of 30: what they leave says nothing of 200 us."""
    cadence = Cadence("auto", 0.01, call=1e-5)
    for step in range(300):
        long = 0.02 * (step // 2 % 2)
        if cadence.wants(step):
            cadence.ran_sampled(step, 0.01 + long + 0.001, 0.001, heard=9)
        else:
            cadence.ran_bare(0.01 + long)
    n = sum(s in BIRTH for s in range(300))
    spent = cadence.told["spent"] - (300 - n) * 3.4e-5
    assert spent == pytest.approx(1.05 * n * 0.0012, rel=0.1)


def test_a_run_that_goes_on_makes_ready_too() -> None:
    """Resumed at step 1,000: the first sample takes a second, others 20 ms; as at step 0."""
    cadence = Cadence("auto", 0.01)
    cadence.ran_sampled(1000, 1.1, 1.0)
    for step in range(1001, 1100):
        if cadence.wants(step):
            cadence.ran_sampled(step, 0.04, 0.02)
            break
        cadence.ran_bare(0.02)
    assert step < 1099


def test_a_busy_machine_does_not_use_up_what_may_be_spent() -> None:
    """Eight times as slow, as others have the processor: the same steps are sampled as alone."""

    def sampled(slower: float, told: bool) -> list[int]:
        cadence, steps = Cadence("auto", 0.01), []
        for step in range(264):
            if not cadence.wants(step):
                cadence.ran_bare(0.002 * slower)
                continue
            steps.append(step)
            if told:
                cadence.worked(0.062)
            cadence.ran_sampled(step, 0.062 * slower, 0.06 * slower)
        return steps

    alone = sampled(1.0, told=True)
    assert sampled(1.0, told=False) == alone and len(alone) > 10
    assert len(sampled(8.0, told=False)) < len(alone) / 2, "by the wall alone they are fewer"
    assert len(sampled(8.0, told=True)) >= len(alone) - 1
