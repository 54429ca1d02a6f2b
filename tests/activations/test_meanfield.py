"""Quadrature and mean-field theory against closed forms, scipy.integrate and Monte Carlo."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import integrate
from scipy.special import erf, ndtr

from evenflow.activations import meanfield as mf

QS = (1e-6, 0.3, 1.0, 50.0, 1e4)
CS = (-1.0, -0.999, -0.5, 0.0, 0.3, 0.9, 0.99, 0.999999, 1 - 1e-12, 1.0)


def relu(x):  # type: ignore[no-untyped-def]
    return np.maximum(x, 0.0)


def drelu(x):  # type: ignore[no-untyped-def]
    return (x > 0).astype(float)


def dtanh(x):  # type: ignore[no-untyped-def]
    return 1 / np.cosh(np.clip(x, -300, 300)) ** 2


def sigmoid(x):  # type: ignore[no-untyped-def]
    return 0.5 * (1 + np.tanh(x / 2))


def dsigmoid(x):  # type: ignore[no-untyped-def]
    return sigmoid(x) * sigmoid(-x)


def derf(x):  # type: ignore[no-untyped-def]
    return 2 / math.sqrt(math.pi) * np.exp(-x * x)


# -- quadrature -----------------------------------------------------------------------------------
@pytest.mark.parametrize("q", QS)
def test_relu_is_the_arc_cosine_kernel(q: float) -> None:
    """Cho & Saul 2009: orders 0 and 1."""
    for c in CS:
        angle = math.acos(c)
        order_1 = (math.sin(angle) + (math.pi - angle) * c) / (2 * math.pi)
        assert mf.expect_pair(relu, q, c, kinks=(0,)) / q == pytest.approx(order_1, abs=1e-10)
        order_0 = (math.pi - angle) / (2 * math.pi)
        assert mf.expect_pair(drelu, q, c, kinks=(0,)) == pytest.approx(order_0, abs=1e-10)


@pytest.mark.parametrize("slope", [1.0, 20.0, 100.0])
@pytest.mark.parametrize("q", [0.01, 1.0, 100.0, 1e6])
def test_erf_is_the_arc_sine_kernel(q: float, slope: float) -> None:
    """Williams 1998, also for slopes as sharp as the docstring promises."""
    for c in (-0.9, 0.0, 0.5, 0.99, 0.999999, 1.0):
        a = 2 * slope**2 * q
        exact = 2 / math.pi * math.asin(a * c / (1 + a))
        got = mf.expect_pair(lambda x: erf(slope * x), q, c)
        assert got == pytest.approx(exact, abs=1e-10)


def test_polynomials_give_the_moments_of_a_gaussian() -> None:
    for q in QS:
        assert mf.expect(lambda x: x**4, q) == pytest.approx(3 * q**2, rel=1e-12)
        assert mf.expect_pair(lambda x: x, q, 0.3) == pytest.approx(0.3 * q, rel=1e-11)
        assert mf.expect_pair(lambda x: x**2, q, 0.3) == pytest.approx(1.18 * q**2, rel=1e-11)
    assert mf.expect(lambda x: x**2, 2.0, mean=3.0) == pytest.approx(11.0, rel=1e-12)


def test_kinks_away_from_the_mean_and_far_from_each_other() -> None:
    def f(x):  # type: ignore[no-untyped-def]
        return np.clip(x, -0.7, 2.5)

    def middle(z: float, q: float, mean: float) -> float:
        return (mean + math.sqrt(q) * z) ** 2 * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    for q, mean in ((0.5, 0.0), (9.0, 1.3), (1e4, -20.0)):
        got = mf.expect(lambda x: f(x) ** 2, q, mean=mean, kinks=(-0.7, 2.5))
        # by hand: flat tails, and the middle by scipy
        low, high = ((k - mean) / math.sqrt(q) for k in (-0.7, 2.5))
        exact = 0.49 * ndtr(low) + 6.25 * ndtr(-high)
        exact += integrate.quad(middle, low, high, args=(q, mean), epsabs=1e-13)[0]
        assert got == pytest.approx(exact, abs=1e-9)


def test_the_pair_integral_of_a_function_with_two_kinks() -> None:
    """scipy's nested adaptive quadrature, told of the kinks, is the second opinion."""
    kinks, q, c = (-0.7, 2.5), 2.0, 0.6

    def f(x: float) -> float:
        return min(max(x, -0.7), 2.5)

    sd, s = math.sqrt(q), math.sqrt(1 - c * c)

    def density(z: float) -> float:
        return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    def inner(z1: float) -> float:
        cuts = [(k / sd - c * z1) / s for k in kinks]
        points = sorted(min(max(p, -8.9), 8.9) for p in cuts)
        return integrate.quad(
            lambda z2: f(sd * (c * z1 + s * z2)) * density(z2), -9, 9, points=points, epsabs=1e-11
        )[0]

    exact = integrate.quad(
        lambda z1: f(sd * z1) * inner(z1) * density(z1),
        -9,
        9,
        points=[k / sd for k in kinks],
        epsabs=1e-9,
    )[0]
    got = mf.expect_pair(lambda x: np.clip(x, *kinks), q, c, kinks=kinks)
    assert got == pytest.approx(exact, abs=1e-8)


