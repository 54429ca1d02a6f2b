"""Weights pulled towards 0: l1 and l2 added to the gradient before each update."""

from __future__ import annotations

from functools import partial

import torch

from .context import TreatmentContext
from .stepping import loss_scale, with_gradients


def _penalise(context: TreatmentContext, strength: float, *, power: int) -> None:
    """G += λ sign(W) (l1: gradient of λ Σ|w|) or λ W (l2: of ½ λ Σ w²); matrices only."""

    def add(optimizer: torch.optim.Optimizer) -> None:
        k = strength * loss_scale(optimizer)
        for p, g in with_gradients(optimizer):
            if p.dim() >= 2:
                g.add_(p.sign() if power == 1 else p, alpha=k)

    context.before_update(add)


l1, l2 = partial(_penalise, power=1), partial(_penalise, power=2)
