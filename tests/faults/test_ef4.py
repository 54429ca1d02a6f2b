"""Rules of the loss curve: each with sick runs and healthy twins, and the maths behind them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.faults.curve import (
    autocorrelation,
    doubt,
    flat_since,
    full_batch,
    goal,
    recent_fall,
    spikes,
    trend,
    turning,
    turns,
)
from evenflow.faults.ef401_plateau import Plateau
from evenflow.faults.ef402_divergence_or_spike import DivergenceOrSpike
from evenflow.faults.ef403_oscillation import Oscillation
from evenflow.faults.ef404_slow_learning import SlowLearning
from evenflow.faults.view import View
from evenflow.schema import Finding, Severity

from .synthetic import Builder, perceptron

N = 289  # steps of a synthetic run
STEPS = np.arange(N)
CURVE_RULES = (Plateau, DivergenceOrSpike, Oscillation, SlowLearning)


def noise(seed: int = 0, n: int = N) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=n)


def found(rule: type, b: Builder) -> list[Finding]:
    return list(rule().check(View(b.run())))


def falling(size: float = 0.3, seed: int = 0) -> np.ndarray:
    """A healthy loss of ten classes with the noise of small batches."""
    return (0.05 + 2.25 * np.exp(-STEPS / 40)) * np.exp(size * noise(seed))


def batches(b: Builder) -> Builder:
    """Readings of the data that differ from batch to batch."""
    t = np.arange(len(b.steps))
    return b.set("input", "rms", 1 + 0.01 * np.sin(t)).set("input", "mean", 0.01 * np.cos(t))


def flip_optimizers(b: Builder) -> Builder:
    return b.set_step("optimizer", np.arange(len(b.steps)) % 2)


@pytest.mark.parametrize("rule", CURVE_RULES)
@pytest.mark.parametrize("size", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_a_healthy_curve_is_left_alone_however_noisy(rule: type, size: float, seed: int) -> None:
    assert found(rule, batches(perceptron()).loss(falling(size, seed))) == []


@pytest.mark.parametrize("rule", CURVE_RULES)
def test_converged_from_the_start_is_left_alone(rule: type) -> None:
    """Trained on from a good state: flat, noisy, and fine."""
    y = 0.02 * np.exp(0.8 * noise(3))
    b = batches(perceptron()).loss(y).set_params("update", 1e-6).set_params("grad", 1e-6)
    assert found(rule, b) == []


@pytest.mark.parametrize("rule", CURVE_RULES)
def test_near_zero_losses_may_vary_by_decades(rule: type) -> None:
    y = np.where(STEPS < 60, 2.3 * np.exp(-STEPS / 6), 1e-4 * 10 ** (0.8 * noise(1)))
    assert found(rule, batches(perceptron()).loss(y)) == []


@pytest.mark.parametrize("rule", CURVE_RULES)
def test_a_noise_floor_is_no_plateau(rule: type) -> None:
    """A regression that explains half of the variance, flat for most of the run."""
    b = batches(perceptron(out=1, loss="mse_loss"))
    y = (0.5 + 0.6 * np.exp(-STEPS / 15)) * np.exp(0.2 * noise())
    assert found(rule, b.loss(y)) == []


@pytest.mark.parametrize("rule", CURVE_RULES)
def test_losses_below_zero_are_left_alone(rule: type) -> None:
    b = batches(perceptron(loss="gaussian_nll_loss"))
    assert found(rule, b.loss(-5 + 6 * np.exp(-STEPS / 30) + 0.3 * noise())) == []


@pytest.mark.parametrize("rule", CURVE_RULES)
def test_competing_losses_are_not_judged(rule: type) -> None:
    b = flip_optimizers(perceptron(1, loss="binary_cross_entropy_with_logits"))
    y = np.where(STEPS % 2 == 0, 1.38, 0.7 + 0.02 * STEPS) + 0.05 * noise()
    assert found(rule, b.loss(y)) == []


@pytest.mark.parametrize("rule", CURVE_RULES)
def test_too_few_steps_say_nothing(rule: type) -> None:
    b = perceptron(steps=[0, 1, 2])
    assert found(rule, b.loss([2.3, 2.31, 2.3])) == []


# --- EF401 --------------------------------------------------------------------------------------


def test_a_loss_that_stays_at_chance_is_a_plateau() -> None:
    flat = perceptron().loss(np.log(10) + 0.02 * noise())
    (f,) = found(Plateau, flat)
    assert f.severity == Severity.info  # so few and small steps prove nothing
    # 8 parameters, 289 steps of 5e-3 times a gradient of 0.6
    (f,) = found(Plateau, flat.set_params("grad", 0.6))
    assert f.severity == Severity.error
    promised = len(flat.params) * 289 * 5e-3 * 0.6 / np.log(10)
    assert f.evidence["promised"] == pytest.approx(promised, rel=0.01)
    assert f.evidence["loss_left"] == pytest.approx(1, abs=0.02)
    assert f.evidence["guessing_loss"] == pytest.approx(np.log(10))
    assert f.first_step < 30 and f.last_step == N - 1


def test_a_plateau_begins_where_the_loss_ran_flat() -> None:
    y = np.log(10) + np.where(STEPS < 80, 5 * np.exp(-STEPS / 15), 0) + 0.01 * noise()
    (f,) = found(Plateau, perceptron().loss(y))
    assert 40 <= f.first_step <= 110


def test_a_squared_error_stuck_at_the_variance_is_a_plateau() -> None:
    b = perceptron(out=1, loss="mse_loss").set("target", "std", 2.0)
    (f,) = found(Plateau, b.loss(4.0 + 0.05 * noise()))
    assert f.evidence["guessing_loss"] == pytest.approx(4.0)


def test_a_loss_still_falling_is_no_plateau() -> None:
    assert found(Plateau, perceptron().loss(2.3 - 0.001 * STEPS)) == []


def test_a_summed_loss_is_not_held_against_the_mean_of_guessing() -> None:
    """reduction="sum" over 32: ends at 10 times log 10 although almost all is won."""
    y = 32 * (0.7 + 1.6 * np.exp(-STEPS / 20))
    assert found(Plateau, perceptron().loss(y)) == []


def test_an_unknown_loss_needs_a_starved_layer() -> None:
    b = perceptron(4, loss="hinge_embedding_loss").loss(1.0 + 0.01 * noise())
    assert found(Plateau, b) == []
    (f,) = found(Plateau, b.set_params("update", 1e-12))
    assert f.evidence["start_loss"] == pytest.approx(1.0, abs=0.02)


def spent(b: Builder) -> Builder:
    return b.set_step("lr", 0.1 * 0.8**b.steps)


def test_a_rate_spent_early_is_told_as_the_cause() -> None:
    y = np.maximum(2.3 - 0.05 * STEPS, 1.4) + 0.02 * noise()
    (f,) = found(Plateau, spent(perceptron()).loss(y))
    assert f.cause == "learning-rate-decayed"
    assert f.evidence["rate_left"] < 1e-6
    assert f.threshold["loss_left"] == pytest.approx(0.3)


def test_a_rate_that_falls_over_the_whole_run_is_fine() -> None:
    y = np.maximum(2.3 - 0.05 * STEPS, 1.4) + 0.02 * noise()
    cosine = perceptron().loss(y)
    cosine.set_step("lr", 0.05 * (1 + np.cos(np.pi * cosine.steps / (N - 1))))
    assert found(Plateau, cosine) == []
    converged = spent(perceptron()).loss(falling(0.1))
    assert found(Plateau, converged) == []


def test_a_run_that_ends_in_nan_is_no_plateau() -> None:
    y = np.full(N, 2.3)
    y[-3:] = np.nan
    assert found(Plateau, perceptron().loss(y)) == []


# --- EF402 --------------------------------------------------------------------------------------


def test_a_climb_for_good_is_divergence() -> None:
    (f,) = found(DivergenceOrSpike, perceptron().loss(2.3 * np.exp(STEPS / 50)))
    assert f.severity == Severity.error
    assert f.evidence["loss_reached"] > f.threshold["loss_reached"]
    assert 40 <= f.first_step <= 70  # e^(55/50) = 3 times the start


def test_losing_what_was_won_is_divergence() -> None:
    y = np.where(STEPS < 150, falling(0.1), 2.0 + 0.1 * noise())
    (f,) = found(DivergenceOrSpike, perceptron().loss(y))
    assert f.severity == Severity.error
    assert 140 <= f.first_step <= 160


def test_blowing_up_and_never_recovering_is_divergence() -> None:
    y = np.full(N, 2.35) + 0.05 * noise()
    y[2:30] = 3e3 * np.exp(-np.arange(28) / 3) + 2.4
    (f,) = found(DivergenceOrSpike, perceptron().loss(y))
    assert f.severity == Severity.error and f.first_step == 2


def test_a_short_way_into_nan_is_divergence() -> None:
    b = perceptron(steps=[0, 1, 2, 4, 8])
    (f,) = found(DivergenceOrSpike, b.loss([2.3, 50, 1e6, 1e19, np.inf, *[np.nan] * 4]))
    assert f.severity == Severity.error
    assert f.first_step == 1 and f.last_step == 8


def test_nan_out_of_the_blue_is_not_divergence() -> None:
    y = falling(0.1)
    y[200:] = np.nan
    assert found(DivergenceOrSpike, perceptron().loss(y)) == []


def test_a_spike_that_comes_back_is_a_warning() -> None:
    y = falling(0.1)
    y[120:130] += 4 * np.exp(-np.arange(10) / 3)
    (f,) = found(DivergenceOrSpike, perceptron().loss(y))
    assert f.severity == Severity.warning
    assert f.first_step == 120 and 122 <= f.last_step <= 130
    assert f.evidence["spikes"] == 1


def test_one_odd_batch_is_no_spike_unless_it_is_huge() -> None:
    y = falling(0.1)
    y[150] = 3.0
    assert found(DivergenceOrSpike, perceptron().loss(y)) == []
    y[150] = 300.0
    (f,) = found(DivergenceOrSpike, perceptron().loss(y))
    assert f.first_step == f.last_step == 150


def test_a_slow_rise_within_what_was_won_is_left_alone() -> None:
    y = 0.3 + 2 * np.exp(-STEPS / 20) + 0.001 * STEPS  # overfitting regularisers, annealing
    assert found(DivergenceOrSpike, perceptron().loss(y)) == []


def test_noise_around_zero_is_no_divergence_and_a_climb_out_of_it_is() -> None:
    """A policy gradient's loss: near zero, of either sign, without a floor."""
    for seed in range(5):
        b = batches(perceptron(loss="none")).loss(-0.1 + 0.2 * noise(seed))
        assert found(DivergenceOrSpike, b) == []
    b = batches(perceptron(loss="none")).loss(-0.1 + 0.2 * noise() + np.maximum(STEPS - 100, 0))
    (f,) = found(DivergenceOrSpike, b)
    assert f.severity == Severity.error