def test_monte_carlo_agrees() -> None:
    rng = np.random.default_rng(0)
    z1, z2 = rng.standard_normal((2, 1_000_000))
    q, c = 1.7, 0.8
    u1, u2 = math.sqrt(q) * z1, math.sqrt(q) * (c * z1 + math.sqrt(1 - c * c) * z2)
    for f, kinks in ((np.tanh, ()), (relu, (0.0,)), (sigmoid, ()), (dtanh, ())):
        sample = f(u1) * f(u2)
        error = sample.std() / 1000
        assert abs(mf.expect_pair(f, q, c, kinks=kinks) - sample.mean()) < 5 * error


def test_q_of_0_is_the_limit_from_above() -> None:
    assert mf.expect(lambda x: drelu(x) ** 2, 0.0, kinks=(0,)) == pytest.approx(0.5)
    assert mf.expect(np.cosh, 0.0) == pytest.approx(1.0)


@pytest.mark.parametrize("q", [-1.0, math.nan, math.inf])
def test_what_is_no_second_moment_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match=f"q = {q!r}"):
        mf.expect(np.tanh, q)
    with pytest.raises(ValueError, match=f"q = {q!r}"):
        mf.expect_pair(np.tanh, q, 0.5)


def test_what_is_no_correlation_or_variance_is_refused() -> None:
    with pytest.raises(ValueError, match=r"c = 1\.5"):
        mf.expect_pair(np.tanh, 1.0, 1.5)
    with pytest.raises(ValueError, match=r"sw2 = -1"):
        mf.fixed_point(np.tanh, dtanh, -1, 0)
    with pytest.raises(ValueError, match=r"sb2 = nan"):
        mf.propagate(np.tanh, dtanh, 3, 1, math.nan)


# -- maps and fixed points ------------------------------------------------------------------------
def iterated(f, sw2: float, sb2: float, kinks=(), layers: int = 2000) -> float:  # type: ignore[no-untyped-def]
    """The slow way to q*: what the network itself does."""
    q = sw2 + sb2
    for _ in range(layers):
        q = mf.q_map(f, q, sw2, sb2, kinks)
    return q


@pytest.mark.parametrize(
    ("f", "df", "sw2", "sb2"),
    [(np.tanh, dtanh, 4.0, 0.05), (sigmoid, dsigmoid, 1.0, 0.0), (erf, derf, 1 / 3, 0.01)],
)
def test_fixed_points_are_where_iteration_ends(f, df, sw2: float, sb2: float) -> None:  # type: ignore[no-untyped-def]
    point = mf.fixed_point(f, df, sw2, sb2)
    assert point.q == pytest.approx(iterated(f, sw2, sb2, layers=200), rel=1e-9)
    c = 0.3
    for _ in range(200):
        c = mf.c_map(f, point.q, c, sw2, sb2)
    assert point.c == pytest.approx(c, abs=1e-8)
    assert point.q_slope < 1


def test_slopes_are_the_derivatives_of_the_maps() -> None:
    h = 1e-4
    for f, df, kinks in ((np.tanh, dtanh, ()), (relu, drelu, (0.0,)), (sigmoid, dsigmoid, ())):
        for q in (0.2, 3.0):
            by_hand = (
                mf.q_map(f, q + h, 1.5, 0.1, kinks) - mf.q_map(f, q - h, 1.5, 0.1, kinks)
            ) / (2 * h)
            assert mf.q_slope(f, df, q, 1.5, kinks) == pytest.approx(by_hand, abs=1e-7)
            for c in (0.0, 0.7):
                ahead, behind = (mf.c_map(f, q, c + d, 1.5, 0.1, kinks) for d in (h, -h))
                got = mf.c_slope(f, df, q, c, 1.5, 0.1, kinks)
                assert got == pytest.approx((ahead - behind) / (2 * h), abs=1e-6)


