"""Gradients before an update: their norm, hidden, or scaled down."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from ...tape import local
from ...treatments.live.clipping import total_norm
from ...treatments.live.stepping import loss_scale, with_gradients


def dense(optimizer: torch.optim.Optimizer) -> list[tuple[Tensor, Tensor]]:
    """(parameter, gradient) of all that the next update uses and that have elements."""
    return [(p, g) for p, g in with_gradients(optimizer) if g.numel()]


@torch.no_grad()
def norm_of(optimizer: torch.optim.Optimizer, grads: Sequence[Tensor]) -> float:
    """2-norm of all gradients at their true scale; waits for the device. NaN or infinite only if
    an element is: a sum of squares past float32 is worked out in float64."""
    if not grads:
        return 0.0
    size = float(total_norm(list(grads)))
    if not math.isfinite(size) and all(bool(torch.isfinite(g).all()) for g in grads):
        wide = torch.float32 if grads[0].device.type == "mps" else torch.float64
        size = math.hypot(*(float(torch.linalg.vector_norm(g, dtype=wide)) for g in grads))
    return size / loss_scale(optimizer)


@torch.no_grad()
def scale_(grads: Iterable[Tensor], factor: float) -> None:
    """Every gradient times `factor`."""
    torch._foreach_mul_(list(grads), factor)


@torch.no_grad()
def largest(pairs: Sequence[tuple[Tensor, Tensor]]) -> Tensor | None:
    """The parameter with the largest gradient norm."""
    if not pairs:
        return None
    sizes = [float(torch.linalg.vector_norm(g.double())) for _, g in pairs]
    return pairs[max(range(len(sizes)), key=sizes.__getitem__)][0]


def sharded(optimizer: torch.optim.Optimizer) -> bool:
    """Does a rank hold only a part of a parameter (FSDP)?"""
    return any(
        local(p) is not p or type(p).__name__ == "FlatParameter"
        for g in optimizer.param_groups
        for p in g["params"]
        if isinstance(p, Tensor)
    )
