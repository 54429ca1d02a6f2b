"""The training loop: all data in tensors, batches as views of one shuffled copy an epoch.

N rows, B of a batch. In pseudocode:

    for epoch:  shuffle;  for batch:  loss, gradients, clip, update
                judge (training error, validation error, gradient norm, time): stop?
                heal: not finite, or far above the best? back to the best weights, lower rate;
                      units that no row switches on? drawn anew
    the weights of the best epoch are kept, where there is a judge for it
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from . import losses
from .rates import Factor
from .record import Applied
from .stepping import Update

if TYPE_CHECKING:
    from .reviving import Mortal

#: A loss so many times the best constant's, or this much above the best epoch's, has left.
LEFT = 3.0
#: The rate after a loss that left, and how often this is tried.
BACK_OFF, TRIES = 0.3, 8


@dataclass(frozen=True, slots=True)
class Data:
    """Rows as tensors on one device: x [N, I], targets [N, ...], weights [N] or None."""

    x: Tensor
    t: Tensor
    weight: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """When to stop: at the first rule that holds; None is off.

    Attributes:
        epochs: so many have passed.
        error: the judged error is at or below this. Judged is the validation error where there
            are validation rows, else the error over all training data.
        patience: so many epochs in a row without a new least judged error.
        gradient: |∂E/∂w| over all training data is at or below this.
        seconds: so much wall time has passed; looked at after each epoch.
    """

    epochs: int
    error: float | None = None
    patience: int | None = None
    gradient: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """One training, all settled."""

    each: losses.PerSample | None  # None: `own` is asked
    own: Any
    batch: int
    shuffle: bool
    rate: float
    factor: Factor
    stop: Stop
    heal: bool
    baseline: float
    keep_best: bool


@dataclass(slots=True)
class Course:
    """How a training went so far."""

    stopped: str = "epochs"
    epochs: int = 0
    steps: int = 0
    best_epoch: int = 0
    errors: list[float] = field(default_factory=list)
    held_out: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    applied: list[Applied] = field(default_factory=list)


def train_(
    net: nn.Module,
    data: Data,
    valid: Data | None,
    plan: Plan,
    step: Update,
    draws: torch.Generator,
    restart: Callable[[], Update],
    mortal: Mortal | None = None,
    tell: Callable[[int, Course], None] | None = None,
) -> Course:
    """Train `net` in place. The course says how it went.

    Args:
        step: the update, with the moments of earlier training if there was any.
        draws: of the shuffling; on the CPU.
        restart: a fresh `step`, for weights that were set back.
        mortal: the activations whose dead units are to be drawn anew; None for none.
        tell: called after each epoch, for a progress bar.
    """
    params = [p for p in net.parameters() if p.requires_grad]
    course, stop = Course(), plan.stop
    began = time.monotonic()
    # only a rule that judges the training data pays for a pass over it
    exact = stop.gradient is not None or (
        valid is None and (stop.error is not None or stop.patience is not None)
    )
    n = len(data.x)
    a_epoch = max(1, math.ceil(n / plan.batch))
    total = max(1, stop.epochs * a_epoch)
    least, since, scale, tries = math.inf, 0, 1.0, 0
    revivals = 0
    grads: Sequence[Tensor] = ()
    best: list[Tensor] = []
    good = _copy(net)
    if exact or valid is not None:
        error = _judged(net, data, valid, plan, course, exact, params, first=True)
        least, best = error, _copy(net)
        why = _holds(stop, error, 0, course, net, data, plan, params, began)
        if why:
            course.stopped = why
            return course
    while course.epochs < stop.epochs:
        net.train()
        x, t, w = _shuffled(data, draws) if plan.shuffle else (data.x, data.t, data.weight)
        parts = zip(
            torch.split(x, plan.batch),
            torch.split(t, plan.batch),
            torch.split(w, plan.batch) if w is not None else (None,) * a_epoch,
            strict=True,
        )
        seen: list[Tensor] = []
        rate = plan.rate
        for xb, tb, wb in parts:
            loss = losses.mean(plan.each, plan.own, net(xb), tb, wb)
            grads = torch.autograd.grad(loss, params, allow_unused=True)
            if any(g is None for g in grads):  # cheaper than letting torch look: materialize_grads
                grads = [
                    torch.zeros_like(p) if g is None else g
                    for p, g in zip(params, grads, strict=True)
                ]
            rate = plan.rate * scale * plan.factor(course.steps / total, course.steps)
            step(grads, rate)
            seen.append(loss.detach())
            course.steps += 1
        course.epochs += 1
        course.rates.append(rate)
        error = float(torch.stack(seen).mean())
        if plan.heal and tries < TRIES and _left(error, least, plan.baseline, course):
            tries, scale = tries + 1, scale * BACK_OFF
            _restore(net, best or good)
            step = restart()
            course.applied.append(
                Applied(
                    f"lr=*{BACK_OFF:g}",
                    course.epochs,
                    f"EF402: the loss of the epoch was {error:.3g}, {_against(least, plan)}: back "
                    "to the last good weights with a lower rate",
                )
            )
            continue
        if not math.isfinite(error) and not plan.heal:
            course.errors.append(error)
            course.stopped = "diverged"
            break
        if not math.isfinite(error):
            _restore(net, best or good)
            course.stopped = "diverged"
            break
        if not exact:
            course.errors.append(error)
        judged = error
        if exact or valid is not None:
            judged = _judged(net, data, valid, plan, course, exact, params)
        since += 1
        if judged < least:
            least, since, course.best_epoch = judged, 0, course.epochs
            best = _copy(net) if plan.heal or plan.keep_best else []
        why = _holds(stop, judged, since, course, net, data, plan, params, began)
        if tell is not None:
            tell(course.epochs, course)
        if why:
            course.stopped = why
            break
        if mortal is None or revivals == TRIES or course.epochs == stop.epochs:
            continue
        if mortal.perhaps(grads) and (done := mortal.revive_(data.x, step, course.epochs)):
            revivals += 1
            course.applied.append(done)
    if plan.keep_best and best and valid is not None:
        _restore(net, best)
    else:
        course.best_epoch = course.epochs
    net.eval()
    return course


def whole_error(net: nn.Module, data: Data, plan: Plan) -> Tensor:
    """The loss over all rows at once, dropout off, gradients on."""
    net.eval()
    return losses.mean(plan.each, plan.own, net(data.x), data.t, data.weight)


def _judged(
    net: nn.Module,
    data: Data,
    valid: Data | None,
    plan: Plan,
    course: Course,
    exact: bool,
    params: Sequence[Tensor],
    first: bool = False,
) -> float:
    """The error that rules judge; appended to the course's curves."""
    with torch.no_grad():
        error = math.nan
        if exact:
            error = float(whole_error(net, data, plan))
            course.errors.append(error)
        if valid is not None:
            error = float(whole_error(net, valid, plan))
            course.held_out.append(error)
    return error


