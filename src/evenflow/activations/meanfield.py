"""Mean-field theory of deep random networks: the maps of q and c, their fixed points, χ1, ξ.

A plain network z_l = W_l a_{l-1} + b_l, a_l = φ(z_l), weights N(0, σw²/n), biases N(0, σb²), width
n → ∞. q is the second moment of z, c the correlation of two inputs' z, Dz the standard Gaussian
measure. Poole et al. 2016, arXiv:1606.05340; Schoenholz et al. 2017, arXiv:1611.01232.

Throughout: `f` and `df` are φ and φ' as functions of a float64 array, `kinks` the places where
either jumps, `sw2` = σw², `sb2` = σb². Depths are counted in layers. No torch in here.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # type: ignore[import-untyped, unused-ignore]  # loads its parts at first use

from .quadrature import Array, Function
from .quadrature import expect as expect
from .quadrature import expect_pair as expect_pair

#: The x at which f or f' jumps.
Kinks = Sequence[float]
#: Slopes this near 1 are called exactly 1: quadrature and root finding are good to about 1e-10.
TOLERANCE = 1e-8
#: A q that leaves this range is called 0 or infinite; limits are taken at its ends.
Q_RANGE = (1e-24, 1e24)
#: `layers_to` looks no further.
MOST = 1000
#: A q map that moves log q by less than this is lost in rounding.
_FADED = 1e-12


def second_moment(f: Function, q: float, kinks: Kinks = ()) -> float:
    """Eφ(√q z)²; with `df` for `f`, Eφ'(√q z)²."""
    return expect(lambda x: f(x) ** 2, q, kinks=kinks)


def q_map(f: Function, q: float, sw2: float, sb2: float, kinks: Kinks = ()) -> float:
    """The next layer's q: q' = σw² ∫Dz φ(√q z)² + σb² (Poole 2016, eq. 3)."""
    return sw2 * second_moment(f, q, kinks) + sb2


def q_slope(f: Function, df: Function, q: float, sw2: float, kinks: Kinks = ()) -> float:
    """dq'/dq = σw² E[φ(x) φ'(x) x] / q, x = √q z. Below 1 at a fixed point: q is attracted."""
    if q == 0:
        return chi(df, 0.0, sw2, kinks)
    return sw2 * expect(lambda x: f(x) * df(x) * x, q, kinks=kinks) / q


def chi(df: Function, q: float, sw2: float, kinks: Kinks = ()) -> float:
    """χ = σw² ∫Dz φ'(√q z)²: what one layer does to E δ² on its way back, at equal widths
    (Schoenholz 2017, eq. 5). At q* it is χ1."""
    return sw2 * second_moment(df, q, kinks)


def c_map(f: Function, q: float, c: float, sw2: float, sb2: float, kinks: Kinks = ()) -> float:
    """The next layer's c: c' = (σw² ∫∫ φ(u1) φ(u2) + σb²) / q' (Poole 2016, eq. 5), both inputs
    having second moment q."""
    ahead = q_map(f, q, sw2, sb2, kinks)
    return (sw2 * expect_pair(f, q, c, kinks=kinks) + sb2) / ahead


def c_slope(
    f: Function, df: Function, q: float, c: float, sw2: float, sb2: float, kinks: Kinks = ()
) -> float:
    """dc'/dc = (q/q') σw² ∫∫ φ'(u1) φ'(u2); q/q' = 1 at a fixed point of q."""
    ahead = q_map(f, q, sw2, sb2, kinks)
    return q / ahead * sw2 * expect_pair(df, q, c, kinks=kinks)


def _root(of_log: Callable[[float], float], low: float, high: float) -> float:
    """The q at which a function of log q is 0, between two such logarithms."""
    return math.exp(float(scipy.optimize.brentq(of_log, low, high, xtol=1e-13)))


def fixed_q(f: Function, sw2: float, sb2: float, kinks: Kinks = ()) -> float:
    """q* that the q map leads to from σw² + σb², the first layer's q for inputs with unit second
    moment. 0.0 and inf where q dies or grows without end; the start itself where every q is fixed
    (ReLU at σw² = 2).

    The q map of these functions increases, so iteration moves one way until the first fixed
    point: the walk looks for it in steps of a factor 1.5, then Brent's method takes over. Direct
    iteration would never end where the slope at q* is 1 (tanh at σw² = 1). A drift that fades into
    rounding on the way is taken to lead on to 0 or inf.
    """
    check_variances(sw2, sb2)
    if sw2 == 0:
        return sb2
    q = sw2 + sb2

    def drift(log_q: float) -> float:
        return math.log(q_map(f, math.exp(log_q), sw2, sb2, kinks)) - log_q

    here = math.log(q)
    now = drift(here)
    if abs(now) < _FADED:
        return q
    step = math.copysign(math.log(1.5), now)
    while Q_RANGE[0] < math.exp(here) < Q_RANGE[1]:
        there = here + step
        ahead = drift(there)
        if abs(ahead) < _FADED:
            break
        if ahead * now < 0:
            return _root(drift, *sorted((here, there)))
        here, now = there, ahead
    return math.inf if step > 0 else 0.0


