"""Gradients kept in bounds before each update. G: gradient, W: parameter, g: norm of all G."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .context import TreatmentContext
from .stepping import Stage, loss_scale, with_gradients

#: ZClip (Kumar et al. 2025, arXiv:2504.02507): EMA factor and warm-up in steps.
EMA, WARM_UP = 0.97, 25
#: AGC (Brock et al. 2021, arXiv:2102.06171): weights are taken to be at least this large.
LEAST = 1e-3


def total_norm(gradients: list[Tensor]) -> Tensor:
    """2-norm of all gradients together, a tensor of shape ()."""
    norms = torch._foreach_norm(gradients)
    all_norms = torch.stack([n.float().to(norms[0].device) for n in norms])
    total: Tensor = torch.linalg.vector_norm(all_norms)
    return total


def norm(context: TreatmentContext, limit: float) -> None:
    """All G times min(1, limit/g). Non-finite norms change nothing: the guard's business."""

    def clip(optimizer: torch.optim.Optimizer) -> None:
        gradients = [g for _, g in with_gradients(optimizer)]
        if not gradients:
            return
        norm = total_norm(gradients)
        factor = (limit * loss_scale(optimizer) / (norm + 1e-6)).clamp(max=1.0)
        factor = torch.where(norm.isfinite(), factor, torch.ones_like(factor))
        for g in gradients:
            g.mul_(factor.to(device=g.device, dtype=g.dtype))

    context.before_update(clip)


def by_value(context: TreatmentContext, limit: float) -> None:
    """Each element of G into [-limit, limit]."""

    def clip(optimizer: torch.optim.Optimizer) -> None:
        bound = limit * loss_scale(optimizer)
        for _, g in with_gradients(optimizer):
            g.clamp_(-bound, bound)

    context.before_update(clip)


def agc(context: TreatmentContext, share: float) -> None:
    """Unit by unit (rows of G), ‖G_i‖ at most λ max(‖W_i‖, 1e-3); the head is left out."""
    heads = frozenset(_heads(context))

    def clip(optimizer: torch.optim.Optimizer) -> None:
        scale = loss_scale(optimizer)
        for p, g in with_gradients(optimizer):
            if id(p) not in heads:
                g.mul_(agc_factor(p, g, share * scale))

    context.before_update(clip)


def agc_factor(weight: Tensor, gradient: Tensor, share: float) -> Tensor:
    """What each unit's gradient is multiplied with: min(1, λ max(‖W_i‖, 1e-3)/‖G_i‖), rows of 2
    and more dimensions; a vector (a bias) is one unit as a whole (Brock et al., section 4)."""
    dims = tuple(range(1, weight.dim())) or None
    w = torch.linalg.vector_norm(weight, dim=dims, keepdim=True)
    g = torch.linalg.vector_norm(gradient, dim=dims, keepdim=True)
    most = share * w.clamp_min(LEAST)
    return torch.where(g > most, most / g.clamp_min(1e-30), torch.ones_like(g))


class ByZ(Stage):
    """ZClip: g whose z = (g - μ)/σ is above the threshold is brought to μ + (threshold²/z) σ."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.seen: list[float] = []
        self.mean, self.var = math.nan, math.nan

    def before(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        gradients = [g for _, g in with_gradients(optimizer)]
        if not gradients:
            return
        scale = loss_scale(optimizer)
        norm = float(total_norm(gradients)) / scale
        wanted = self.limit(norm)
        if wanted < norm:
            torch._foreach_mul_(gradients, wanted / norm)

    def limit(self, norm: float) -> float:
        """The norm that this gradient may have; takes it into the statistics."""
        if not math.isfinite(norm):
            return norm
        if math.isnan(self.mean):
            self.seen.append(norm)
            if len(self.seen) >= WARM_UP:
                self.mean = sum(self.seen) / len(self.seen)
                self.var = sum((n - self.mean) ** 2 for n in self.seen) / len(self.seen)
            return norm
        std = math.sqrt(self.var)
        z = (norm - self.mean) / (std + 1e-6)
        allowed = self.mean + self.threshold**2 / z * std if z > self.threshold else norm
        self.mean = EMA * self.mean + (1 - EMA) * allowed
        self.var = EMA * self.var + (1 - EMA) * (allowed - self.mean) ** 2
        return allowed


def z(context: TreatmentContext, threshold: float) -> None:
    """Clip what is far outside the running distribution of norms."""
    context.stage(lambda: ByZ(threshold))


def _heads(context: TreatmentContext) -> list[int]:
    """Parameters of the last layers; without a batch, those registered last."""
    if context.batch is not None:
        hidden = {id(c.weight) for c in context.forward.hidden}
        last: list[Any] = [c for c in context.forward.layers if id(c.weight) not in hidden]
        return [id(p) for c in last for p in (c.weight, c.bias) if p is not None]
    owners = [m for m in context.model.modules() if getattr(m, "weight", None) is not None]
    return [id(p) for p in owners[-1].parameters(recurse=False)] if owners else []
