"""Gaussian integrals of functions with kinks, to about 1e-10.

Gauss-Hermite quadrature converges slowly where f or f' jumps (ReLU) or bends sharply (tanh at
large q). So the line is cut at every kink, panels grow twofold away from each kink and from 0, and
each panel gets a Gauss-Legendre rule. Bends as narrow as 1/100 around 0 and the kinks are resolved
at any q; what is narrower elsewhere must be announced as a kink.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Function = Callable[[Array], Array]

#: P(|z| > 12) = 4e-33: what lies outside is lost in rounding, even times x^4.
_REACH = 12.0
#: Panels that follow the Gaussian, whatever f does.
_COARSE = np.array([-_REACH, -8.0, -6.0, -4.5, -3.0, -2.0, -1.0, 0.0])
_COARSE = np.concatenate([_COARSE, -_COARSE[-2::-1]])
#: Smallest panel beside a kink, in units of x.
_FINEST = 1 / 64
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(14)
#: sqrt(q) stands for at least this: q = 0 means the limit from above, where kinks at 0 still count.
_SMALLEST = 1e-150


def expect(g: Function, q: float, *, mean: float = 0.0, kinks: Sequence[float] = ()) -> float:
    """E g(x) for x ~ N(mean, q): one-dimensional Gaussian integral ∫Dz g(mean + √q z).

    `g` takes and returns a float64 array; `kinks` are the x at which g or g' jumps. q = 0 is the
    limit q → 0+ (so a jump at `mean` is averaged). ValueError for q < 0 or not finite.

    >>> from evenflow.activations import curve, expect
    >>> relu = curve("relu")
    >>> round(expect(relu.f, 1.0, kinks=relu.kinks), 6)  # 1/√(2π)
    0.398942
    """
    sd = _deviation(q)
    centres = np.array([(k - mean) / sd for k in {0.0, *kinks}])
    edges = _edges(centres, _FINEST / sd)
    z, weight = _rule(edges)
    return float(np.sum(weight * g(mean + sd * z)))


def expect_pair(g: Function, q: float, c: float, *, kinks: Sequence[float] = ()) -> float:
    """E g(u1) g(u2), u1 and u2 ~ N(0, q) with correlation c: THEORY's ∫∫ with u1 = √q z1,
    u2 = √q (c z1 + √(1 - c²) z2).

    The inner integral is cut where u2 meets a kink, for each z1 anew; the outer one is refined
    around the kinks on the scale √(1 - c²) on which the inner one varies. ValueError for q < 0
    and for |c| > 1.

    >>> from evenflow.activations import curve, expect_pair
    >>> relu = curve("relu")
    >>> round(expect_pair(relu.f, 1.0, 0.0, kinks=relu.kinks), 6)  # of independent ones: 1/(2π)
    0.159155
    """
    sd = _deviation(q)
    if not -1 <= c <= 1:
        raise ValueError(f"c = {c!r} is no correlation; it lies between -1 and 1.")
    s = math.sqrt((1 - c) * (1 + c))
    if s < 1e-8:
        sign = math.copysign(1.0, c)
        both = (*kinks, *(sign * k for k in kinks))
        return expect(lambda x: g(x) * g(sign * x), q, kinks=both)
    at = np.array([k / sd for k in {0.0, *kinks}])
    outer = _edges(np.concatenate([at, at / c]) if abs(c) > 0.1 else at, min(_FINEST / sd, s / 8))
    z1, w1 = _rule(outer)
    inner = _edges((at - c * z1[:, None]) / s, _FINEST / (sd * s))
    z2, w2 = _rule(inner)
    g2 = np.sum(w2 * g(sd * (c * z1[:, None] + s * z2)), axis=-1)
    return float(np.sum(w1 * g(sd * z1) * g2))


def _deviation(q: float) -> float:
    if not (math.isfinite(q) and q >= 0):
        raise ValueError(f"q = {q!r} is no second moment; it must be finite and at least 0.")
    return max(math.sqrt(q), _SMALLEST)


def _edges(centres: Array, finest: float) -> Array:
    """Panel edges in z, shape (..., E): the coarse ones, and centres ± finest·2^j. Sorted; panels
    that fall together have no width and weigh nothing."""
    doublings = max(0, math.ceil(math.log2(2 * _REACH / finest))) if finest < _REACH else 0
    steps = finest * 2.0 ** np.arange(doublings)
    steps = np.concatenate([-steps[::-1], [0.0], steps])
    fine = (centres[..., :, None] + steps).reshape(*centres.shape[:-1], -1)
    coarse = np.broadcast_to(_COARSE, (*centres.shape[:-1], len(_COARSE)))
    edges: Array = np.clip(np.concatenate([coarse, fine], axis=-1), -_REACH, _REACH)
    edges.sort(axis=-1)
    return edges


def _rule(edges: Array) -> tuple[Array, Array]:
    """Nodes and weights (Gaussian density included), shape (..., N)."""
    if edges.ndim == 1:
        edges = edges[np.concatenate([[True], np.diff(edges) > 0])]
    half = np.diff(edges)[..., None] / 2
    z = (edges[..., :-1, None] + half) + half * _NODES
    weight = half * _WEIGHTS * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return z.reshape(*edges.shape[:-1], -1), weight.reshape(*edges.shape[:-1], -1)
