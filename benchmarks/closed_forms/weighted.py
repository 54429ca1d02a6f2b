"""Theory of layers that mix: linear, convolution, normalisation (letters: see `moments`)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from .calls import Arguments, affine, mean_square, stored, weights
from .graph import Node
from .moments import Back, BeyondTheory, Errors, State, filled, over


def linear(node: Node, x: list[State], shapes: list[tuple[int, ...]]) -> tuple[State, Back]:
    """q' = n_in E[W²] q + E[b²], the same for c; g_in = n_out E[W²] g."""
    weight, bias = weights(node)
    n_out, n_in = weight.shape
    w2, b2 = mean_square(weight), mean_square(bias)
    s = x[0]

    def ahead(m: Tensor) -> Tensor:
        return n_in * w2 * over(m, -1) + b2

    def back(e: Errors) -> tuple[Errors, ...]:
        return (Errors(*(n_out * w2 * over(m, -1) for m in e)),)

    return State(torch.zeros_like(ahead(s.q)), ahead(s.q), ahead(s.c), float(n_in)), back


def conv(node: Node, x: list[State], shapes: list[tuple[int, ...]]) -> tuple[State, Back]:
    """The same over windows: a map of pixels is convolved with E[W²] of each tap; back, with the
    transposed convolution."""
    weight, bias = weights(node)
    channels = weight.shape[1]  # of one group
    taps = channels * stored(weight).double().square().mean((0, 1), keepdim=True)
    call = Arguments(node, ("stride", "padding", "dilation"), 3)
    convolve = getattr(F, node.op)
    b2 = mean_square(bias)
    groups = shapes[0][1] // channels

    def ahead(m: Tensor) -> Tensor:
        y: Tensor = convolve(filled(over(m, 1), shapes[0], 1), taps, None, **call.named)
        return y + b2

    def back(e: Errors) -> tuple[Errors, ...]:
        # taps hold the factor of the channels going in; the errors come from those going out
        factor = node.shape[1] / groups / channels
        zero = torch.zeros(1, 1, *shapes[0][2:], dtype=torch.float64)
        send = _transposed(lambda m: convolve(m, taps, None, **call.named), zero)
        return (Errors(*(factor * send(filled(over(m, 1), node.shape, 1)) for m in e)),)

    s = x[0]
    fan = float(weight[0].numel())
    return State(torch.zeros_like(ahead(s.q)), ahead(s.q), ahead(s.c), fan), back


def batch_norm(node: Node, x: list[State], shapes: list[tuple[int, ...]]) -> tuple[State, Back]:
    """q' = γ² + β². Back: γ²/(q - c) times what is left of g once its mean over the batch and its
    part along x̂ are taken off, times E[1/s²], s² the variance of a finite batch:
    f = k/(k-2) (1 - 1/(B-1)), 1/k = 1/(B-1) + 1/n_in. Errors then add up to 0 over the batch.

    Yang 2019 (arXiv:1902.08129): f → (B-2)/(B-3) for a linear network.
    """
    call = Arguments(node, ("running_mean", "running_var", "weight", "bias", "training"), 1)
    batch = shapes[0][0]
    if not call.named.get("training", False):
        raise BeyondTheory("batch normalisation by running statistics has no closed form")
    if len(shapes[0]) != 2:
        raise BeyondTheory("batch normalisation over pixels has no closed form")
    if batch < 5:
        raise BeyondTheory(f"a batch of {batch} is too small for the theory of batch normalisation")
    s = x[0]
    var = over(s.q - s.c, -1)
    gamma2, beta2, beta = affine(call)
    k = 1.0 / (1.0 / (batch - 1) + 1.0 / s.fan)
    f = k / (k - 2.0) * (1.0 - 1.0 / (batch - 1))
    one = torch.ones_like(var)
    state = State(beta * one, (gamma2 + beta2) * one, (beta2 - gamma2 / (batch - 1)) * one, s.fan)

    def back(e: Errors) -> tuple[Errors, ...]:
        g = gamma2 / var * (e.g - e.h) * f
        return (Errors(g, -g / (batch - 1)),)

    return state, back


def layer_norm(node: Node, x: list[State], shapes: list[tuple[int, ...]]) -> tuple[State, Back]:
    """q' = γ² + β²; g_in = γ²/(q - μ²) g, less what lies along 1 and x̂: 2 of n directions."""
    call = Arguments(node, ("normalized_shape", "weight", "bias"), 1)
    axes = tuple(range(-len(tuple(call.named["normalized_shape"])), 0))
    mean = over(x[0].mu, *axes)
    return _normed(call, x[0], shapes[0], axes, mean, 2)


def rms_norm(node: Node, x: list[State], shapes: list[tuple[int, ...]]) -> tuple[State, Back]:
    """q' = γ²; g_in = γ²/q g, less what lies along x̂: 1 of n directions."""
    call = Arguments(node, ("normalized_shape", "weight"), 1)
    axes = tuple(range(-len(tuple(call.named["normalized_shape"])), 0))
    return _normed(call, x[0], shapes[0], axes, torch.zeros(()).double(), 1)


def _normed(
    call: Arguments,
    s: State,
    shape: tuple[int, ...],
    axes: tuple[int, ...],
    mean: Tensor,
    lost: int,
) -> tuple[State, Back]:
    var = over(s.q, *axes) - mean**2
    gamma2, beta2, beta = affine(call)
    n = math.prod(shape[a] for a in axes)
    mu = beta + math.sqrt(gamma2) * (s.mu - mean) / var.sqrt()
    q = gamma2 * (s.q - 2 * mean * s.mu + mean**2) / var + beta2
    c = gamma2 * (s.c - 2 * mean * s.mu + mean**2) / var + beta2
    gain = gamma2 / var * (1 - lost / n)

    def back(e: Errors) -> tuple[Errors, ...]:
        return (Errors(e.g * gain, e.h * gain),)

    return State(mu, q, c, s.fan), back


def _transposed(f: Callable[[Tensor], Tensor], at: Tensor) -> Callable[[Tensor], Tensor]:
    """The transpose of a linear function, by autograd."""
    at = at.requires_grad_()
    with torch.enable_grad():
        y = f(at)

    def send(m: Tensor) -> Tensor:
        return torch.autograd.grad(y, at, m.expand_as(y), retain_graph=True)[0]

    return send
