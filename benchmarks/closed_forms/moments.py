"""Second moments at a node, forward and back, and what theory needs to do to maps of them.

Letters: x is the op's input, y its output, δ = dL/d(output); a ≠ b two samples.
Forward state: μ = E x, q = E x², c = E x_a x_b. Backward state: g = E δ², h = E δ_a δ_b.
E is over weights, units that share a law, and samples. Each is a float64 tensor that broadcasts
against [1, *shape of one sample]: a convolution has a map over pixels, a linear layer one number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from .graph import Node


class State(NamedTuple):
    """Forward moments at one node, and the number of inputs its last linear map mixed."""

    mu: Tensor
    q: Tensor
    c: Tensor
    fan: float = math.inf


class Errors(NamedTuple):
    """Backward moments at one node."""

    g: Tensor
    h: Tensor


#: What an op does: state of its output, and how it sends errors to each node it reads.
Back = Callable[[Errors], tuple[Errors, ...]]
Rule = Callable[[Node, list[State], list[tuple[int, ...]]], tuple[State, Back]]


class BeyondTheory(ValueError):
    """There is no closed form for an op: use draws (`forecast_static`) or one pass."""


def over(m: Tensor, *axes: int) -> Tensor:
    """Mean over axes, kept; an axis the map does not have yet is one it does not vary along."""
    return m.mean(axes, keepdim=True) if m.dim() else m


def filled(m: Tensor, shape: tuple[int, ...], channels: int) -> Tensor:
    """A map [1, channels, *pixels] from one that broadcasts against it."""
    return m.expand(1, channels, *shape[2:])


def reduced(m: Tensor, shape: tuple[int, ...], out: tuple[int, ...]) -> Tensor:
    """Errors at an input that was broadcast to `out`: summed over what it was repeated along."""
    full = m.expand(1, *out[1:])
    if tuple(shape) == tuple(out):
        return m
    if len(shape) != len(out) or shape[0] != out[0]:
        raise BeyondTheory(f"adding {shape} to {out} has no closed form")
    axes = tuple(i for i in range(1, len(out)) if shape[i] == 1 and out[i] > 1)
    return full.sum(axes, keepdim=True)


def each(f: Callable[..., tuple[float, ...]], *maps: Tensor) -> tuple[Tensor, ...]:
    """f at every place of maps that broadcast together; once for places that are alike."""
    shape = torch.broadcast_shapes(*(m.shape for m in maps))  # type: ignore[no-untyped-call]
    full = [m.expand(shape) for m in maps]
    rows = torch.stack([m.flatten() for m in full], 1)
    keys = [tuple(float(f"{v:.10g}") for v in row) for row in rows.tolist()]
    known = {key: f(*key) for key in dict.fromkeys(keys)}
    table = torch.tensor([known[key] for key in keys], dtype=torch.float64)
    return tuple(column.reshape(shape) for column in table.T)
