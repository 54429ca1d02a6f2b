"""Gradients before an update: their norm, hidden, or scaled down."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from ...tape import widest
from ...treatments import loss_scale, total_norm, with_gradients

#: Parameters, each with its gradient.
Pairs = list[tuple[Tensor, Tensor]]


def dense(optimizer: torch.optim.Optimizer) -> Pairs:
    """(parameter, gradient) of all that the next update uses and that have elements."""
    return [(p, g) for p, g in with_gradients(optimizer) if g.numel()]


@torch.no_grad()
def norm_of(optimizer: torch.optim.Optimizer, grads: Sequence[Tensor]) -> float:
    """2-norm of all gradients (there is one) at their true scale; waits for the device. NaN or
    infinite only if an element is: a sum of squares past float32 is worked out in float64."""
    size = float(total_norm(list(grads)))
    if not math.isfinite(size) and all(map(_finite, grads)):
        size = math.hypot(*(size_of(g) for g in grads))
    return size / loss_scale(optimizer)


def _finite(t: Tensor) -> bool:
    return bool(torch.isfinite(t).all())


def size_of(t: Tensor) -> float:
    """2-norm of one tensor, in float64 where the device has it."""
    t = t.detach()
    if t.is_complex():
        t = torch.view_as_real(t)
    return float(torch.linalg.vector_norm(t, dtype=widest(t.device.type)))


@torch.no_grad()
def scale_(grads: Iterable[Tensor], factor: float) -> None:
    torch._foreach_mul_(list(grads), factor)


def norm_of_all(params: Iterable[Tensor]) -> float:
    return math.hypot(*(size_of(p) for p in params if p.numel()))


def known(value: float | None) -> float:
    return math.nan if value is None else value
