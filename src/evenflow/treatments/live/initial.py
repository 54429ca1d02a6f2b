"""Weights drawn anew for each layer, with the gain that the activation before it asks for.

O outputs, I inputs, K positions of a kernel (1 for a linear layer); fan_in = I K, fan_out = O K.
Biases become 0, except where criticality asks for a variance.
"""

from __future__ import annotations

import math
from functools import lru_cache, partial

import torch
from torch import Tensor, nn

from ...activations import (
    Critical,
    critical_at,
    critical_steady,
    critical_without_bias,
    curve,
)
from .context import TreatmentContext
from .forward_trace import TracedCall
from .projections import redraw_
from .swap import parameters_of

#: What may lie between an activation and the layer it feeds.
_BETWEEN = ("dropout", "pool", "view")


def he(context: TreatmentContext, factor: float) -> None:
    """N(0, 2/fan_in) into what a rectifier feeds (2/(1+a²) for slope a), else N(0, 1/fan_in)."""
    for call in context.forward.layers:
        s2 = 1.0
        fed = before(call)
        if fed is not None and fed.op in ("relu", "leaky_relu", "prelu", "gelu", "silu", "mish"):
            slope = parameters_of(fed).get("negative_slope", 0.25 if fed.op == "prelu" else 0.0)
            s2 = 2 / (1 + slope**2)
        draw_(context, call, "normal", math.sqrt(s2) * factor, "in")
    _attend(context, "normal", factor, "in")


def _normal(context: TreatmentContext, factor: float, *, fan: str) -> None:
    """Xavier: N(0, 2/(fan_in + fan_out)), Glorot & Bengio 2010. LeCun: N(0, 1/fan_in), LeCun et
    al. 1998."""
    for call in context.forward.layers:
        draw_(context, call, "normal", factor, fan)
    _attend(context, "normal", factor, fan)


xavier, lecun = partial(_normal, fan="both"), partial(_normal, fan="in")


def _critical(context: TreatmentContext, factor: float, *, shape: str) -> None:
    """Weights and biases with (σw², σb²) from χ1 = 1 for the activation before the layer: Gaussian;
    orthogonal; or that with kernels 0 except in their centre (Xiao et al. 2018, arXiv:1806.05393).
    """
    below = {c.index for c in context.forward.hidden}
    for call in context.forward.layers:
        fed = before(call)
        # the head reads scores off unit-scale features: its gain is nobody's to pass on
        point = at_criticality(fed) if fed is not None and call.index in below else None
        sw2, sb2 = (point.sw2, point.sb2) if point else (1.0, 0.0)
        draw_(context, call, shape, math.sqrt(sw2) * factor, "in", math.sqrt(sb2))
    _attend(context, shape, factor, "in")


critical, orthogonal, delta_orthogonal = (
    partial(_critical, shape=shape) for shape in ("normal", "orthogonal", "delta")
)


def _attend(context: TreatmentContext, shape: str, gain: float, fan: str) -> None:
    """Projections of torch's own attention: linear layers that no activation feeds."""
    redraw_(context, lambda o, i: sample((o, i), shape, gain, fan, context.generator))


def before(call: TracedCall) -> TracedCall | None:
    """The activation whose output a layer reads, if it reads one."""
    near = call.nearest(("activation", "affine", "norm", "join", "recurrent"), _BETWEEN, True)
    return near[0] if near and near[0].kind == "activation" else None


def at_criticality(call: TracedCall) -> Critical:
    """The critical point for an activation as it was called; modules that state their own
    (tailored ones: σw² = 1) are believed. ValueError where there is no usable one."""
    module = call.module
    if type(module).__name__.startswith("Tailored") or hasattr(module, "evenflow_sw2"):
        return Critical(1.0, 0.0, 1.0, 1.0, "neutral")
    return critical_point(call.op, tuple(sorted(parameters_of(call).items())))


