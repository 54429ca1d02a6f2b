"""The logistic sigmoid with a slope."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


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
