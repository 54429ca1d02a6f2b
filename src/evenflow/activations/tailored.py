"""Tailored activations as modules: an ordinary function, bent to suit a network's depth."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .tailoring import leaky_slope, tailor


class _Tailored(nn.Module):
    """f(x) = γ(φ(αx + β) + δ) with α, β, γ, δ solved for; see `tailoring.tailor`."""

    kind: str

    def __init__(self, depth: int = 50, curvature: float = 0.3) -> None:
        super().__init__()
        self.depth, self.curvature = depth, curvature
        self.constants = tailor(self.kind, depth, curvature)

    def forward(self, x: Tensor) -> Tensor:
        t = self.constants
        inner = t.alpha * x + t.beta
        outer = torch.tanh(inner) if self.kind == "tanh" else torch.sigmoid(inner)
        return t.gamma * (outer + t.delta)

    def extra_repr(self) -> str:
        return f"depth={self.depth}, curvature={self.curvature:g}"


class TailoredTanh(_Tailored):
    """tanh tailored to `depth` nonlinear layers (TAT, arXiv:2203.08120): f(x) =
    γ(tanh(αx + β) + δ) with Q(1) = Q'(1) = C'(1) = 1 and depth·C''(1) = `curvature`.

    For plain networks with σw² = 1 (orthogonal weights), zero biases and inputs with second moment
    1. Elementwise. ValueError for a depth below 1 or a curvature that cannot be had.
    """

    kind = "tanh"


class TailoredSigmoid(_Tailored):
    """The sigmoid tailored to `depth` nonlinear layers: see `TailoredTanh`, whose very function it
    is, since σ(x) = (1 + tanh(x/2))/2 and the constants absorb the rest."""

    kind = "sigmoid"


class TailoredLeakyReLU(nn.Module):
    """f(x) = √(2/(1+a²)) LeakyReLU_a(x) with a chosen so that two orthogonal inputs reach
    correlation `similarity` after `depth` nonlinear layers (TAT, arXiv:2203.08120, section 4.1).

    For plain networks with σw² = 1 (orthogonal weights) and zero biases. Elementwise. ValueError
    for a depth below 1 or a similarity outside (0, 1).
    """

    def __init__(self, depth: int = 50, similarity: float = 0.9) -> None:
        super().__init__()
        self.depth, self.similarity = depth, similarity
        self.negative_slope = leaky_slope(depth, similarity)
        self.scale = math.sqrt(2 / (1 + self.negative_slope**2))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * F.leaky_relu(x, self.negative_slope)

    def extra_repr(self) -> str:
        return f"depth={self.depth}, similarity={self.similarity:g}"
