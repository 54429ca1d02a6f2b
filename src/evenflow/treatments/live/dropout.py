"""Dropout at the inputs of hidden layers, with random numbers of its own.

The mask is drawn from (seed, place, update) alone: torch's generator is untouched, so the data
come in the same order, and a forward that checkpointing computes again gets the same mask.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..dropout import Dropout as Kind
from .context import TreatmentContext
from .grafting import Forward, Graft
from .stepping import Stage

#: -λα of SELU: what a dropped unit is set to (Klambauer et al. 2017, arXiv:1706.02515).
SELU_LOW = -1.7580993408473766


class Dropped(Graft):
    """Dropout with probability p of the module's first input, in training."""

    def __init__(self, p: float, alpha: bool, seed: int, place: int) -> None:
        super().__init__()
        self.p, self.alpha, self.seed, self.place, self.update = p, alpha, seed, place, 0

    def around(self, inner: Forward, *args: Any, **kwargs: Any) -> Any:
        if self.training and args and isinstance(args[0], Tensor):
            return inner(self.drop(args[0]), *args[1:], **kwargs)
        return inner(*args, **kwargs)

    def drop(self, x: Tensor) -> Tensor:
        """x / (1 - p) where kept, 0 elsewhere; or alpha dropout, that keeps mean and variance."""
        if torch.compiler.is_compiling():  # compiled code has random numbers of its own anyway
            return F.alpha_dropout(x, self.p, True) if self.alpha else F.dropout(x, self.p, True)
        g = torch.Generator(x.device)
        g.manual_seed(hash((self.seed, self.place, self.update)) & (2**63 - 1))
        keep = torch.rand(x.shape, generator=g, device=x.device) >= self.p
        if not self.alpha:
            return torch.where(keep, x / (1 - self.p), torch.zeros_like(x))
        a, b = alpha_constants(self.p)
        return a * torch.where(keep, x, torch.full_like(x, SELU_LOW)) + b


def alpha_constants(p: float) -> tuple[float, float]:
    """a, b with which a·x + b has mean 0 and variance 1 again, if x had them before a share p was
    set to SELU_LOW."""
    q = 1 - p
    a = (q * (1 + p * SELU_LOW**2)) ** -0.5
    return float(a), float(-a * p * SELU_LOW)


class Count(Stage):
    """Tells the masks that an update is done."""

    def __init__(self, grafts: list[Dropped]) -> None:
        self.grafts = grafts

    def after(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        for g in self.grafts:
            g.update += 1


def apply(context: TreatmentContext, wanted: Kind) -> None:
    """Dropout of what enters each layer that reads an activation."""
    modules = []
    for call in context.forward.layers:
        fed = call.nearest(("activation", "affine", "join"), ("pool", "view", "norm"), True)
        if fed and fed[0].kind == "activation":
            module = context.module_of(call)
            if module is None:
                raise ValueError(f"{call.op} in {call.path or 'the root'} has no module to wrap.")
            modules.append(module)
    if not modules:
        raise ValueError("no layer reads an activation that has no dropout yet.")
    grafts = [Dropped(*wanted, context.seed, i) for i in range(len(modules))]
    for module, graft in zip(modules, grafts, strict=True):
        context.graft(module, graft, None)
    context.stage(lambda: Count(grafts))