@lru_cache(maxsize=256)
def critical_point(op: str, parameters: tuple[tuple[str, float], ...] = ()) -> Critical:
    """(σw², σb²) with χ1 = 1: without bias variance where its fixed point holds, else where the
    critical line turns stable. SELU keeps its own recipe, σw² = 1 (Klambauer et al. 2017).

    ValueError for an unknown activation, and for one whose only critical point lies deep in
    saturation (the sigmoid: σw² = 103).
    """
    if op == "selu":
        return Critical(1.0, 0.0, 1.0, math.nan, "attracting")
    try:
        c = curve(op, **dict(parameters))
    except ValueError as e:
        raise ValueError(f"no criticality is known for the activation {op}: {e}") from e
    held = [p for p in critical_without_bias(c.f, c.df, c.kinks) if p.stability != "repelling"]
    steady = critical_steady(c.f, c.df, c.kinks) if not held else None
    point = held[0] if held else steady or critical_at(c.f, c.df, 1.0, c.kinks)
    if point is None or point.sw2 > 20:
        raise ValueError(
            f"{op} is critical only with saturated units"
            f"{f' (σw² = {point.sw2:.0f})' if point else ''}: use init=lsuv-centred, or "
            f"activation={op}->centred_sigmoid."
        )
    return point


def draw_(
    context: TreatmentContext,
    call: TracedCall,
    shape: str,
    gain: float,
    fan: str,
    bias_std: float = 0.0,
) -> None:
    """Draw a layer's weight with E z² = gain² E x² (fan "in"), and its bias."""
    weight = call.weight
    assert weight is not None
    context.put(weight, as_stored(call, drawn(call, shape, gain, fan, context.generator)))
    if call.bias is not None:
        new = torch.zeros(call.bias.shape)
        if bias_std:
            new.normal_(0, bias_std, generator=context.generator)
        context.put(call.bias, new)


def drawn(call: TracedCall, shape: str, gain: float, fan: str, g: torch.Generator) -> Tensor:
    """A layer's weight [O, I, *K] in float32 on the CPU."""
    assert call.weight is not None
    o, i, *k = call.weight.shape
    return sample((i, o, *k) if call.rows else (o, i, *k), shape, gain, fan, g)


def sample(size: tuple[int, ...], shape: str, gain: float, fan: str, g: torch.Generator) -> Tensor:
    """A weight of `size` [O, I, *K]: "normal", "orthogonal", or "delta" where there are kernels."""
    o, i, *k = size
    fan_in, fan_out = i * math.prod(k), o * math.prod(k)
    w = torch.empty(o, i, *k)
    if shape == "normal":
        n = fan_in if fan == "in" else (fan_in + fan_out) / 2
        return w.normal_(0, gain / math.sqrt(n), generator=g)
    if shape == "delta" and k:
        if any(n % 2 == 0 for n in k):
            raise ValueError(f"a kernel of {tuple(k)} has no centre; use init=orthogonal.")
        centre = torch.empty(o, i)
        nn.init.orthogonal_(centre, generator=g)
        w.zero_()
        middle = math.prod(k) // 2  # of the flattened kernel: odd sizes all
        w.view(o, i, -1)[:, :, middle] = centre * _fuller(o, i) * gain
        return w
    nn.init.orthogonal_(w, generator=g)
    # per output position a kernel sees fan_in numbers: rows of norm 1 give E z² = E x²
    return w * (_fuller(o, fan_in) * gain)


def _fuller(o: int, i: int) -> float:
    """More outputs than inputs: columns are orthonormal and rows too short (Martens et al. 2021,
    arXiv:2110.01765, section 9.1)."""
    return math.sqrt(max(1.0, o / i))


def as_stored(call: TracedCall, w: Tensor) -> Tensor:
    """[O, I, *K] in the parameter's own layout, dtype and device."""
    assert call.weight is not None
    if call.rows:
        w = w.transpose(0, 1)
    return w.to(device=call.weight.device, dtype=call.weight.dtype)
