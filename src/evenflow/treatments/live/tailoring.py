"""Tailored activations with the orthogonal weights they are made for."""

from __future__ import annotations

from torch import nn

from ...activations import get
from ..base import whole
from .initialising import orthogonal
from .looking import Call
from .swapping import swap_
from .ward import Ward

#: What each activation becomes.
TAILORED = {
    "relu": "tailored_leaky_relu",
    "leaky_relu": "tailored_leaky_relu",
    "tanh": "tailored_tanh",
    "sigmoid": "tailored_tanh",  # the same function: the constants absorb the difference
}


def apply(ward: Ward, value: str) -> None:
    """Swap ReLU, tanh and sigmoid for their tailored forms, and draw orthogonal weights with
    σw² = 1 and zero biases. `value` is the depth the activations are tailored to; "auto" counts
    the non-linear layers."""
    depth = _depth(ward) if value in ("", "auto") else whole(value, least=1)

    def tailored(call: Call) -> nn.Module | None:
        name = TAILORED.get(call.op)
        return get(name, depth=depth) if name else None

    swap_(ward, tailored, "that can be tailored (relu, leaky_relu, tanh, sigmoid)")
    orthogonal(ward, "orthogonal")


def _depth(ward: Ward) -> int:
    """Non-linear layers on the longest path."""
    chosen = {c.index for c in ward.seen.activations}
    longest: list[int] = []
    for c in ward.seen.calls:
        above = max((longest[p.index] for p in c.parents), default=0)
        longest.append(above + (c.index in chosen))
    return max(longest, default=1)
