"""Mean-field theory operator by operator: how second moments pass through one op, and back.

Letters: x is the op's input, y its output, δ = dL/d(output); a ≠ b two samples.
Forward state: μ = E x, q = E x², c = E x_a x_b. Backward state: g = E δ², h = E δ_a δ_b.
E is over weights, units that share a law, and samples. Each is a float64 tensor that broadcasts
against [1, *shape of one sample]: a convolution has a map over pixels, a linear layer one number.

Sources: Poole et al. 2016 (arXiv:1606.05340) and Schoenholz et al. 2017 (arXiv:1611.01232) for
linear layers and activations, Xiao et al. 2018 (arXiv:1806.05393) for convolutions, Yang et al.
2019 (arXiv:1902.08129) for batch normalisation. All rest on the usual independence assumption:
the weights of the backward pass are taken to be independent of those of the forward pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...activations.meanfield import expect, expect_pair
from .graph import Node, Ref
from .unseen import Unseen


class State(NamedTuple):
    """Forward moments at one node, and the number of inputs its last linear map mixed."""

    mu: Tensor
    q: Tensor
    c: Tensor
    fan: float = math.inf


class Errors(NamedTuple):
    """Backward moments at one node."""

    g: Tensor
    h: Tensor


#: What an op does: state of its output, and how it sends errors to each node it reads.
Back = Callable[[Errors], tuple[Errors, ...]]
Rule = Callable[[Node, list[State], list[tuple[int, ...]]], tuple[State, Back]]


class BeyondTheory(ValueError):
    """There is no closed form for an op: use draws (`forecast_static`) or one pass."""


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


# -- layers with weights -------------------------------------------------------------------------
def _linear(node: Node, x: list[State], shapes: list[tuple[int, ...]]) -> tuple[State, Back]:
    """q' = n_in E[W²] q + E[b²], the same for c; g_in = n_out E[W²] g."""
    weight, bias = _weights(node)
    n_out, n_in = weight.shape
    w2, b2 = _mean_square(weight), _mean_square(bias)
    s = x[0]

    def ahead(m: Tensor) -> Tensor:
        return n_in * w2 * _over(m, -1) + b2

    def back(e: Errors) -> tuple[Errors, ...]:
        return (Errors(*(n_out * w2 * _over(m, -1) for m in e)),)

    return State(torch.zeros_like(ahead(s.q)), ahead(s.q), ahead(s.c), float(n_in)), back


def _conv(node: Node, x: list[State], shapes: list[tuple[int, ...]]) -> tuple[State, Back]:
    """The same over windows: a map of pixels is convolved with E[W²] of each tap; back, with the
    transposed convolution."""
    weight, bias = _weights(node)
    channels = weight.shape[1]  # of one group
    taps = channels * _stored(weight).double().square().mean((0, 1), keepdim=True)
    call = _Call(node, ("stride", "padding", "dilation"), 3)
    convolve = getattr(F, node.op)
    b2 = _mean_square(bias)
    groups = shapes[0][1] // channels

    def ahead(m: Tensor) -> Tensor:
        return convolve(_filled(_over(m, 1), shapes[0], 1), taps, None, **call.named) + b2

    def back(e: Errors) -> tuple[Errors, ...]:
        # taps hold the factor of the channels going in; the errors come from those going out
        factor = node.shape[1] / groups / channels
        zero = torch.zeros(1, 1, *shapes[0][2:], dtype=torch.float64)
        send = _transposed(lambda m: convolve(m, taps, None, **call.named), zero)
        return (Errors(*(factor * send(_filled(_over(m, 1), node.shape, 1)) for m in e)),)

    s = x[0]
    fan = float(weight[0].numel())
    return State(torch.zeros_like(ahead(s.q)), ahead(s.q), ahead(s.c), fan), back