def test_linear_networks_are_exact() -> None:
    """q' = σw² q + σb², so q* = σb²/(1 - σw²), χ1 = σw², ξ = -1/ln σw²."""
    point = mf.fixed_point(lambda x: x, np.ones_like, 0.8, 0.3)
    assert point.q == pytest.approx(1.5, rel=1e-10)
    assert point.chi1 == pytest.approx(0.8, rel=1e-12)
    assert point.c == 1.0
    assert point.xi_grad == pytest.approx(-1 / math.log(0.8))
    assert point.xi_c == pytest.approx(-1 / math.log(0.8))


def test_relu_at_he_below_and_above() -> None:
    he = mf.fixed_point(relu, drelu, 2.0, 0.0, (0,))
    assert (he.chi1, he.c) == (pytest.approx(1.0), 1.0)
    assert he.xi_grad == he.xi_c == math.inf
    below = mf.fixed_point(relu, drelu, 1 / 3, 0.0, (0,))
    assert below.q == 0.0
    assert below.chi1 == pytest.approx(1 / 6)
    assert below.xi_grad == pytest.approx(1 / math.log(6))
    above = mf.fixed_point(relu, drelu, 4.0, 0.1, (0,))
    assert above.q == math.inf
    assert above.chi1 == pytest.approx(2.0)
    assert above.xi_grad == pytest.approx(-1 / math.log(2))


def test_a_marginal_fixed_point_is_found_that_iteration_never_reaches() -> None:
    """tanh at σw² = 1: q falls like 1/(2l); after 2000 layers iteration is still at 2e-4."""
    assert mf.fixed_q(np.tanh, 1.0, 0.0) == 0.0
    assert iterated(np.tanh, 1.0, 0.0, layers=500) > 1e-4


def test_the_ordered_and_the_chaotic_phase() -> None:
    """σw² above the critical one: c* < 1 and χ1 > 1; below: c* = 1 and χ1 < 1."""
    critical = mf.critical_at(np.tanh, dtanh, 0.5)
    assert critical is not None
    chaotic = mf.fixed_point(np.tanh, dtanh, critical.sw2 * 1.1, critical.sb2)
    ordered = mf.fixed_point(np.tanh, dtanh, critical.sw2 * 0.9, critical.sb2)
    assert chaotic.chi1 > 1 > ordered.chi1
    assert chaotic.c < 1 and chaotic.c_slope < 1
    assert ordered.c == 1.0
    assert mf.c_map(np.tanh, chaotic.q, chaotic.c, chaotic.sw2, chaotic.sb2) == pytest.approx(
        chaotic.c, abs=1e-10
    )
    odd = mf.fixed_point(np.tanh, dtanh, 2.0, 0.0)
    assert odd.c == pytest.approx(0.0, abs=1e-12)


def test_weights_of_zero_leave_the_bias_alone() -> None:
    assert mf.fixed_q(np.tanh, 0.0, 0.4) == 0.4


# -- criticality ----------------------------------------------------------------------------------
@pytest.mark.parametrize("q", [0.01, 1.0, 30.0])
def test_critical_means_chi_1_at_a_fixed_point(q: float) -> None:
    for f, df in ((np.tanh, dtanh), (erf, derf)):
        found = mf.critical_at(f, df, q)
        assert found is not None and found.sb2 >= 0
        assert mf.chi(df, q, found.sw2) == pytest.approx(1.0, abs=1e-10)
        assert mf.q_map(f, q, found.sw2, found.sb2) == pytest.approx(q, rel=1e-10)
        assert found.q_slope < 1


def test_known_critical_points() -> None:
    (tanh,) = mf.critical_without_bias(np.tanh, dtanh)
    assert (tanh.sw2, tanh.sb2, tanh.q) == (pytest.approx(1.0), 0.0, 0.0)
    (he,) = mf.critical_without_bias(relu, drelu, (0,))
    assert (he.sw2, he.sb2, he.q_slope) == (pytest.approx(2.0), 0.0, pytest.approx(1.0))
    assert mf.critical_at(sigmoid, dsigmoid, 1.0) is None
    (far,) = mf.critical_without_bias(sigmoid, dsigmoid)
    assert mf.fixed_point(sigmoid, dsigmoid, far.sw2, 0.0).chi1 == pytest.approx(1.0, abs=1e-8)
    constant = mf.critical_without_bias(np.ones_like, np.zeros_like)
    assert constant == ()
    assert mf.critical_at(np.ones_like, np.zeros_like, 1.0) is None


