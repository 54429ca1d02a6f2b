"""Mean-field theory operator by operator: how second moments pass through one op, and back.

Letters as in `moments`; layers with weights and normalisation are in `weighted`.

Sources: Poole et al. 2016 (arXiv:1606.05340) and Schoenholz et al. 2017 (arXiv:1611.01232) for
linear layers and activations, Xiao et al. 2018 (arXiv:1806.05393) for convolutions, Yang et al.
2019 (arXiv:1902.08129) for batch normalisation. All rest on the usual independence assumption:
the weights of the backward pass are taken to be independent of those of the forward pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from evenflow.activations import expect, expect_pair

from .calls import Arguments, functions, replay
from .graph import Node, Ref
from .moments import Back, BeyondTheory, Errors, Rule, State, each, reduced
from .weighted import batch_norm, conv, layer_norm, linear, rms_norm


def rule(node: Node) -> Rule:
    """The rule of a node's op. BeyondTheory where there is none."""
    if node.op in RULES:
        return RULES[node.op]
    if node.kind == "view" or node.op in ("cat", "stack"):
        return _view
    if node.kind == "activation" and len(node.reads) == 1:
        return _activation
    raise BeyondTheory(
        f"{node.op} has no closed form: softmax, attention, max pooling, recurrent layers and "
        "embeddings are foreseen by draws (forecast_static) or by one pass (preflight)"
    )


# -- elementwise ---------------------------------------------------------------------------------
def _activation(node: Node, x: list[State], shapes: list[tuple[int, ...]]) -> tuple[State, Back]:
    """q' = Eφ(u)², c' = Eφ(u)φ(v); g_in = g Eφ'(u)², h_in = h Eφ'(u)φ'(v); u, v Gaussian."""
    s = x[0]
    f, df = functions(node)
    kinks = _KINKS.get(node.op, ())

    def moments(mu: float, q: float, c: float) -> tuple[float, ...]:
        var = max(q - mu * mu, 0.0)
        rho = min(max((c - mu * mu) / var, -1.0), 1.0) if var > 0 else 1.0
        at = tuple(k - mu for k in kinks) + ((-mu,) if mu else ())

        def one(h: Callable[[Any], Any]) -> float:
            return expect(lambda u: h(u + mu), var, kinks=at)

        def two(h: Callable[[Any], Any]) -> float:
            return expect_pair(lambda u: h(u + mu), var, rho, kinks=at)

        return (one(f), one(lambda u: f(u) ** 2), two(f), one(lambda u: df(u) ** 2), two(df))

    mean, q, c, slope2, slopes = each(moments, s.mu, s.q, s.c)

    def back(e: Errors) -> tuple[Errors, ...]:
        return (Errors(e.g * slope2, e.h * slopes),)

    return State(mean, q, c, s.fan), back


def _scale(node: Node, x: list[State], shapes: list[tuple[int, ...]]) -> tuple[State, Back]:
    """y = αx for a number α."""
    if len(x) != 1:
        raise BeyondTheory(f"{node.op} of two computed tensors has no closed form")
    probe = replay(node, lambda i: torch.ones((), dtype=torch.float64))
    zero = replay(node, lambda i: torch.zeros((), dtype=torch.float64))
    if probe.numel() != 1 or float(zero.sum()) != 0:
        raise BeyondTheory(f"{node.op} by a tensor has no closed form")
    a = float(probe)
    s = x[0]
    state = State(a * s.mu, a * a * s.q, a * a * s.c, s.fan)
    return state, lambda e: (Errors(a * a * e.g, a * a * e.h),)


def _dropout(node: Node, x: list[State], shapes: list[tuple[int, ...]]) -> tuple[State, Back]:
    """q' = q/(1-p), c as it was (masks differ); g_in = g/(1-p), h as it was."""
    call = Arguments(node, ("p", "training"), 1)
    p = float(call.named.get("p", 0.5))
    keep = 1.0 - p if call.named.get("training", True) else 1.0
    s = x[0]
    return State(s.mu, s.q / keep, s.c, s.fan), lambda e: (Errors(e.g / keep, e.h),)


def _join(node: Node, x: list[State], shapes: list[tuple[int, ...]]) -> tuple[State, Back]:
    """x + x': q and c add, + 2μμ'; g goes to both, and adds where branches met (a fork)."""
    sign = -1.0 if node.op == "sub" else 1.0
    refs = [a for a in (*node.args, *node.kwargs.values()) if isinstance(a, Ref)]
    if len(refs) == 2 and len(x) == 1:  # x + x
        s = x[0]
        both = (1 + sign) ** 2
        state = State((1 + sign) * s.mu, both * s.q, both * s.c, s.fan)
        return state, lambda e: (Errors(both * e.g, both * e.h),)
    numbers = [a for a in node.args if isinstance(a, (int, float))]
    if len(x) == 1 and numbers:
        mu, shift = x[0].mu, sign * float(numbers[0])
        moved = [m + 2 * shift * mu + shift**2 for m in (x[0].q, x[0].c)]
        return State(mu + shift, moved[0], moved[1], x[0].fan), lambda e: (e,)
    if len(x) != 2 or node.kwargs.get("alpha", 1) != 1:
        raise BeyondTheory(f"{node.op} of a computed tensor and a constant has no closed form")
    a, b = x
    cross = 2 * sign * a.mu * b.mu
    state = State(a.mu + sign * b.mu, a.q + b.q + cross, a.c + b.c + cross, min(a.fan, b.fan))

    def back(e: Errors) -> tuple[Errors, ...]:
        return tuple(Errors(*(reduced(m, s, node.shape) for m in e)) for s in shapes)

    return state, back