# -- elementwise ---------------------------------------------------------------------------------
def _activation(node: Node, x: list[State], shapes: list[tuple[int, ...]]) -> tuple[State, Back]:
    """q' = Eφ(u)², c' = Eφ(u)φ(v); g_in = g Eφ'(u)², h_in = h Eφ'(u)φ'(v); u, v Gaussian."""
    s = x[0]
    f, df = _functions(node)
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

    mean, q, c, slope2, slopes = _each(moments, s.mu, s.q, s.c)

    def back(e: Errors) -> tuple[Errors, ...]:
        return (Errors(e.g * slope2, e.h * slopes),)

    return State(mean, q, c, s.fan), back


def _scale(node: Node, x: list[State], shapes: list[tuple[int, ...]]) -> tuple[State, Back]:
    """y = αx for a number α."""
    if len(x) != 1:
        raise BeyondTheory(f"{node.op} of two computed tensors has no closed form")
    probe = _replay(node, lambda i: torch.ones((), dtype=torch.float64))
    zero = _replay(node, lambda i: torch.zeros((), dtype=torch.float64))
    if probe.numel() != 1 or float(zero.sum()) != 0:
        raise BeyondTheory(f"{node.op} by a tensor has no closed form")
    a = float(probe)
    s = x[0]
    state = State(a * s.mu, a * a * s.q, a * a * s.c, s.fan)
    return state, lambda e: (Errors(a * a * e.g, a * a * e.h),)


def _dropout(node: Node, x: list[State], shapes: list[tuple[int, ...]]) -> tuple[State, Back]:
    """q' = q/(1-p), c as it was (masks differ); g_in = g/(1-p), h as it was."""
    call = _Call(node, ("p", "training"), 1)
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
        return tuple(Errors(*(_reduced(m, s, node.shape) for m in e)) for s in shapes)

    return state, back


# -- normalisation -------------------------------------------------------------------------------
def _batch_norm(node: Node, x: list[State], shapes: list[tuple[int, ...]]) -> tuple[State, Back]:
    """q' = γ² + β². Back: γ²/(q - c) times what is left of g once its mean over the batch and its
    part along x̂ are taken off, times E[1/s²], s² the variance of a finite batch:
    f = k/(k-2) (1 - 1/(B-1)), 1/k = 1/(B-1) + 1/n_in. Errors then add up to 0 over the batch.

    Yang 2019 (arXiv:1902.08129): f → (B-2)/(B-3) for a linear network.
    """
    call = _Call(node, ("running_mean", "running_var", "weight", "bias", "training"), 1)
    batch = shapes[0][0]
    if not call.named.get("training", False):
        raise BeyondTheory("batch normalisation by running statistics has no closed form")
    if len(shapes[0]) != 2:
        raise BeyondTheory("batch normalisation over pixels has no closed form")
    if batch < 5:
        raise BeyondTheory(f"a batch of {batch} is too small for the theory of batch normalisation")
    s = x[0]
    var = _over(s.q - s.c, -1)
    gamma2, beta2, beta = _affine(call)
    k = 1.0 / (1.0 / (batch - 1) + 1.0 / s.fan)
    f = k / (k - 2.0) * (1.0 - 1.0 / (batch - 1))
    one = torch.ones_like(var)
    state = State(beta * one, (gamma2 + beta2) * one, (beta2 - gamma2 / (batch - 1)) * one, s.fan)

    def back(e: Errors) -> tuple[Errors, ...]:
        g = gamma2 / var * (e.g - e.h) * f
        return (Errors(g, -g / (batch - 1)),)

    return state, back


def _layer_norm(node: Node, x: list[State], shapes: list[tuple[int, ...]]) -> tuple[State, Back]:
    """q' = γ² + β²; g_in = γ²/(q - μ²) g, less what lies along 1 and x̂: 2 of n directions."""
    call = _Call(node, ("normalized_shape", "weight", "bias"), 1)
    axes = tuple(range(-len(tuple(call.named["normalized_shape"])), 0))
    mean = _over(x[0].mu, *axes)
    return _normed(call, x[0], shapes[0], axes, mean, 2)


