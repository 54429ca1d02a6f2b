"""`treat_`: apply treatments to a live training, and hand back the way out."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from ...network import unwrap
from ...schema import Treatment, parse_treatments
from ..base import Parsed
from ..parsing import in_order, read, refusals
from .context import TreatmentContext, facts
from .forward_trace import as_batch
from .undo import TrainingState, Undo


def treat_(
    model: nn.Module,
    optimizer: torch.optim.Optimizer | Sequence[torch.optim.Optimizer] | None,
    treatments: str | Sequence[Treatment],
    batch: Any = None,
    *,
    seed: int = 0,
    force: bool = False,
    keep: bool = True,
) -> Undo:
    """Change a training in place; the `Undo` returned takes everything back to the bit.

    Parameter objects stay the same; new ones join an existing group of the optimizer; what is
    overwritten loses its moments. Buffers and torch's random state (it has its own) are untouched.

    Args:
        model: plain, or under `torch.compile` or DistributedDataParallel.
        optimizer: one, several, or None; later ones by `Undo.attach`.
        treatments: a text ("init=lsuv-centred; clip=norm:1.0") or Treatments.
        batch: inputs of one forward: a tensor, (args, kwargs), or a tuple of arguments.
        seed: of everything random. force: apply what the registry refuses as harmful.
        keep: False keeps no copy of weights and state; then there is no way back.

    Raises:
        ValueError: an unknown or refused treatment, an edit, an untreatable model; nothing changes.

    >>> import torch, evenflow
    >>> model = torch.nn.Linear(2, 1)
    >>> undo = evenflow.treat_(model, None, "init=orthogonal", torch.ones(4, 2))
    >>> round(model.weight.norm().item(), 3)
    1.0
    """
    given = parse_treatments(treatments) if isinstance(treatments, str) else tuple(treatments)
    chosen = in_order(map(read, given))
    plain = unwrap(model)
    optimizers = (
        [optimizer] if isinstance(optimizer, torch.optim.Optimizer) else list(optimizer or ())
    )
    _treatable(plain)
    snapshot = TrainingState(plain, optimizers)
    undo = Undo(given, snapshot if keep else None)
    undo._seen.extend(optimizers)
    context = TreatmentContext(model, plain, optimizers, as_batch(batch), seed, undo)
    try:
        _refusals(chosen, context, force)
        apply_(chosen, context)
        if context.batch is not None and context._forward is None:
            context.forward  # noqa: B018 - a forward proves that the network still runs
        _agree(context)
    except BaseException:
        undo._snapshot = snapshot
        undo.undo()
        raise
    return undo


def apply_(chosen: Sequence[Parsed], context: TreatmentContext) -> None:
    """One after the other. ValueError naming the one that cannot be applied.

    The first that draws random numbers has the context's seed, the next that seed plus one: what a
    treatment draws does not hang on how much another has drawn before it.
    """
    for p in chosen:
        context.reseed()
        home, name = p.entry.apply.split(":")
        try:
            getattr(import_module(f"{__package__}.{home}"), name)(context, p.value)
        except ValueError as e:
            raise ValueError(f"{p} cannot be applied: {e}") from e


def _treatable(model: nn.Module) -> None:
    if isinstance(model, torch.jit.ScriptModule):
        raise ValueError("a TorchScript model cannot be treated: treat the module it came from.")
    if any(isinstance(p, UninitializedParameter) for p in model.parameters()):
        raise ValueError(
            "the model has lazy modules without weights yet: send one batch through it first."
        )
    if any(type(p).__name__ in ("DTensor", "FlatParameter") for p in model.parameters()):
        raise ValueError(
            "the model's parameters are sharded (FSDP): treat it before it is sharded."
        )


def _refusals(chosen: Sequence[Parsed], context: TreatmentContext, force: bool) -> None:
    for p in chosen:
        if not p.entry.apply:
            raise ValueError(
                f"{p} lies outside the model, so it can only be edited in the script: "
                f"{p.entry.edit(p.value)}"
            )
    if context.batch is None or force:
        return
    for p, why in refusals(chosen, facts(context.forward, context.batch, context.optimizers)):
        raise ValueError(f"{p} is refused: {why}")


def _agree(context: TreatmentContext) -> None:
    """Under DDP every rank has seen its own batch: rank 0's values go to all."""
    if not isinstance(context.root, nn.parallel.DistributedDataParallel):
        return
    group = context.root.process_group
    for t in [*context.model.parameters(), *context.model.buffers()]:
        torch.distributed.broadcast(t.detach(), src=0, group=group)