# --- EF403 --------------------------------------------------------------------------------------


def test_turning_back_at_each_step_is_oscillation() -> None:
    y = 1.2 + 0.4 * (-1.0) ** STEPS + 0.02 * noise()
    (f,) = found(Oscillation, batches(perceptron()).loss(y))
    assert f.severity == Severity.warning
    assert f.evidence["autocorrelation"] < -0.9
    assert f.first_step <= 6 and f.last_step >= N - 12


def test_oscillation_at_the_loss_of_guessing_is_an_error() -> None:
    y = 2.6 + 0.5 * (-1.0) ** STEPS
    (f,) = found(Oscillation, batches(perceptron()).loss(y))
    assert f.severity == Severity.error


def test_full_batch_swings_are_counted_and_ripples_are_not() -> None:
    y = 0.5 + 0.4 * np.sin(STEPS / 4) ** 2
    (f,) = found(Oscillation, perceptron().loss(y))
    assert f.evidence["swings"] >= 10
    assert f.evidence["largest_swing"] == pytest.approx(0.4, abs=0.02)
    ripples = falling(0.0) * (1 + 0.05 * np.sin(STEPS / 2))
    assert found(Oscillation, perceptron().loss(ripples)) == []


def test_swings_of_a_period_are_only_counted_without_batch_noise() -> None:
    """A fixed order of unequal batches makes the loss periodic and is no fault."""
    y = falling(0.0) * (1 + 0.3 * np.sin(2 * np.pi * STEPS / 7))
    assert found(Oscillation, batches(perceptron()).loss(y)) == []


