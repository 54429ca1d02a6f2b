"""Learning rates: schedules, warm-up, and the range test that finds a rate."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .stepping import Optimizing, Updater

#: Share of the training passed -> factor of the rate.
CURVES: dict[str, Callable[[float], float]] = {
    "constant": lambda s: 1.0,
    # Loshchilov & Hutter 2017, arXiv:1608.03983
    "cosine": lambda s: 0.5 * (1 + math.cos(math.pi * s)),
    "linear": lambda s: 1 - s,
    "exponential": lambda s: 1000.0**-s,
    # He et al. 2016, arXiv:1512.03385
    "step": lambda s: 1.0 if s < 0.5 else 0.1 if s < 0.75 else 0.01,
}
SCHEDULES = ("auto", *CURVES)
#: The rate that `auto` starts its range test from, for standardised inputs.
BASE = {
    "gd": 0.3,
    "momentum": 0.05,
    "nesterov": 0.05,
    "adam": 3e-3,
    "adamw": 3e-3,
    "rmsprop": 1e-3,
}
#: Steps of the range test, and from which share of the highest rate it starts.
TEST_STEPS, TEST_FROM = 40, 1e-3
#: The loss has left when it passes so many times that of the start.
LEFT = 3.0
#: The rate taken is this share of the one at which the loss left.
SHARE = 0.25
Factor = Callable[[float, int], float]


def factor(schedule: str | Callable[[int], float], warmup: float) -> Factor:
    """(share of the training passed, step) -> what the rate is multiplied with.

    `schedule`: a name of `CURVES`, "auto" (the cosine), or a callable, whose value at the step
    (from 0) is the factor. Warm-up (Goyal et al. 2017, arXiv:1706.02677) raises the rate linearly
    over the first `warmup` of the training, a share below 1, or so many steps, 1 or more.
    """
    curve = CURVES["constant" if callable(schedule) else schedule.replace("auto", "cosine")]

    def at(s: float, step: int) -> float:
        f = float(schedule(step)) if callable(schedule) else curve(s)
        risen = (step + 1) / (warmup + 1) if warmup >= 1 else s / warmup if warmup else 1.0
        return float(f * max(min(risen, 1.0), 1e-3))

    return at


def range_test(
    net: nn.Module,
    optimizing: Optimizing,
    batches: Sequence[Callable[[nn.Module], Tensor]],
    top: float,
) -> float:
    """The highest rate up to `top` that is safe here: Smith 2017, arXiv:1506.01186, section 3.3.

    On a copy of the network the rate rises from 1e-3 of `top` to `top` in 40 steps. Where the
    loss does not leave, the answer is `top`; where it passes three times what the same batch (or
    the mean batch) had at the start, or is not finite, a quarter of the rate at that step. The
    `batches`, each of which gives its loss for a network, are used in turn.
    """
    twin = copy.deepcopy(net)
    params = [p for p in twin.parameters() if p.requires_grad]
    step = Updater(optimizing, params)
    with torch.no_grad():
        before = [float(batch(twin)) for batch in batches[:TEST_STEPS]]
    usual = sum(before) / len(before)

    def left(k: int, now: float) -> bool:
        return not math.isfinite(now) or now > LEFT * max(before[k % len(before)], usual)

    for k in range(TEST_STEPS):
        rate = top * TEST_FROM ** (1 - k / (TEST_STEPS - 1))
        loss = batches[k % len(before)](twin)
        if left(k, float(loss.detach())):
            return float(max(SHARE * rate, top * TEST_FROM))
        step(torch.autograd.grad(loss, params, materialize_grads=True), rate)
    with torch.no_grad():  # the last step may have been the one too many
        after = sum(float(batch(twin)) for batch in batches[: len(before)]) / len(before)
    return SHARE * top if not math.isfinite(after) or after > LEFT * usual else top
