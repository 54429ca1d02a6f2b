"""Dead units drawn anew (ReDo, Sokar et al. 2023, arXiv:2302.12902)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .context import TreatmentContext
from .forward_trace import ForwardTrace, TracedCall, trace_forward
from .initial import as_stored, drawn


def scores(h: Tensor, channel: int) -> Tensor:
    """s_i = E|h_i| / mean_k E|h_k| [H] over batch and positions, h [..., H, ...] with the units in
    dimension `channel`; 0 everywhere if no unit is active (all are dead)."""
    rows = h.movedim(channel, -1).reshape(-1, h.shape[channel]).abs().float()
    mean = rows.mean(0)
    return mean / mean.mean() if bool(mean.mean() > 0) else torch.zeros_like(mean)


class ActivationTrace(ForwardTrace):
    """A forward that keeps the outputs of activations."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.kept: dict[int, Tensor] = {}

    def _run(self, func, args, kwargs, call):  # type: ignore[no-untyped-def]
        out = func(*args, **kwargs)
        if call is not None and call.kind == "activation":
            self.kept[call.index] = out.detach().clone()
        return out


def apply(context: TreatmentContext, threshold: float) -> None:
    """Units whose score is at most the threshold τ: incoming weights drawn anew (orthogonal
    directions, of the layer's own scale), bias 0, outgoing weights 0, and the moments of
    exactly these forgotten.

    At τ = 0 a unit that the batch never switches on is replaced by one that nobody reads yet: the
    outputs on that batch stay the same.
    """
    if context.batch is None:
        raise ValueError("it judges units on a batch: give treat_ one.")
    seen = trace_forward(context.model, context.batch, ActivationTrace(context.model))
    assert isinstance(seen, ActivationTrace)
    pairs = unit_chains(seen)
    if not pairs:
        raise ValueError("no activation lies between two layers whose units correspond.")
    for before, activation, after in pairs:
        dead = scores(seen.kept[activation.index], units_of(before)) <= threshold
        redraw_units_(dead, before, after, context.optimizers, context.generator)


def unit_chains(seen: ForwardTrace) -> list[tuple[TracedCall, TracedCall, TracedCall]]:
    """(layer, activation, next layer) wherever the units of the first feed the last's inputs."""
    return [p for a in seen.activations if (p := _around(seen, a)) is not None]


def units_of(before: TracedCall) -> int:
    """The dimension of an activation's output that runs over the units of the layer before it."""
    return 1 if "conv" in before.op else -1


def _around(seen: ForwardTrace, a: TracedCall) -> tuple[TracedCall, TracedCall, TracedCall] | None:
    """(layer before, activation, layer after) if the units of the first feed the last's inputs."""
    before = a.nearest(("affine", "recurrent", "join"), ("norm", "dropout"), True)
    after = a.nearest(("affine", "recurrent", "join"), ("dropout", "pool"), False)
    if len(before) != 1 or not after or any(c.kind != "affine" for c in (*before, *after)):
        return None
    if len(after) > 1 or sum(c.weight is before[0].weight for c in seen.calls) > 1:
        return None
    return before[0], a, after[0]


def redraw_units_(
    dead: Tensor,
    before: TracedCall,
    after: TracedCall,
    optimizers: Sequence[torch.optim.Optimizer],
    generator: torch.Generator,
) -> bool:
    """Give the units `dead` [H] of `before` new incoming weights, bias 0 and outgoing weights 0 in
    `after`; False (and nothing done) if none is dead or the layers' sizes do not correspond."""
    assert before.weight is not None and after.weight is not None
    inputs = after.weight.shape[1 - after.rows]
    if not bool(dead.any()) or inputs % dead.numel():
        return False
    each = inputs // dead.numel()  # flattened feature maps: several inputs a channel
    rows = before.rows
    fresh = as_stored(before, drawn(before, "normal", 1.0, "in", generator))
    scale = _scale(before.weight, dead, rows)
    with torch.no_grad():
        mask = along(dead, before.weight, rows)
        before.weight.copy_(torch.where(mask, fresh * scale, before.weight))
        if before.bias is not None:
            before.bias.masked_fill_(dead, 0.0)
        columns = along(dead.repeat_interleave(each), after.weight, 1 - after.rows)
        after.weight.masked_fill_(columns, 0.0)
        for optimizer in optimizers:
            _forget(optimizer, before.weight, mask)
            if before.bias is not None:
                _forget(optimizer, before.bias, dead)
            _forget(optimizer, after.weight, columns)
    return True


def along(values: Tensor, weight: Tensor, dim: int) -> Tensor:
    """`values`, one for each place of `weight`'s dimension `dim`, to be broadcast against it."""
    shape = [1] * weight.dim()
    shape[dim] = -1
    return values.reshape(shape)


def _scale(weight: Tensor, dead: Tensor, dim: int) -> float:
    """What makes N(0, 1/fan_in) rows as large as those of the living units; √2 (He) if none."""
    living = weight.detach().movedim(dim, 0)[~dead].flatten(1)
    if not len(living):
        return math.sqrt(2.0)
    size = float(living.float().norm(dim=1).mean())
    return size if math.isfinite(size) and size > 0 else math.sqrt(2.0)


def _forget(optimizer: torch.optim.Optimizer, p: Tensor, mask: Tensor) -> None:
    for value in optimizer.state.get(p, {}).values():
        if isinstance(value, Tensor) and value.shape == p.shape:
            value.masked_fill_(mask, 0.0)
