"""Weights pulled towards 0: l1 and l2 added to the gradient before each update."""

from __future__ import annotations

import torch

from .context import TreatmentContext
from .stepping import Stage, loss_scale, with_gradients


class Penalty(Stage):
    """G += λ sign(W) (l1: gradient of λ Σ|w|) or λ W (l2: of ½ λ Σ w²); matrices only."""

    def __init__(self, strength: float, power: int) -> None:
        self.strength, self.power = strength, power

    def before(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        k = self.strength * loss_scale(optimizer)
        for p, g in with_gradients(optimizer):
            if p.dim() >= 2:
                g.add_(p.sign() if self.power == 1 else p, alpha=k)


def l1(context: TreatmentContext, strength: float) -> None:
    """Lasso."""
    context.stage(lambda: Penalty(strength, 1))


def l2(context: TreatmentContext, strength: float) -> None:
    """Ridge."""
    context.stage(lambda: Penalty(strength, 2))
