"""Swish with a trainable β."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .channelwise import parameter, spread


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