def _rms_norm(node: Node, x: list[State], shapes: list[tuple[int, ...]]) -> tuple[State, Back]:
    """q' = γ²; g_in = γ²/q g, less what lies along x̂: 1 of n directions."""
    call = _Call(node, ("normalized_shape", "weight"), 1)
    axes = tuple(range(-len(tuple(call.named["normalized_shape"])), 0))
    return _normed(call, x[0], shapes[0], axes, torch.zeros(()).double(), 1)


def _normed(
    call: _Call, s: State, shape: tuple[int, ...], axes: tuple[int, ...], mean: Tensor, lost: int
) -> tuple[State, Back]:
    var = _over(s.q, *axes) - mean**2
    gamma2, beta2, beta = _affine(call)
    n = math.prod(shape[a] for a in axes)
    mu = beta + math.sqrt(gamma2) * (s.mu - mean) / var.sqrt()
    q = gamma2 * (s.q - 2 * mean * s.mu + mean**2) / var + beta2
    c = gamma2 * (s.c - 2 * mean * s.mu + mean**2) / var + beta2
    gain = gamma2 / var * (1 - lost / n)

    def back(e: Errors) -> tuple[Errors, ...]:
        return (Errors(e.g * gain, e.h * gain),)

    return State(mu, q, c, s.fan), back


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
        return _replay(node, lambda i: whole[i])[:1]

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
    call = _Call(node, ("kernel_size",), 1)
    kernel = call.named.get("kernel_size", size[0]) if node.op.startswith("avg") else size[0]
    if (kernel if isinstance(kernel, int) else kernel[0]) != size[0]:
        raise BeyondTheory(f"{node.op} with windows that overlap has no closed form")

    def windows(m: Tensor) -> Tensor:
        full = m.expand(1, m.shape[1] if m.dim() > 1 else 1, *before[2:])
        return _POOLS[len(before)](full, size)

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


# -- helpers -------------------------------------------------------------------------------------
class _Call:
    """Arguments of a call by name; the first `skip` are not looked at."""

    def __init__(self, node: Node, names: tuple[str, ...], skip: int) -> None:
        self.named = dict(zip(names, node.args[skip:], strict=False))
        self.named |= {k: v for k, v in node.kwargs.items() if k in names}


def _weights(node: Node) -> tuple[Tensor, Tensor | None]:
    call = _Call(node, ("weight", "bias"), 1)
    weight = call.named.get("weight")
    if not isinstance(weight, Tensor):
        raise BeyondTheory(f"{node.op} with a computed weight has no closed form")
    if weight.device.type == "meta":
        raise BeyondTheory(
            f"the weight {tuple(weight.shape)} of {node.op} is on the meta device: its law is not "
            "known; let evenflow build the model (forecast_static)"
        )
    bias = call.named.get("bias")
    return weight, bias if isinstance(bias, Tensor) else None


def _stored(w: Tensor) -> Tensor:
    return w.source.stored("a convolution's theory") if isinstance(w, Unseen) else w.detach()


def _mean_square(w: Tensor | None) -> float:
    if w is None or not w.numel():
        return 0.0
    if isinstance(w, Unseen):
        return float(w.source.values.square().mean())
    return float(w.detach().double().square().mean())


def _affine(call: _Call) -> tuple[float, float, float]:
    """Mean γ², mean β², mean β."""
    weight, bias = call.named.get("weight"), call.named.get("bias")
    gamma2 = 1.0 if weight is None else _mean_square(weight)
    beta = 0.0 if bias is None else float(bias.detach().double().mean())
    return gamma2, _mean_square(bias), beta


def _over(m: Tensor, *axes: int) -> Tensor:
    """Mean over axes, kept; an axis the map does not have yet is one it does not vary along."""
    return m.mean(axes, keepdim=True) if m.dim() else m


def _filled(m: Tensor, shape: tuple[int, ...], channels: int) -> Tensor:
    """A map [1, channels, *pixels] from one that broadcasts against it."""
    return m.expand(1, channels, *shape[2:]) if m.dim() else m.expand(1, channels, *shape[2:])


