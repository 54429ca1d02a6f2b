"""The constants of tailored activations: solved for, not tabulated.

Deep kernel shaping and TAT (Martens et al. 2021, arXiv:2110.01765; Zhang et al. 2022,
arXiv:2203.08120) bend an activation so that a plain network of `depth` nonlinear layers, with
weights of σw² = 1 (orthogonal) and σb² = 0, keeps q = 1, passes gradients on unchanged, and lets
the similarity c of two inputs rise only so far. Q, C: the q map and the c map.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import scipy  # type: ignore[import-untyped, unused-ignore]  # loads its parts at first use

from ..lang import _
from .quadrature import Array, expect


@dataclass(frozen=True)
class Tailoring:
    """f(x) = gamma·(φ(alpha·x + beta) + delta)."""

    alpha: float
    beta: float
    gamma: float
    delta: float


@lru_cache(maxsize=256)
def tailor(kind: str, depth: int, curvature: float = 0.3) -> Tailoring:
    """Constants for φ = "tanh" or "sigmoid" with Q(1) = Q'(1) = C'(1) = 1 and, for the composition
    of `depth` layers, C''_f(1) = depth·C''(1) = `curvature` (TAT, section 4.2).

    gamma follows from C'(1) = 1, |delta| from Q(1) = 1; the two left are solved for together. Of
    the mirrored and the farther solutions the one near 0 with beta > 0 is taken. ValueError for a
    depth below 1, for a curvature that is not above 0, and where no solution is found (curvature
    per layer near 1 asks for more bend than φ has).
    """
    _check(depth, "curvature", curvature, math.inf)
    scale = {"tanh": 1.0, "sigmoid": 2.0}[kind]  # sigmoid(x) = (1 + tanh(x/2))/2
    target = math.log(curvature / depth)
    # For small alpha the equations become 2(1 - t²) = (4 + 2√2) t², alpha = √(target)/(2t), with
    # t = tanh(beta): a start that is exact in the limit of great depth.
    t = math.sqrt(2 / (6 + 2 * math.sqrt(2)))
    start = (math.log(scale / (2 * t)) + target / 2, scale * math.atanh(t))

    def residuals(unknown: Array) -> tuple[float, float]:
        alpha, beta = math.exp(float(unknown[0])), float(unknown[1])
        found, phi = _scaled(kind, alpha, beta), partial(_phi, kind, alpha, beta)
        slope2 = expect(lambda z: phi(z)[1] ** 2, 1.0)
        bend2 = expect(lambda z: phi(z)[2] ** 2, 1.0)
        # Q'(1) = E f f' z = E f'² + E f f'' (Stein), so Q' = C' = 1 means E f f'' = 0; over f''²
        # it stays of order 1 at any depth
        cross = expect(lambda z: (phi(z)[0] + found.delta) * phi(z)[2], 1.0)
        return math.log(alpha**2 * bend2 / slope2) - target, cross / (alpha**2 * bend2)

    solved = scipy.optimize.root(residuals, start, tol=1e-13)
    if max(abs(r) for r in residuals(solved.x)) > 1e-9:
        said = _(
            "no tailored {kind} for depth = {depth!r}, curvature = {curvature!r}: curvature/depth "
            "asks for more bend in a layer than the function has; choose a lower curvature."
        )
        raise ValueError(said.format(kind=kind, depth=depth, curvature=curvature))
    return _scaled(kind, math.exp(float(solved.x[0])), float(solved.x[1]))


@lru_cache(maxsize=256)
def leaky_slope(depth: int, similarity: float = 0.9) -> float:
    """Negative slope a of the tailored LeakyReLU √(2/(1+a²))·LeakyReLU_a: two orthogonal inputs
    come out of `depth` layers with correlation C_f(0) = `similarity` (TAT, section 4.1).

    C(c) = [(1-a)² (√(1-c²) + (π - arccos c) c)/π + 2ac] / (1+a²). Networks so shallow that even
    ReLU stays below `similarity` get a = 0. ValueError for a depth below 1 or a similarity outside
    (0, 1).
    """
    _check(depth, "similarity", similarity, 1.0)

    def excess(a: float) -> float:
        c = 0.0
        for _layer in range(depth):
            c = leaky_c_map(c, a)
        return c - similarity

    return 0.0 if excess(0.0) <= 0 else float(scipy.optimize.brentq(excess, 0.0, 1.0, xtol=1e-15))


def leaky_c_map(c: float, a: float) -> float:
    """C(c) of LeakyReLU with negative slope a, at σb² = 0."""
    c = min(max(c, -1.0), 1.0)
    arc = (math.sqrt(1 - c * c) + (math.pi - math.acos(c)) * c) / math.pi
    return ((1 - a) ** 2 * arc + 2 * a * c) / (1 + a * a)


def _scaled(kind: str, alpha: float, beta: float) -> Tailoring:
    """gamma and delta that make C'(1) = 1 and Q(1) = 1 for this alpha and beta."""
    phi = partial(_phi, kind, alpha, beta)
    mean = expect(lambda z: phi(z)[0], 1.0)
    variance = expect(lambda z: (phi(z)[0] - mean) ** 2, 1.0)
    slope2 = alpha**2 * expect(lambda z: phi(z)[1] ** 2, 1.0)
    # Poincaré's inequality: slope2 >= variance. The sign is that of E φ'', see `start` above.
    shift = math.sqrt(max(slope2 - variance, 0.0))
    return Tailoring(alpha, beta, 1 / math.sqrt(slope2), -mean - math.copysign(shift, beta))


def _phi(kind: str, alpha: float, beta: float, z: Array) -> tuple[Array, Array, Array]:
    """φ, φ' and φ'' at alpha z + beta."""
    x = alpha * z + beta
    if kind == "tanh":
        on = np.tanh(x)
        slope = 4 * scipy.special.expit(2 * x) * scipy.special.expit(-2 * x)
        return on, slope, -2 * on * slope
    on, off = scipy.special.expit(x), scipy.special.expit(-x)
    return on, on * off, on * off * (off - on)


def _check(depth: int, name: str, value: float, below: float) -> None:
    if isinstance(depth, bool) or depth != int(depth) or depth < 1:
        raise ValueError(
            _("depth = {depth!r}; it is the number of nonlinear layers, at least 1.").format(
                depth=depth
            )
        )
    if not 0 < value < below:
        said = _("{name} = {value!r}; it must be above 0 and below {below:g}.")
        if below == math.inf:
            said = _("{name} = {value!r}; it must be above 0 and finite.")
        raise ValueError(said.format(name=name, value=value, below=below))