def fixed_c(
    f: Function, df: Function, q: float, sw2: float, sb2: float, kinks: Kinks = ()
) -> float:
    """c* that every c in [0, 1) is led to, at second moment q.

    The c map is a power series with coefficients ≥ 0 (Daniely et al. 2016, arXiv:1602.05897), so
    it is convex on [0, 1] with C(1) = 1: if its slope there is at most 1, c* = 1; otherwise there
    is exactly one c* in [0, 1), to which Newton's method from 0 climbs without overshooting.
    """
    if c_slope(f, df, q, 1.0, sw2, sb2, kinks) <= 1 + TOLERANCE:
        return 1.0
    c = 0.0
    for _ in range(60):
        gap = c_map(f, q, c, sw2, sb2, kinks) - c
        slope = c_slope(f, df, q, c, sw2, sb2, kinks) - 1
        if gap < 1e-13 or slope >= 0:
            break
        c = min(c - gap / slope, 1.0)
        if gap / -slope < 1e-13:
            break
    return c


def depth_scale(slope: float) -> float:
    """ξ = -1/ln slope: the number of layers in which a quantity that is multiplied by `slope`
    falls by e. inf at slope 1, 0 at slope 0; negative where it grows (by e in -ξ layers)."""
    if abs(slope - 1) <= TOLERANCE:
        return math.inf
    return 0.0 if slope <= 0 else -1 / math.log(slope)


@dataclass(frozen=True)
class FixedPoint:
    """Where a deep network of given (σw², σb²) settles.

    `q` may be 0 or inf; the rest is then its limit (taken at the end of `Q_RANGE`).
    """

    sw2: float
    sb2: float
    #: Second moment q* of pre-activations, and dq'/dq there (below 1: attracting).
    q: float
    q_slope: float
    #: χ1 = σw² E φ'(√q* z)²: factor on E δ² per layer. Above 1 gradients explode.
    chi1: float
    #: Correlation c* of any two inputs, and dc'/dc there.
    c: float
    c_slope: float

    @property
    def xi_grad(self) -> float:
        """ξ∇ = -1/ln χ1: layers in which E δ² falls by e (negative: grows); inf at χ1 = 1."""
        return depth_scale(self.chi1)

    @property
    def xi_c(self) -> float:
        """ξc = -1/ln(dc'/dc at c*): layers in which c - c* falls by e. Trainable depth ≲ 6 ξc."""
        return depth_scale(self.c_slope)


def fixed_point(f: Function, df: Function, sw2: float, sb2: float, kinks: Kinks = ()) -> FixedPoint:
    """q*, c*, χ1 and the slopes there."""
    q = fixed_q(f, sw2, sb2, kinks)
    at = min(max(q, Q_RANGE[0]), Q_RANGE[1])
    c = fixed_c(f, df, at, sw2, sb2, kinks)
    return FixedPoint(
        sw2=sw2,
        sb2=sb2,
        q=q,
        q_slope=q_slope(f, df, at, sw2, kinks),
        chi1=chi(df, at, sw2, kinks),
        c=c,
        c_slope=c_slope(f, df, at, c, sw2, sb2, kinks),
    )


@dataclass(frozen=True)
class Critical:
    """An initialisation (σw², σb²) with χ1 = 1 at its fixed point q (0: in the limit q → 0)."""

    sw2: float
    sb2: float
    q: float
    #: dq'/dq there.
    q_slope: float
    #: "attracting": layers lead q there; "repelling": a q beside it runs away, and χ with it;
    #: "neutral": a q beside it stays or moves slower than geometrically.
    stability: str


def _critical(
    f: Function, df: Function, q: float, sw2: float, sb2: float, kinks: Kinks
) -> Critical:
    slope = q_slope(f, df, q, sw2, kinks)
    excess = slope - 1
    if q == 0 and abs(excess) <= TOLERANCE:  # the slope says nothing: look at q beside it
        excess = q_map(f, 1e-4, sw2, sb2, kinks) / 1e-4 - 1
    kind = "neutral" if abs(excess) <= TOLERANCE else "repelling" if excess > 0 else "attracting"
    return Critical(sw2, sb2, q, slope, kind)


def critical_at(
    f: Function, df: Function, q: float, kinks: Sequence[float] = ()
) -> Critical | None:
    """The one critical initialisation whose fixed point is q: σw² = 1/Eφ'², σb² = q - σw² Eφ².

    None where that asks for a negative σb², or where φ' = 0 almost everywhere.

    >>> from evenflow.activations import critical_at, curve
    >>> relu = curve("relu")
    >>> found = critical_at(relu.f, relu.df, 1.0, relu.kinks)
    >>> round(found.sw2, 6), found.sb2, found.stability  # He's
    (2.0, 0.0, 'neutral')
    """
    slope = second_moment(df, q, kinks)
    if slope <= 0:
        return None
    sw2 = 1 / slope
    sb2 = q - sw2 * second_moment(f, q, kinks)
    if sb2 < -TOLERANCE * q:
        return None
    return _critical(f, df, q, sw2, sb2 if sb2 > _FADED * q else 0.0, kinks)