def _transposed(linear: Callable[[Tensor], Tensor], at: Tensor) -> Callable[[Tensor], Tensor]:
    """The transpose of a linear function, by autograd."""
    at = at.requires_grad_()
    with torch.enable_grad():
        y = linear(at)

    def send(m: Tensor) -> Tensor:
        return torch.autograd.grad(y, at, m.expand_as(y), retain_graph=True)[0]

    return send


def _reduced(m: Tensor, shape: tuple[int, ...], out: tuple[int, ...]) -> Tensor:
    """Errors at an input that was broadcast to `out`: summed over what it was repeated along."""
    full = m.expand(1, *out[1:])
    if tuple(shape) == tuple(out):
        return m
    if len(shape) != len(out) or shape[0] != out[0]:
        raise BeyondTheory(f"adding {shape} to {out} has no closed form")
    axes = tuple(i for i in range(1, len(out)) if shape[i] == 1 and out[i] > 1)
    return full.sum(axes, keepdim=True)


def _replay(node: Node, give: Callable[[int], Tensor]) -> Tensor:
    """The call once more, with `give(id)` for the output of node `id`."""

    def filled(value: Any) -> Any:
        if isinstance(value, Ref):
            return give(value.node)
        if isinstance(value, (tuple, list)) and type(value) in (tuple, list):
            return type(value)(filled(v) for v in value)
        return value

    assert node.func is not None
    out: Tensor = node.func(*filled(node.args), **{k: filled(v) for k, v in node.kwargs.items()})
    return out


def _functions(node: Node) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """φ and φ' on arrays: the very function that was called, and autograd's derivative of it."""

    def call(x: Tensor) -> Tensor:
        return _replay(node, lambda i: x.clone())  # may work in place

    def f(u: Any) -> Any:
        with torch.no_grad():
            return call(torch.from_numpy(np.ascontiguousarray(u))).numpy()

    def df(u: Any) -> Any:
        x = torch.from_numpy(np.ascontiguousarray(u)).requires_grad_()
        with torch.enable_grad():
            y = call(x)
        return torch.autograd.grad(y.sum(), x)[0].numpy()

    return f, df


def _each(f: Callable[..., tuple[float, ...]], *maps: Tensor) -> tuple[Tensor, ...]:
    """f at every place of maps that broadcast together; once for places that are alike."""
    full = torch.broadcast_tensors(*maps)
    rows = torch.stack([m.flatten() for m in full], 1)
    keys = [tuple(float(f"{v:.10g}") for v in row) for row in rows.tolist()]
    known = {key: f(*key) for key in dict.fromkeys(keys)}
    table = torch.tensor([known[key] for key in keys], dtype=torch.float64)
    return tuple(column.reshape(full[0].shape) for column in table.T)


#: Where functions bend beside 0 (quadrature cuts its panels there).
_KINKS: dict[str, tuple[float, ...]] = {
    "hardtanh": (-1.0, 1.0), "relu6": (6.0,), "hardsigmoid": (-3.0, 3.0),
    "hardswish": (-3.0, 3.0), "softshrink": (-0.5, 0.5), "hardshrink": (-0.5, 0.5),
}  # fmt: skip
_POOLS: dict[int, Any] = {3: F.avg_pool1d, 4: F.avg_pool2d, 5: F.avg_pool3d}
RULES: dict[str, Rule] = {
    "linear": _linear, "conv1d": _conv, "conv2d": _conv, "conv3d": _conv,
    "mul": _scale, "div": _scale, "neg": _scale, "dropout": _dropout,
    "add": _join, "sub": _join,
    "batch_norm": _batch_norm, "layer_norm": _layer_norm, "rms_norm": _rms_norm,
    "avg_pool1d": _avg_pool, "avg_pool2d": _avg_pool, "avg_pool3d": _avg_pool,
    "adaptive_avg_pool1d": _avg_pool, "adaptive_avg_pool2d": _avg_pool,
}  # fmt: skip
