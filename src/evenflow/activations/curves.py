"""f and f' of every elementwise activation, in NumPy: the theory needs no torch.

Each takes a float64 array x and its parameters by the names torch's modules use; f' at a kink is
torch's choice (the value torch's backward gives there). Tests hold them against the modules.
"""

from __future__ import annotations

import math

import numpy as np
import scipy  # type: ignore[import-untyped, unused-ignore]  # loads its parts at first use

from .quadrature import Array
from .tailoring import leaky_slope, tailor

#: Klambauer et al. 2017, arXiv:1706.02515: mean 0 and variance 1 are a fixed point.
SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717
_TANH_GELU = math.sqrt(2 / math.pi)


def sigmoid(x: Array, slope: float = 1.0) -> Array:
    return np.asarray(scipy.special.expit(slope * x))


def d_sigmoid(x: Array, slope: float = 1.0) -> Array:
    return np.asarray(slope * scipy.special.expit(slope * x) * scipy.special.expit(-slope * x))


def tanh(x: Array) -> Array:
    return np.tanh(x)


def d_tanh(x: Array) -> Array:
    return 2 * d_sigmoid(x, 2.0)  # 1 - tanh² cancels in the tails


def relu(x: Array) -> Array:
    return np.maximum(x, 0.0)


def d_relu(x: Array) -> Array:
    return np.where(x > 0, 1.0, 0.0)


def leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    return np.where(x > 0, x, negative_slope * x)


def d_leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    return np.where(x > 0, 1.0, negative_slope)


def prelu(x: Array, init: float = 0.25) -> Array:
    return leaky_relu(x, init)


def d_prelu(x: Array, init: float = 0.25) -> Array:
    return d_leaky_relu(x, init)


def elu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0)))


def d_elu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0.0)))


def selu(x: Array) -> Array:
    return SELU_SCALE * elu(x, SELU_ALPHA)


def d_selu(x: Array) -> Array:
    return SELU_SCALE * d_elu(x, SELU_ALPHA)


def swish(x: Array, beta: float = 1.0) -> Array:
    return np.asarray(x * scipy.special.expit(beta * x))


def d_swish(x: Array, beta: float = 1.0) -> Array:
    on = scipy.special.expit(beta * x)
    return np.asarray(on + beta * x * on * scipy.special.expit(-beta * x))


def silu(x: Array) -> Array:
    return swish(x)


def d_silu(x: Array) -> Array:
    return d_swish(x)


def gelu(x: Array, approximate: str = "none") -> Array:
    if approximate == "tanh":
        return np.asarray(0.5 * x * (1 + np.tanh(_TANH_GELU * (x + 0.044715 * x**3))))
    return np.asarray(x * scipy.special.ndtr(x))


def d_gelu(x: Array, approximate: str = "none") -> Array:
    if approximate == "tanh":
        u = _TANH_GELU * (x + 0.044715 * x**3)
        du = _TANH_GELU * (1 + 3 * 0.044715 * x**2)
        return np.asarray(0.5 * (1 + np.tanh(u)) + 0.5 * x * d_tanh(u) * du)
    return np.asarray(scipy.special.ndtr(x) + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi))


def softplus(x: Array, beta: float = 1.0) -> Array:
    return np.asarray(np.logaddexp(0.0, beta * x) / beta)


def d_softplus(x: Array, beta: float = 1.0) -> Array:
    return sigmoid(x, beta)


def mish(x: Array) -> Array:
    return np.asarray(x * np.tanh(softplus(x)))


def d_mish(x: Array) -> Array:
    inner = softplus(x)
    return np.tanh(inner) + x * d_tanh(inner) * d_softplus(x)


def acon_c(x: Array, p1: float = 1.0, p2: float = 0.0, beta: float = 1.0) -> Array:
    return swish((p1 - p2) * x, beta) + p2 * x


def d_acon_c(x: Array, p1: float = 1.0, p2: float = 0.0, beta: float = 1.0) -> Array:
    return (p1 - p2) * d_swish((p1 - p2) * x, beta) + p2


def hardtanh(x: Array, min_val: float = -1.0, max_val: float = 1.0) -> Array:
    return np.clip(x, min_val, max_val)


def d_hardtanh(x: Array, min_val: float = -1.0, max_val: float = 1.0) -> Array:
    return np.where((x > min_val) & (x < max_val), 1.0, 0.0)


def tailored_tanh(x: Array, depth: int = 50, curvature: float = 0.3) -> Array:
    t = tailor("tanh", depth, curvature)
    return t.gamma * (np.tanh(t.alpha * x + t.beta) + t.delta)


def d_tailored_tanh(x: Array, depth: int = 50, curvature: float = 0.3) -> Array:
    t = tailor("tanh", depth, curvature)
    return t.gamma * t.alpha * d_tanh(t.alpha * x + t.beta)


def tailored_sigmoid(x: Array, depth: int = 50, curvature: float = 0.3) -> Array:
    t = tailor("sigmoid", depth, curvature)
    return t.gamma * (sigmoid(t.alpha * x + t.beta) + t.delta)


def d_tailored_sigmoid(x: Array, depth: int = 50, curvature: float = 0.3) -> Array:
    t = tailor("sigmoid", depth, curvature)
    return t.gamma * t.alpha * d_sigmoid(t.alpha * x + t.beta)


def tailored_leaky_relu(x: Array, depth: int = 50, similarity: float = 0.9) -> Array:
    a = leaky_slope(depth, similarity)
    return math.sqrt(2 / (1 + a * a)) * leaky_relu(x, a)


def d_tailored_leaky_relu(x: Array, depth: int = 50, similarity: float = 0.9) -> Array:
    a = leaky_slope(depth, similarity)
    return math.sqrt(2 / (1 + a * a)) * d_leaky_relu(x, a)
