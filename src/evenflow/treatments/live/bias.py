"""Biases of hidden layers set anew."""

from __future__ import annotations

from ..base import number
from .context import TreatmentContext


def apply(context: TreatmentContext, value: str) -> None:
    """Every hidden layer's bias to one number; heads keep theirs."""
    b = number(value)
    biases = [c.bias for c in context.forward.hidden if c.bias is not None]
    if not biases:
        raise ValueError("no hidden layer has a bias.")
    for p in biases:
        context.put(p, b)