# -- shapes and pools ----------------------------------------------------------------------------
def _view(node: Node, x: list[State], shapes: list[tuple[int, ...]]) -> tuple[State, Back]:
    """Elements move and keep their moments; errors go back the same way (and add where an element
    was repeated)."""
    if len({s[0] for s in (*shapes, node.shape) if s}) != 1 or not node.shape:
        raise BeyondTheory(f"{node.op} moves the batch axis {shapes[0]} -> {node.shape}")

    def ahead(*maps: Tensor) -> Tensor:
        whole = dict(
            zip(node.reads, (m.expand(s) for m, s in zip(maps, shapes, strict=True)), strict=True)
        )
        return replay(node, lambda i: whole[i])[:1]

    def parts(pick: Callable[[State], Tensor]) -> Tensor:
        return ahead(*(pick(s) for s in x))

    def back(e: Errors) -> tuple[Errors, ...]:
        sent = []
        for m in e:
            zeros = [
                torch.zeros(1, *s[1:], dtype=torch.float64, requires_grad=True) for s in shapes
            ]
            with torch.enable_grad():
                y = ahead(*zeros)
            full = m.expand(1, *node.shape[1:])
            sent.append(
                torch.autograd.grad(y, zeros, full, allow_unused=True, materialize_grads=True)
            )
        return tuple(Errors(g, h) for g, h in zip(*sent, strict=True))

    fan = min(s.fan for s in x)
    return State(parts(lambda s: s.mu), parts(lambda s: s.q), parts(lambda s: s.c), fan), back


def _avg_pool(node: Node, x: list[State], shapes: list[tuple[int, ...]]) -> tuple[State, Back]:
    """Windows of n pixels that do not overlap: q' = c_s + (q - c_s)/n, c_s the correlation of two
    pixels, taken to be that of two samples; g_in = g/n²."""
    before, after = shapes[0], node.shape
    size = [a // b for a, b in zip(before[2:], after[2:], strict=True)]
    if len(before) < 3 or [b * k for b, k in zip(after[2:], size, strict=True)] != list(before[2:]):
        raise BeyondTheory(
            f"{node.op} {before} -> {after} with overlap or a rest has no closed form"
        )
    n = math.prod(size)
    call = Arguments(node, ("kernel_size",), 1)
    kernel = call.named.get("kernel_size", size[0]) if node.op.startswith("avg") else size[0]
    if (kernel if isinstance(kernel, int) else kernel[0]) != size[0]:
        raise BeyondTheory(f"{node.op} with windows that overlap has no closed form")

    def windows(m: Tensor) -> Tensor:
        full = m.expand(1, m.shape[1] if m.dim() > 1 else 1, *before[2:])
        y: Tensor = _POOLS[len(before)](full, size)
        return y

    def back(e: Errors) -> tuple[Errors, ...]:
        grown = []
        for m in e:
            full = m.expand(1, m.shape[1] if m.dim() > 1 else 1, *after[2:])
            for axis, k in enumerate(size):
                full = full.repeat_interleave(k, 2 + axis)
            grown.append(full / n**2)
        return (Errors(grown[0], grown[1]),)

    s = x[0]
    q, c = windows(s.q), windows(s.c)
    return State(windows(s.mu), c + (q - c) / n, c, s.fan), back


#: Where functions bend beside 0 (quadrature cuts its panels there).
_KINKS: dict[str, tuple[float, ...]] = {
    "hardtanh": (-1.0, 1.0), "relu6": (6.0,), "hardsigmoid": (-3.0, 3.0),
    "hardswish": (-3.0, 3.0), "softshrink": (-0.5, 0.5), "hardshrink": (-0.5, 0.5),
}  # fmt: skip
_POOLS: dict[int, Any] = {3: F.avg_pool1d, 4: F.avg_pool2d, 5: F.avg_pool3d}
RULES: dict[str, Rule] = {
    "linear": linear, "conv1d": conv, "conv2d": conv, "conv3d": conv,
    "mul": _scale, "div": _scale, "neg": _scale, "dropout": _dropout,
    "add": _join, "sub": _join,
    "batch_norm": batch_norm, "layer_norm": layer_norm, "rms_norm": rms_norm,
    "avg_pool1d": _avg_pool, "avg_pool2d": _avg_pool, "avg_pool3d": _avg_pool,
    "adaptive_avg_pool1d": _avg_pool, "adaptive_avg_pool2d": _avg_pool,
}  # fmt: skip