def critical_without_bias(
    f: Function, df: Function, kinks: Sequence[float] = ()
) -> tuple[Critical, ...]:
    """All critical initialisations with σb² = 0: the q in `Q_RANGE` with q Eφ'² = Eφ², and q → 0.

    A function for which that holds at every q (ReLU, any x·const by sign) gives one, at q = 1.

    >>> from evenflow.activations import critical_without_bias, curve
    >>> tanh = curve("tanh")
    >>> [(round(c.sw2, 6), c.q) for c in critical_without_bias(tanh.f, tanh.df)]  # Xavier's
    [(1.0, 0.0)]
    """

    def excess(log_q: float) -> float:
        q = math.exp(log_q)
        return second_moment(df, q, kinks) - second_moment(f, q, kinks) / q

    def at(q: float) -> Critical:
        sw2 = 1 / second_moment(df, q, kinks)
        return _critical(f, df, q, sw2, 0.0, kinks)

    grid = np.logspace(math.log10(Q_RANGE[0]), math.log10(Q_RANGE[1]), 97)
    logs = np.log(grid)
    values = np.array([excess(float(x)) for x in logs])
    sizes = np.array([second_moment(df, float(q), kinks) for q in grid])
    if not np.any(sizes > 0):
        return ()
    if np.all(np.abs(values) <= TOLERANCE * sizes):
        return (at(1.0),)
    found = []
    if abs(values[0]) <= TOLERANCE * sizes[0]:
        found.append(at(0.0))
    # values that round to nothing are no roots by themselves: only what lies between clear ones
    clear = np.flatnonzero(np.abs(values) > TOLERANCE * sizes)
    for i, j in itertools.pairwise(clear):
        if values[i] * values[j] < 0:
            found.append(at(_root(excess, logs[i], logs[j])))
    return tuple(found)


def critical_steady(f: Function, df: Function, kinks: Sequence[float] = ()) -> Critical | None:
    """The critical initialisation with dq'/dq = 1 as well, where the line of critical points turns
    from repelling to attracting (Roberts, Yaida & Hanin 2022, section 5.3: "half-stable", GELU and
    Swish); None if there is none with q in [1e-3, 1e6].

    >>> from evenflow.activations import critical_steady, curve
    >>> gelu = curve("gelu")
    >>> found = critical_steady(gelu.f, gelu.df)
    >>> round(found.sw2, 3), round(found.sb2, 3)
    (1.983, 0.173)
    """

    def excess(log_q: float) -> float:
        q = math.exp(log_q)
        return q_slope(f, df, q, 1.0, kinks) / second_moment(df, q, kinks) - 1

    logs = np.log(np.logspace(-3, 6, 55))
    values = np.array([excess(float(x)) for x in logs])
    for i in range(len(logs) - 1):
        if values[i] > TOLERANCE and values[i + 1] < -TOLERANCE:
            return critical_at(f, df, _root(excess, logs[i], logs[i + 1]), kinks)
    return None


def propagate(
    f: Function, df: Function, depth: int, sw2: float, sb2: float, kinks: Kinks = ()
) -> tuple[Array, Array]:
    """Layer by layer from inputs with unit second moment, (depth,): q of z, and χ at that q. q that
    overflows is inf, and what follows NaN."""
    check_variances(sw2, sb2)
    qs, chis = np.full((2, depth), math.nan)
    q = sw2 + sb2
    for layer in range(depth):
        qs[layer] = q
        if not math.isfinite(q):
            break
        chis[layer] = chi(df, q, sw2, kinks)
        q = q_map(f, q, sw2, sb2, kinks)
    return qs, chis


def layers_to(
    f: Function, df: Function, sw2: float, sb2: float, kinks: Kinks = (), decades: float = 3.0
) -> float:
    """Layers after which ‖δ‖ of the first has changed by so many decades against the last: above 0
    where it has fallen, below 0 where it has grown, inf where neither happens within `MOST`.

    This follows q from that of inputs with unit second moment, which matters where q* is approached
    slowly (tanh at σw² = 1) or not at all. Once χ no longer changes, it is extrapolated.
    """
    check_variances(sw2, sb2)
    q, total, before = sw2 + sb2, 0.0, math.nan
    for layer in range(1, MOST + 1):
        now = chi(df, q, sw2, kinks) if q < math.inf else before
        if now <= 0:
            return float(layer)
        gain = 0.5 * math.log10(now) if abs(now - 1) > TOLERANCE else 0.0
        if abs(now - before) <= _FADED * now:
            if not gain:
                return math.inf
            side = math.copysign(decades, gain)
            return math.copysign(layer - 1 + math.ceil((side - total) / gain), -gain)
        total, before = total + gain, now
        if abs(total) >= decades:
            return math.copysign(layer, -total)
        q = q_map(f, q, sw2, sb2, kinks)
    return math.inf


def check_variances(sw2: float, sb2: float) -> None:
    """ValueError unless both are finite and at least 0."""
    for name, value in (("sw2", sw2), ("sb2", sb2)):
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(
                f"{name} = {value!r} is no variance; it must be finite and at least 0."
            )
