"""Biases of hidden layers set anew."""

from __future__ import annotations

from .context import TreatmentContext


def apply(context: TreatmentContext, level: float) -> None:
    """Every hidden layer's bias to one number; heads keep theirs."""
    biases = [c.bias for c in context.forward.hidden if c.bias is not None]
    if not biases:
        raise ValueError("no hidden layer has a bias.")
    for p in biases:
        context.put(p, level)