# --- EF404 --------------------------------------------------------------------------------------


def slow(b: Builder) -> Builder:
    return b.set_params("update", 5e-6).loss(2.3 - 1e-5 * STEPS + 0.01 * noise())


def test_tiny_updates_and_no_progress_is_slow_learning() -> None:
    (f,) = found(SlowLearning, slow(batches(perceptron())))
    assert f.severity == Severity.error
    assert f.cause == "learning-rate-too-low"
    assert f.evidence["update_ratio"] == pytest.approx(1e-6)
    assert f.evidence["loss_left"] == pytest.approx(1.0, abs=0.02)


def test_a_plateau_of_tiny_updates_names_the_rate() -> None:
    (f,) = found(Plateau, slow(batches(perceptron())))
    assert f.cause == "learning-rate-too-low"
    (f,) = found(Plateau, perceptron().loss(2.3))
    assert f.cause == ""


def test_a_head_that_moves_is_no_low_rate() -> None:
    """Only the first layers stand still: their gradient vanishes, the rate is not too low."""
    b = slow(perceptron()).set_param("Net.head.weight", "update", 5e-3)
    assert found(SlowLearning, b) == []


def test_tiny_updates_of_a_converged_net_are_fine() -> None:
    b = perceptron().set_params("update", 5e-6)
    assert found(SlowLearning, b) == []


