"""Parameters that no optimizer holds, given to one."""

from __future__ import annotations

import torch

from .context import TreatmentContext


def apply(context: TreatmentContext, parsed: None) -> None:
    """Append every trainable parameter of the model that no optimizer holds to the last group of
    the optimizer that holds most of the model."""
    mine = [p for p in context.model.parameters() if p.requires_grad]

    def attach(optimizer: torch.optim.Optimizer) -> None:
        held = {id(p) for o in (*context.undo._seen, optimizer) for p in _held(o)}
        missing = [p for p in mine if id(p) not in held]
        known = {id(p) for p in _held(optimizer)}
        # an optimizer of another network (a discriminator's) holds none of this one's
        if missing and any(id(p) in known for p in mine):
            optimizer.param_groups[-1]["params"].extend(missing)

    context.undo._attachers.append(attach)
    if context.optimizers:
        counts = [
            len({id(p) for p in _held(o)} & {id(p) for p in mine}) for o in context.optimizers
        ]
        everything = {id(p) for o in context.optimizers for p in _held(o)}
        if not any(id(p) not in everything for p in mine):
            raise ValueError("every trainable parameter is in an optimizer already.")
        attach(context.optimizers[counts.index(max(counts))])


def _held(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [p for g in optimizer.param_groups for p in g["params"]]
