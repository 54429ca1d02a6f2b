"""The activations that torch lacks, as modules: a sloped sigmoid, those tailored to a network's
depth, and Swish and ACON, whose parameters are learnt (one for all channels, or one for each).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .tailoring import leaky_slope, tailor


class SlopedSigmoid(nn.Module):
    """σ_α(x) = 1/(1 + e^{-αx}), elementwise; f' = α σ_α (1 - σ_α) ≤ α/4, reached at 0.

    The classical output function of back-propagation (Rumelhart et al. 1986) with its slope α left
    free: a large α makes it a step, and saturates it sooner. ValueError unless α is finite and
    above 0.
    """

    def __init__(self, slope: float = 1.0) -> None:
        super().__init__()
        if not (math.isfinite(slope) and slope > 0):
            raise ValueError(f"slope = {slope!r}; it must be finite and above 0.")
        self.slope = float(slope)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.slope * x)

    def extra_repr(self) -> str:
        return f"slope={self.slope:g}"


def sigmoid(slope: float = 1.0) -> nn.Module:
    """torch's own Sigmoid at slope 1, `SlopedSigmoid` at any other."""
    return nn.Sigmoid() if slope == 1 else SlopedSigmoid(slope)


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


def parameter(num_parameters: int, value: float) -> nn.Parameter:
    """A parameter of shape (num_parameters,), filled. ValueError below 1."""
    if num_parameters < 1:
        raise ValueError(
            f"num_parameters = {num_parameters!r}; it is 1 (shared), or the number of channels."
        )
    return nn.Parameter(torch.full((num_parameters,), float(value)))


def spread(values: Tensor, x: Tensor) -> Tensor:
    """`values` (1,) or (C,) shaped to broadcast over x (B, C, *), as torch's PReLU does: channels
    are dim 1. ValueError where x has another number of channels."""
    if values.shape[0] == 1:
        return values
    channels = x.shape[1] if x.dim() > 1 else 1
    if channels != values.shape[0]:
        raise ValueError(
            f"x of shape {tuple(x.shape)} has {channels} channels in dim 1; this activation was "
            f"made for {values.shape[0]}."
        )
    return values.view(-1, *(1,) * (x.dim() - 2))


class Swish(nn.Module):
    """swish_β(x) = x σ(βx) with trainable β, one for all or one a channel.

    Ramachandran et al. 2017, arXiv:1710.05941. β → 0 gives x/2, β = 1 SiLU, β → ∞ ReLU. x: any
    shape; (B, C, *) if `num_parameters` = C > 1. As with torch's PReLU, keep weight decay off β:
    it draws the function towards x/2.
    """

    def __init__(self, num_parameters: int = 1, beta: float = 1.0) -> None:
        super().__init__()
        self.beta = parameter(num_parameters, beta)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(spread(self.beta, x) * x)

    def extra_repr(self) -> str:
        return f"num_parameters={self.beta.shape[0]}"


class AconC(nn.Module):
    """ACON-C: f(x) = d σ(βd) + p2 x, d = (p1 - p2) x, with p1, p2, β trainable per channel.

    Ma et al. 2021, arXiv:2009.04759, section 3: the smooth maximum of p1 x and p2 x. p1 = 1,
    p2 = 0 is Swish; β → 0 is linear, (p1 + p2) x/2 (not activated); β → ∞ is max(p1 x, p2 x).
    x: any shape; (B, C, *) if `num_parameters` = C > 1. Starts as Swish; the authors draw p1 and
    p2 from N(0, 1), which makes some channels falling or nearly linear at birth.
    """

    def __init__(
        self, num_parameters: int = 1, p1: float = 1.0, p2: float = 0.0, beta: float = 1.0
    ) -> None:
        super().__init__()
        self.p1 = parameter(num_parameters, p1)
        self.p2 = parameter(num_parameters, p2)
        self.beta = parameter(num_parameters, beta)

    def forward(self, x: Tensor) -> Tensor:
        return smooth_maximum(x, spread(self.p1, x), spread(self.p2, x), spread(self.beta, x))

    def extra_repr(self) -> str:
        return f"num_parameters={self.p1.shape[0]}"


class MetaAcon(nn.Module):
    """Meta-ACON: ACON-C whose β is made from the input, channel by channel and sample by sample.

    β_bc = σ(W2 W1 m)_bc, m_bc = mean of x_bc over its positions (Ma et al. 2021, arXiv:2009.04759,
    section 4: channel-wise design, W1: C → max(1, C/reduction), W2 back, no biases). So β lies in
    (0, 1), and one element's output depends on the others of its channel: not elementwise.
    x: (B, C, *) with C = `channels`; without positions m is x itself. ValueError for other C.
    """

    def __init__(
        self, channels: int, reduction: int = 16, p1: float = 1.0, p2: float = 0.0
    ) -> None:
        super().__init__()
        if channels < 1 or reduction < 1:
            raise ValueError(
                f"channels = {channels!r}, reduction = {reduction!r}; both must be at least 1."
            )
        self.p1 = parameter(channels, p1)
        self.p2 = parameter(channels, p2)
        self.squeeze = nn.Linear(channels, max(1, channels // reduction), bias=False)
        self.excite = nn.Linear(max(1, channels // reduction), channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        channels = self.p1.shape[0]
        if x.dim() < 2 or x.shape[1] != channels:
            raise ValueError(
                f"x of shape {tuple(x.shape)}: Meta-ACON was made for (batch, {channels}, ...)."
            )
        mean = x.flatten(2).mean(2) if x.dim() > 2 else x
        beta = torch.sigmoid(self.excite(self.squeeze(mean)))
        beta = beta.view(*beta.shape, *(1,) * (x.dim() - 2))
        return smooth_maximum(x, spread(self.p1, x), spread(self.p2, x), beta)


def smooth_maximum(x: Tensor, p1: Tensor, p2: Tensor, beta: Tensor) -> Tensor:
    """(p1 - p2) x σ(β (p1 - p2) x) + p2 x: between max(p1 x, p2 x) and their mean."""
    apart = (p1 - p2) * x
    return apart * torch.sigmoid(beta * apart) + p2 * x
