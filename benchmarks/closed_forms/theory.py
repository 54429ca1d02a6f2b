"""Mean-field theory over a whole graph: every op by its closed form, once forward and once back.

Where each op has a closed form this gives expectations at infinite width with no random number
drawn; finite width is told beside it, as the spread of the same propagation with fluctuations of
1/width put in at each activation (Hanin & Rolnick 2018, arXiv:1803.01719). An unstable q (GELU at
He's variance: each layer multiplies a deviation of q) amplifies them, and the error bar shows it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .graph import Node, capture
from .moments import Back, BeyondTheory, Errors, State
from .operators import rule

#: Propagations with fluctuations, for the error bar.
TRIALS = 8


class Foreseen(NamedTuple):
    """What theory says of one node.

    Attributes:
        op, kind, shape: of the node. q: E x². one_minus_c: 1 - E x_a x_b / E x².
        log10_delta: log10 of rms δ over that of the last node (the output).
        error_bar: one standard deviation of `log10_delta` in decades, from finite width.
    """

    op: str
    kind: str
    shape: tuple[int, ...]
    q: float
    one_minus_c: float
    log10_delta: float
    error_bar: float


def propagate(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None = None,
    *,
    trials: int = TRIALS,
    seed: int = 0,
) -> list[Foreseen]:
    """Theory of every node of the model's graph, in the order of the calls.

    The inputs' moments are measured (one μ, q and c for each input); their batch axis comes
    first, and its size matters to batch normalisation. The cotangent is random: g = 1, h = 0.
    Runs the model forward once, in the mode it is in.

    Args:
        model: with weights, or built by `build` with unseen ones. trials: propagations for the
            error bar; 0 leaves it NaN. seed: of their fluctuations.

    Raises:
        BeyondTheory: an op has no closed form. ValueError: there is no graph to follow.
    """
    nodes, last = capture(model, args, kwargs)
    calm = _run(nodes, last, None)
    draw = torch.Generator().manual_seed(seed)
    shaken = [_run(nodes, last, draw).levels for _ in range(trials)]
    bars = torch.tensor(shaken).std(0) if trials > 1 else torch.full((len(nodes),), math.nan)
    return [
        Foreseen(
            n.op, n.kind, n.shape, calm.q[i], calm.apart[i], calm.levels[i], float(bars[i])
        )
        for i, n in enumerate(nodes)
    ]  # fmt: skip


class _Passed(NamedTuple):
    q: list[float]
    apart: list[float]
    levels: list[float]


def _run(nodes: Sequence[Node], last: int, draw: torch.Generator | None) -> _Passed:
    states: dict[int, State] = {}
    backs: dict[int, Back] = {}
    shapes = {n.id: n.shape for n in nodes}
    for n in nodes:
        if n.value is not None:
            states[n.id] = _measured(n.value)
            continue
        read = [shapes[i] for i in n.reads]
        state, backs[n.id] = rule(n)(n, [states[i] for i in n.reads], read)
        states[n.id] = _shaken(n, state, draw, forward=True)
    errors: dict[int, Errors] = {}
    one = torch.ones((), dtype=torch.float64)
    errors[last] = Errors(one, 0 * one)
    logs = dict.fromkeys((n.id for n in nodes), 0.0)
    levels: dict[int, float] = {}
    for n in reversed(nodes):
        e = errors.pop(n.id)
        levels[n.id] = logs[n.id] + 0.5 * _log10(float(e.g.mean()))
        if n.id not in backs:
            continue
        e = _shaken(n, e, draw, forward=False)
        # Unit size before each op and the rest as a logarithm: 1000 sigmoids leave float64.
        size = float(e.g.mean())
        scale = size if 0 < size < math.inf else 1.0
        sent = backs[n.id](Errors(e.g / scale, e.h / scale))
        level = logs[n.id] + 0.5 * _log10(scale)
        for i, part in zip(n.reads, sent, strict=True):
            if i not in errors:
                errors[i], logs[i] = part, level
                continue
            high = max(level, logs[i])
            here, there = (10.0 ** (2 * (v - high)) for v in (level, logs[i]))
            pairs = zip(part, errors[i], strict=True)
            errors[i], logs[i] = Errors(*(here * a + there * b for a, b in pairs)), high
    q = [float(states[n.id].q.mean()) for n in nodes]
    c = [float(states[n.id].c.mean()) for n in nodes]
    apart = [max(0.0, 1 - b / a) if a else math.nan for a, b in zip(q, c, strict=True)]
    return _Passed(q, apart, [levels[n.id] for n in nodes])


def _measured(x: Tensor) -> State:
    """One μ, q and c of an input [B, ...]."""
    if not x.is_floating_point() or x.dim() < 2:
        raise BeyondTheory(
            f"an input of dtype {x.dtype} and shape {tuple(x.shape)} has no moments: theory "
            "begins at floating data with the batch first"
        )
    if x.device.type == "meta":
        zero = torch.zeros((), dtype=torch.float64)
        return State(zero, zero + 1.0, zero)
    x = x.double()
    b = x.shape[0]
    q = x.square().mean()
    together = (x.mean(0).square().mean() * b - q) / (b - 1) if b > 1 else q
    return State(x.mean(), q, together)


def _shaken(n: Node, moments: Any, draw: torch.Generator | None, *, forward: bool) -> Any:
    """Fluctuations of a layer of finite width, put in where its units pass an activation.

    Relative variance of the mean over n units: forward E φ⁴/(E φ²)² - 1, which is 5 for ReLU;
    back 3 E φ'⁴/(E φ'²)² - 1, also 5. 5 is taken for every activation (Hanin & Nica 2018,
    arXiv:1812.05994); it is 2 for a linear network.
    """
    if draw is None or n.kind != "activation":
        return moments
    size = math.sqrt(5.0 / math.prod(n.shape[1:]))
    factor = math.exp(size * float(torch.randn((), generator=draw, dtype=torch.float64)))
    if not forward:
        return Errors(moments.g * factor, moments.h * factor)
    return moments._replace(
        mu=moments.mu * math.sqrt(factor), q=moments.q * factor, c=moments.c * factor
    )


def _log10(value: float) -> float:
    return math.log10(value) if value > 0 else -math.inf