# -- layer by layer -------------------------------------------------------------------------------
def test_profiles_end_at_the_fixed_point() -> None:
    q, chi = mf.propagate(np.tanh, dtanh, 120, 4.0, 0.05)
    point = mf.fixed_point(np.tanh, dtanh, 4.0, 0.05)
    assert q[-1] == pytest.approx(point.q, rel=1e-8)
    c = 0.9
    for _ in range(120):
        c = mf.c_map(np.tanh, point.q, c, 4.0, 0.05)
    assert c == pytest.approx(point.c, rel=1e-3)
    assert chi[-1] == pytest.approx(point.chi1, rel=1e-8)


@pytest.mark.parametrize(
    ("f", "df", "kinks", "sw2", "sb2", "measured", "within"),
    [
        (np.tanh, dtanh, (), 1 / 3, 1 / 768, -12.06, 0.3),
        (np.tanh, dtanh, (), 4.0, 0.05, 3.13, 0.1),
        (sigmoid, dsigmoid, (), 1 / 3, 1 / 768, -42.47, 0.9),
        (sigmoid, dsigmoid, (), 1.0, 0.0, -31.30, 0.7),
        (relu, drelu, (0,), 1 / 3, 1 / 768, -19.53, 0.5),
        (relu, drelu, (0,), 2.0, 0.0, 0.03, 0.1),
    ],
)
def test_the_measured_table(f, df, kinks, sw2, sb2, measured, within) -> None:  # type: ignore[no-untyped-def]
    """THEORY.md §2, measured with 50 layers of 256 units: 49 steps back of the 50 measured."""
    _, chi = mf.propagate(f, df, 50, sw2, sb2, kinks)
    assert 0.5 * np.log10(chi[:-1]).sum() == pytest.approx(measured, abs=within)


def test_an_overflowing_network_says_inf() -> None:
    q, chi = mf.propagate(lambda x: x, np.ones_like, 40, 1e10, 0.0)
    assert np.isinf(q).sum() == 1
    assert math.isnan(chi[-1])


def test_no_torch() -> None:
    code = "import evenflow.activations.meanfield, sys; assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_published_half_stable_points() -> None:
    """Roberts, Yaida & Hanin 2022, section 5.3.3: K*, C_W, C_b of Swish and GELU."""
    from evenflow.activations import curve

    published = {
        "swish": (14.32017362, 1.98800468, 0.55514317),
        "gelu": ((3 + math.sqrt(17)) / 2, 1.98305826, 0.17292239),
    }
    for name, (q, sw2, sb2) in published.items():
        this = curve(name)
        found = mf.critical_steady(this.f, this.df)
        assert found is not None
        assert (found.q, found.sw2, found.sb2) == pytest.approx((q, sw2, sb2), rel=1e-6)
        assert (found.q_slope, found.stability) == (pytest.approx(1.0), "neutral")
        nearer = mf.critical_at(this.f, this.df, 1.0)
        farther = mf.critical_at(this.f, this.df, 2 * q)
        assert nearer is not None and nearer.stability == "repelling"
        assert farther is not None and farther.stability == "attracting"
    assert mf.critical_steady(np.tanh, dtanh) is None


@pytest.mark.parametrize(
    ("f", "df", "kinks", "sw2", "sb2"),
    [
        (np.tanh, dtanh, (), 1 / 3, 1 / 768),
        (np.tanh, dtanh, (), 4.0, 0.05),
        (sigmoid, dsigmoid, (), 1.0, 0.0),
        (relu, drelu, (0.0,), 1.0, 0.0),
        (erf, derf, (), 3.0, 0.01),
    ],
)
def test_layers_to_three_decades_is_read_off_the_profile(f, df, kinks, sw2, sb2) -> None:  # type: ignore[no-untyped-def]
    _, chi = mf.propagate(f, df, 200, sw2, sb2, kinks)
    told = mf.layers_to(f, df, sw2, sb2, kinks)
    gained = np.cumsum(0.5 * np.log10(chi))
    first = int(np.flatnonzero(np.abs(gained) >= 3)[0])
    assert told == -math.copysign(first + 1, gained[first])


def test_layers_to_says_never() -> None:
    assert mf.layers_to(relu, drelu, 2.0, 0.0, (0,)) == math.inf
    assert mf.layers_to(np.tanh, dtanh, 1.0, 0.0) == math.inf  # a power law: 1.4 decades in 1000
    assert mf.layers_to(np.tanh, dtanh, 1.0, 0.0, decades=0.5) < 50
    assert mf.layers_to(np.tanh, np.zeros_like, 1.0, 0.0) == 1.0
