"""Layer-sequential unit variance: each layer scaled on the batch, in one forward.

A layer's input depends on the layers before it alone, so a single forward does for all: when it
reaches a layer, the weight is drawn, its output read, the weight scaled, and only then the forward
goes on. B samples (and positions), O units; z = x Wᵀ [B, O].
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from . import projections
from .context import TreatmentContext
from .forward_trace import ForwardTrace, TracedCall, trace_forward
from .initial import as_stored, drawn, sample
from .revive import along, units_of

#: Spreads below this share of the layer's are rounding: such a unit is left as it was drawn.
FLAT = 1e-6


def _sweep(context: TreatmentContext, parsed: None, *, centred: bool) -> None:
    """Orthogonal, then W / std(z) over all of z; biases 0 (Mishkin & Matas 2016).

    `centred`: each row / std of its unit, and bias = -mean/std, so that each unit of z has mean 0
    and deviation 1 over the batch. The last layer is scaled as a whole all the same.
    """
    layers = {id(c.weight) for c in context.forward.layers}
    heads = layers - {id(c.weight) for c in context.forward.hidden}
    assert context.batch is not None
    sweep = Sweep(context, centred, heads)
    trace_forward(context.model, context.batch, sweep)
    context.changed()


plain, centred = partial(_sweep, centred=False), partial(_sweep, centred=True)


class Sweep(ForwardTrace):
    """A forward that sets each layer's weight as it meets it."""

    def __init__(self, context: TreatmentContext, centred: bool, heads: set[int]) -> None:
        super().__init__(context.model)
        self._context, self._centred, self._heads = context, centred, heads
        self._met: set[int] = set()

    def _run(self, func: Any, args: Any, kwargs: Any, call: TracedCall | None) -> Any:
        weight = call.weight if call is not None else None
        attention = projections.module_of(call) if call is not None else None
        if attention is not None and id(attention) not in self._met:
            self._met.add(id(attention))
            return self._attend(attention, func, args, kwargs)
        if call is None or weight is None or id(weight) in self._met:
            return func(*args, **kwargs)
        self._met.add(id(weight))
        context = self._context
        context.put(
            weight, as_stored(call, drawn(call, "orthogonal", 1.0, "in", context.generator))
        )
        if call.bias is not None:
            context.put(call.bias, 0.0)
        z = func(*args, **kwargs)
        rows = _rows(call, z)
        if self._centred and id(weight) not in self._heads:
            std, mean = torch.std_mean(rows, 0, correction=0)
            sound = std > FLAT * rows.std().clamp_min(torch.finfo(rows.dtype).tiny)
            std = torch.where(sound, std, torch.ones_like(std))
            weight.div_(along(std.to(weight.dtype), weight, call.rows))
            if call.bias is not None:
                call.bias.copy_(torch.where(sound, -mean / std, torch.zeros_like(mean)))
        else:
            _scale(weight, rows)
        return func(*args, **kwargs)

    def _attend(self, module: nn.MultiheadAttention, func: Any, args: Any, kwargs: Any) -> Any:
        """Query, key, value and output each at deviation 1, the output over what is attended to."""

        def draw(o: int, i: int) -> Tensor:
            return sample((o, i), "orthogonal", 1.0, "in", self._context.generator)

        said = [args[k] if len(args) > k else kwargs[n] for k, n in enumerate(_ATTENDED)]
        projections.unbias(self._context, module)
        for weight, x in zip(projections.inputs(module), said, strict=True):
            projections.put(self._context, module, weight, draw)
            _scale(weight, nn.functional.linear(x, weight))
        projections.put(self._context, module, module.out_proj.weight.detach(), draw)
        out = func(*args, **kwargs)
        _scale(module.out_proj.weight, out[0] if isinstance(out, tuple) else out)
        return func(*args, **kwargs)


#: The first arguments of `multi_head_attention_forward`.
_ATTENDED = ("query", "key", "value")


def _scale(weight: Tensor, z: Tensor) -> None:
    """Divide a weight by the deviation of its output; a flat one is left."""
    spread = (z if z.dtype == torch.float64 else z.float()).std(correction=0)
    if spread > 0:
        weight.div_(spread.to(weight.dtype))


def _rows(call: TracedCall, z: Tensor) -> Tensor:
    """[B·positions, O] of a layer's output, in float32 at least."""
    moved = z.movedim(units_of(call), -1).reshape(-1, z.shape[units_of(call)])
    return moved if moved.dtype == torch.float64 else moved.float()
