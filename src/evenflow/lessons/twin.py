"""Torch's own function for each of the miniature's: the second way to a number."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

TWINS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda z: z,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "selu": F.selu,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "hardtanh": F.hardtanh,
    "silu": F.silu,
    "gelu": F.gelu,
    "mish": F.mish,
}
#: By a number.
FAMILIES: dict[str, Callable[[Tensor, float], Tensor]] = {
    "sigmoid": lambda z, k: torch.sigmoid(k * z),
    "leaky_relu": F.leaky_relu,
    "prelu": lambda z, k: F.prelu(z, torch.tensor(k, dtype=z.dtype)),
    "elu": F.elu,
    "swish": lambda z, k: z * torch.sigmoid(k * z),
}


def activation(name: str) -> Callable[[Tensor], Tensor]:
    """As `miniature.activation` takes it. KeyError for an unknown one."""
    if name in TWINS:
        return TWINS[name]
    head, _, inside = name.rstrip(")").partition("(")
    return lambda z: FAMILIES[head](z, float(inside.partition("=")[2] or inside))
