"""Tailored activations with the orthogonal weights they are made for."""

from __future__ import annotations

from torch import nn

from ...activations import get
from .context import TreatmentContext
from .forward_trace import TracedCall
from .initial import orthogonal
from .swap import swap_

#: What each activation becomes.
TAILORED = {
    "relu": "tailored_leaky_relu",
    "leaky_relu": "tailored_leaky_relu",
    "tanh": "tailored_tanh",
    "sigmoid": "tailored_tanh",  # the same function: the constants absorb the difference
}


def apply(context: TreatmentContext, depth: int | None) -> None:
    """Swap ReLU, tanh and sigmoid for their tailored forms, and draw orthogonal weights with
    σw² = 1 and zero biases. `depth` is what the activations are tailored to; None counts
    the non-linear layers."""
    if depth is None:
        chosen = {c.index for c in context.forward.activations}
        depth = context.forward.longest([c.index in chosen for c in context.forward.calls])

    def tailored(call: TracedCall) -> nn.Module | None:
        name = TAILORED.get(call.op)
        return get(name, depth=depth) if name else None

    swap_(context, tailored, "that can be tailored (relu, leaky_relu, tanh, sigmoid)")
    orthogonal(context, 1.0)
