"""Parameters that hold one value, or one for each channel."""

from __future__ import annotations

import torch
from torch import Tensor, nn


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
