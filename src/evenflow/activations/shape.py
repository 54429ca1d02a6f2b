"""What a curve looks like, found by looking at it: bound of |f'|, saturation, dead regions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy  # type: ignore[import-untyped, unused-ignore]  # loads its parts at first use

from .quadrature import Array, Function
from .registry import Curve

#: |x| at which a curve counts as having reached its asymptote.
FAR = 1e6
#: Saturated: |f'| below this share of its bound (DESIGN's vocabulary).
SATURATED = 0.01
_LOG = np.logspace(-6, 6, 4801)
#: Dense everywhere on a logarithmic scale and, where features of width near 1 may sit, linearly.
_GRID: Array = np.unique(np.concatenate([-_LOG, [0.0], _LOG, np.linspace(-30, 30, 12001)]))


@dataclass(frozen=True)
class Shape:
    """Regions are of x; an end at ±inf is open. None: there is no such region."""

    #: Supremum of |f'|, and where it is reached (±inf: only in the limit).
    bound: float
    bound_at: float
    #: x below (above) which f is saturated: near an asymptote, |f'| < 1 % of the bound.
    saturated_below: float | None
    saturated_above: float | None
    #: x below (above) which f' is exactly 0: no gradient passes.
    dead_below: float | None
    dead_above: float | None
    #: Infimum and supremum of f.
    low: float
    high: float
    #: f(-x) = -f(x).
    odd: bool
    #: f never falls.
    monotone: bool


def shape_of(curve: Curve) -> Shape:
    """Read a curve's shape off f and f' on ±1e6 (a linear curve's ends count as unbounded).

    >>> from evenflow.activations import curve, shape_of
    >>> relu = shape_of(curve("relu"))
    >>> relu.bound, relu.dead_below, relu.high
    (1.0, 0.0, inf)
    """
    f, df = curve.f, curve.df
    bound, bound_at = _bound(curve)
    flat = [_flat(curve, side, bound) for side in (-1.0, 1.0)]
    # One side flat at 0 and the other not: that is a rectifier switched off, not saturation.
    off = [flat[i] and not flat[1 - i] and _at(f, side * FAR) == 0 for i, side in _SIDES]
    edges = [
        _edge(df, side, SATURATED * bound) if flat[i] and not off[i] else None for i, side in _SIDES
    ]
    dead = [_dead(curve, side) for side in (-1.0, 1.0)]
    low, high = _range(f, curve)
    values = f(_GRID)
    slack = 1e-9 * max(1.0, bound)
    return Shape(
        bound=bound,
        bound_at=bound_at,
        saturated_below=edges[0],
        saturated_above=edges[1],
        dead_below=dead[0],
        dead_above=dead[1],
        low=low,
        high=high,
        odd=bool(np.allclose(f(-_GRID), -values, rtol=1e-9, atol=1e-12)),
        monotone=bool(np.all(df(_GRID) >= -slack)),
    )


_SIDES = ((0, -1.0), (1, 1.0))


def _bound(curve: Curve) -> tuple[float, float]:
    """Largest |f'| on the grid, then polished between its neighbours; beside kinks, both sides."""
    kinks = np.array(curve.kinks)
    beside = [np.nextafter(k, k + s) for k in kinks for s in (-1.0, 1.0)]
    x = np.sort(np.concatenate([_GRID, beside]))
    size = np.abs(curve.df(x))
    best = float(size.max())
    highest = np.flatnonzero(size >= best * (1 - 1e-12))
    i = int(min(highest, key=lambda j: abs(x[j])))
    at = float(x[i])
    near = kinks[np.abs(kinks - at) < 1e-9]
    if near.size:
        return best, float(near[0])
    if (
        len(highest) > 1
        and abs(x[highest]).max() == FAR
        and not x[highest].min() < 0 < x[highest].max()
    ):
        return best, math.copysign(math.inf, at)  # a limit that f' rounds to from here on
    beside_it = x[max(i - 1, 0)], x[min(i + 1, len(x) - 1)]
    higher, there = _highest(lambda t: abs(_at(curve.df, t)), *beside_it)
    # what the grid has missed, not what rounding adds
    return (higher, there) if higher > best * (1 + 1e-12) else (best, at)


def _flat(curve: Curve, side: float, bound: float) -> bool:
    """Whether f has a horizontal asymptote there. Decades from 1e3 on, not one far point: a
    slope that only passes through 0 does not count."""
    x = side * np.logspace(3, math.log10(FAR), 31)
    return bool(np.all(np.abs(curve.df(x)) < SATURATED * bound))


def _at(f: Function, x: float) -> float:
    return float(f(np.array([x]))[0])


def _highest(g: Callable[[float], float], low: float, high: float) -> tuple[float, float]:
    """The largest g between two points, and where it is."""
    found = scipy.optimize.minimize_scalar(
        lambda t: -g(t), bounds=(low, high), method="bounded", options={"xatol": 1e-12}
    )
    return -float(found.fun), float(found.x)


def _edge(df: Function, side: float, limit: float) -> float:
    """From outside in, the last x with |f'| < limit."""
    x = _GRID if side < 0 else _GRID[::-1]
    i = int(np.flatnonzero(np.abs(df(x)) >= limit)[0])
    ends = sorted((float(x[i - 1]), float(x[i])))
    return float(scipy.optimize.brentq(lambda t: abs(_at(df, t)) - limit, *ends, xtol=1e-12))


def _dead(curve: Curve, side: float) -> float | None:
    """The kink past which f' is exactly 0. An analytic piece cannot be flat over a stretch: f' that
    merely rounds to 0 far out is no dead region, so only kinks can begin one."""
    for k in sorted(curve.kinks, key=lambda k: side * k):
        if np.all(curve.df(k + side * _LOG) == 0):
            return float(k)
    return None


def _range(f: Function, curve: Curve) -> tuple[float, float]:
    """Infimum and supremum of f; ±inf where f still grows at ±1e6."""
    values = f(_GRID)
    ends = []
    for sign, i in ((-1.0, int(values.argmin())), (1.0, int(values.argmax()))):
        at, value = float(_GRID[i]), float(values[i])
        if abs(at) >= FAR and abs(value) > abs(_at(f, at / 2)) * 1.5:
            ends.append(sign * math.inf)
            continue
        if 0 < i < len(_GRID) - 1:
            more, _ = _highest(lambda t, s=sign: s * _at(f, t), _GRID[i - 1], _GRID[i + 1])  # type: ignore[misc]
            value = sign * max(sign * value, more)
        ends.append(value)
    return ends[0], ends[1]
