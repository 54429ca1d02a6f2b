"""The weights inside `nn.MultiheadAttention`, which no layer's call shows: query, key, value, out.

The module hands them to one fused function. Query, key and value are three linear layers [E, I]
side by side in one parameter (or three parameters, where the inputs differ in width); the output
is a fourth [E, E]. A start treats each as the layer it is.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .context import TreatmentContext
from .forward_trace import TracedCall

#: [O, I] -> a weight of that shape.
Draw = Callable[[int, int], Tensor]


def module_of(call: TracedCall) -> nn.MultiheadAttention | None:
    """The module whose fused function a call is."""
    fused = call.op == "multi_head_attention_forward"
    return call.module if fused and isinstance(call.module, nn.MultiheadAttention) else None


def redraw_(context: TreatmentContext, draw: Draw) -> None:
    """Draw every attention's four projections anew; their biases become 0."""
    found = (module_of(c) for c in context.forward.calls)
    for module in dict.fromkeys(m for m in found if m is not None):
        for weight in (*inputs(module), module.out_proj.weight):
            put(context, module, weight, draw)
        unbias(context, module)


def inputs(module: nn.MultiheadAttention) -> list[Tensor]:
    """Query, key and value weights [E, I]: views of the parameters."""
    if module._qkv_same_embed_dim:
        return list(module.in_proj_weight.detach().chunk(3))
    three = (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight)
    return [p.detach() for p in three if p is not None]


def put(
    context: TreatmentContext, module: nn.MultiheadAttention, weight: Tensor, draw: Draw
) -> None:
    """Draw one of them; what optimizers remember of its parameter is dropped."""
    o, i = weight.shape
    with torch.no_grad():
        weight.copy_(draw(o, i))
    for p in module.parameters():
        context.reset_moments(p)


def unbias(context: TreatmentContext, module: nn.MultiheadAttention) -> None:
    """Biases of all four become 0."""
    for bias in (module.in_proj_bias, module.out_proj.bias):
        if bias is not None:
            context.put(bias, 0.0)
