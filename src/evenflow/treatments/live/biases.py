"""Biases of hidden layers set anew."""

from __future__ import annotations

from ..base import number
from .ward import Ward


def apply(ward: Ward, value: str) -> None:
    """Every hidden layer's bias to one number; heads keep theirs."""
    b = number(value)
    biases = [c.bias for c in ward.seen.hidden if c.bias is not None]
    if not biases:
        raise ValueError("no hidden layer has a bias.")
    for p in biases:
        ward.put(p, b)