def test_no_gradient_is_not_slowness() -> None:
    assert found(SlowLearning, slow(perceptron()).set_params("grad", 1e-7)) == []


def test_steps_to_go_follow_the_slope() -> None:
    b = perceptron().set_params("update", 5e-6).loss(2.3 - 1e-4 * STEPS)
    (f,) = found(SlowLearning, b)
    assert f.evidence["steps_to_halve"] == pytest.approx(1.14 / 1e-4, rel=0.1)


# --- the mathematics ----------------------------------------------------------------------------


def test_goal_believes_chance_only_where_it_fits() -> None:
    assert goal(View(perceptron().run())).known
    far = goal(View(perceptron().loss(300 * np.exp(-STEPS / 40) + 40).run()))
    assert not far.known and far.scale == pytest.approx(325, rel=0.05)
    raw = perceptron(out=1, loss="mse_loss").set("target", "std", 77.0).set("target", "mean", 152.0)
    aim = goal(View(raw.loss(29000 - 80 * STEPS).run()))
    assert aim.known and aim.scale == pytest.approx(77.0**2)


def test_doubt_is_what_noise_alone_makes_of_a_fall() -> None:
    falls = [recent_fall(noise(s)) for s in range(200)]
    assert 0.9 < np.mean(np.abs(falls) < doubt(noise(0))) < 1
    assert doubt(np.ones(50)) == 0


def test_recent_fall_and_flat_since() -> None:
    assert recent_fall(np.full(50, 3.0)) == 0
    assert recent_fall(np.arange(100.0)[::-1]) == pytest.approx(40, abs=1)
    assert np.isnan(recent_fall(np.ones(5)))
    assert flat_since(np.array([5.0, 4, 1, 1.1, 1]), 0.2) == 2
    assert flat_since(np.ones(4), 0.1) == 0
    assert flat_since(np.empty(0), 0.1) == -1


def test_autocorrelation_tells_noise_from_turning_back() -> None:
    assert autocorrelation((-1.0) ** np.arange(40)) < -0.9
    assert -0.35 < np.mean([autocorrelation(noise(s, 200)) for s in range(10)]) < 0
    assert np.isnan(autocorrelation(np.ones(4)))
    assert np.isnan(autocorrelation(np.ones(40)))
    assert turning((-1.0) ** np.arange(40)) == 1
    assert 0.4 < np.mean([turning(noise(s, 200)) for s in range(10)]) < 0.65
    assert np.isnan(turning(np.ones(4)))


def test_trend_is_level_for_a_curve_that_turns_back_and_follows_a_slope() -> None:
    assert np.allclose(trend(3 + (-1.0) ** np.arange(30))[4:-4], 3)
    assert np.allclose(trend(np.arange(30.0))[4:-4], np.arange(30.0)[4:-4])


def test_turns_are_peaks_of_tall_swings() -> None:
    y = np.array([1.0, 0.2, 0.9, 0.3, 0.31, 0.3, 0.8, 0.1])
    assert turns(y, 0.2) == [2, 6]
    assert turns(y, 2.0) == []


def test_full_batch_is_told_by_equal_readings() -> None:
    assert full_batch(View(perceptron().run()))
    assert not full_batch(View(batches(perceptron()).run()))
    assert not full_batch(View(perceptron(steps=[0]).run()))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 1.2), st.floats(5, 200))
def test_log_normal_noise_of_any_size_makes_no_spikes_or_swings(
    seed: int, size: float, tau: float
) -> None:
    y = (0.01 + 2.3 * np.exp(-STEPS / tau)) * np.exp(size * noise(seed))
    b = batches(perceptron()).loss(y)
    assert [f for f in found(DivergenceOrSpike, b) if f.severity == Severity.error] == []
    assert found(Oscillation, b) == []


def test_spikes_have_base_height_and_span() -> None:
    y = np.r_[np.full(30, 0.1), [3.0, 5.0, 2.0], np.full(30, 0.1)]
    (s,) = spikes(y, 2.3)
    assert (s.start, s.peak, s.end) == (30, 31, 32)
    assert s.base == pytest.approx(0.1) and s.height == pytest.approx(4.9)