def _holds(
    stop: Stop,
    error: float,
    since: int,
    course: Course,
    net: nn.Module,
    data: Data,
    plan: Plan,
    params: Sequence[Tensor],
    began: float,
) -> str:
    if stop.error is not None and error <= stop.error:
        return "error"
    if stop.patience is not None and since >= stop.patience:
        return "patience"
    if stop.gradient is not None:
        grads = torch.autograd.grad(
            whole_error(net, data, plan), list(params), allow_unused=True, materialize_grads=True
        )
        if float(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))) <= (
            stop.gradient
        ):
            return "gradient"
    if stop.seconds is not None and time.monotonic() - began >= stop.seconds:
        return "time"
    return ""


def _left(error: float, least: float, baseline: float, course: Course) -> bool:
    """Has the loss left: not finite, or far above what a constant reaches, or its own best?"""
    if not math.isfinite(error):
        return True
    past = min((e for e in course.errors if math.isfinite(e)), default=math.inf)
    if not math.isfinite(baseline):
        return False
    return error > LEFT * max(baseline, 0.0) + 1e-12 and error > 1.5 * min(past, least)


def _against(least: float, plan: Plan) -> str:
    return f"the best constant's is {plan.baseline:.3g}"


def _shuffled(data: Data, draws: torch.Generator) -> tuple[Tensor, Tensor, Tensor | None]:
    order = torch.randperm(len(data.x), generator=draws).to(data.x.device)
    return (
        data.x[order],
        data.t[order],
        data.weight[order] if data.weight is not None else None,
    )


def _copy(net: nn.Module) -> list[Tensor]:
    return [t.detach().clone() for t in net.state_dict(keep_vars=True).values()]


def _restore(net: nn.Module, kept: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for t, old in zip(net.state_dict(keep_vars=True).values(), kept, strict=True):
            t.copy_(old)
