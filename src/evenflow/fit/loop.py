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
from copy import deepcopy

import torch
from torch import Tensor, nn

from .dormant import Mortal
from .outcome import Applied, History, least
from .planning import Data, TrainingPlan
from .stepping import Updater

#: A loss so many times the best constant's, or this much above the best epoch's, has left.
LEFT = 3.0
#: The rate after a loss that left, and how often this is tried.
BACK_OFF, TRIES = 0.3, 8


def train_(
    net: nn.Module,
    data: Data,
    valid: Data | None,
    plan: TrainingPlan,
    step: Updater,
    draws: torch.Generator,
    mortal: Mortal | None = None,
    tell: Callable[[int, History], None] | None = None,
) -> History:
    """Train `net` in place. The history says how it went.

    Args:
        step: the update, with the moments of earlier training if there was any.
        draws: of the shuffling; on the CPU.
        mortal: the activations whose dead units are to be drawn anew; None for none.
        tell: called after each epoch, for a progress bar.
    """
    training = _Training(net, data, valid, plan)
    history, revivals = training.history, 0
    if training.exact or valid is not None:
        training.least, training.best = training.judged(), deepcopy(net.state_dict())
        if training.ended(training.least):
            return history
    while history.epochs < plan.stop.epochs:
        error, grads = training.epoch(step, draws)
        if training.left(error):
            training.back_off_(error)
            step = Updater(step.how, step.params)  # moments of the weights that are gone
            continue
        if not math.isfinite(error):
            training.diverge_(error)
            break
        judged = training.judged(error)
        training.compare(judged)
        ended = training.ended(judged)
        if tell is not None:
            tell(history.epochs, history)
        if ended:
            break
        if mortal is None or revivals == TRIES or history.epochs == plan.stop.epochs:
            continue
        if mortal.perhaps(grads) and (done := mortal.revive_(data.x, step, history.epochs)):
            revivals += 1
            history.applied.append(done)
    if training.best and valid is not None:
        net.load_state_dict(training.best)
    else:
        history.best_epoch = history.epochs
    net.eval()
    return history


class _Training:
    """A training so far: its history, its best weights, its rate."""

    def __init__(self, net: nn.Module, data: Data, valid: Data | None, plan: TrainingPlan) -> None:
        self.net, self.data, self.valid, self.plan = net, data, valid, plan
        self.params = [p for p in net.parameters() if p.requires_grad]
        self.history = History()
        self.began = time.monotonic()
        stop = plan.stop
        # only a rule that judges the training data pays for a pass over it
        self.exact = stop.gradient is not None or (
            valid is None and (stop.error is not None or stop.patience is not None)
        )
        self.total = max(1, stop.epochs * max(1, math.ceil(len(data.x) / plan.batch)))
        self.least, self.since, self.scale, self.tries = math.inf, 0, 1.0, 0
        self.best: dict[str, Tensor] = {}
        self.first = deepcopy(net.state_dict())

    def epoch(self, step: Updater, draws: torch.Generator) -> tuple[float, Sequence[Tensor]]:
        """One update a batch; the mean loss of the batches, and the last one's gradients."""
        plan, history, params = self.plan, self.history, self.params
        self.net.train()
        data = self.data
        if plan.shuffle:
            data = data[torch.randperm(len(data.x), generator=draws).to(data.x.device)]
        found: list[Tensor] = []
        grads: Sequence[Tensor] = ()
        rate = plan.rate
        for batch in data.batches(plan.batch):
            loss = plan.loss(self.net, batch)
            grads = torch.autograd.grad(loss, params, allow_unused=True)
            if any(g is None for g in grads):  # cheaper than letting torch look: materialize_grads
                grads = [
                    torch.zeros_like(p) if g is None else g
                    for p, g in zip(params, grads, strict=True)
                ]
            rate = plan.rate * self.scale * plan.factor(history.steps / self.total, history.steps)
            step(grads, rate)
            found.append(loss.detach())
            history.steps += 1
        history.epochs += 1
        history.rates.append(rate)
        return float(torch.stack(found).mean()), grads

    def left(self, error: float) -> bool:
        """Is the loss not finite, or far above what a constant reaches and its own best; and may
        the rate still be lowered?"""
        if not self.plan.heal or self.tries == TRIES:
            return False
        if not math.isfinite(error):
            return True
        far = LEFT * max(self.plan.baseline, 0.0) + 1e-12
        own = 1.5 * min(least(self.history.errors), self.least)
        return math.isfinite(self.plan.baseline) and error > max(far, own)

    def back_off_(self, error: float) -> None:
        """Go back to the last good weights, from now on with a lower rate."""
        self.tries, self.scale = self.tries + 1, self.scale * BACK_OFF
        self.net.load_state_dict(self.best or self.first)
        why = (
            f"EF402: the loss of the epoch was {error:.3g}, the best constant's is "
            f"{self.plan.baseline:.3g}: back to the last good weights with a lower rate"
        )
        self.history.applied.append(Applied(f"lr=*{BACK_OFF:g}", self.history.epochs, why))

    def diverge_(self, error: float) -> None:
        """End the training at a loss that is not finite."""
        if self.plan.heal:
            self.net.load_state_dict(self.best or self.first)
        else:
            self.history.errors.append(error)
        self.history.stopped = "diverged"

    def judged(self, error: float | None = None) -> float:
        """Measure the error that rules judge, and put it into the history's curves.

        `error`: the mean of an epoch's batches, None before the first.
        """
        history, found = self.history, math.nan
        with torch.no_grad():
            if self.exact:
                found = float(self._whole_error(self.data))
                history.errors.append(found)
            elif error is not None:
                found = error
                history.errors.append(found)
            if self.valid is not None:
                found = float(self._whole_error(self.valid))
                history.held_out.append(found)
        return found

    def compare(self, judged: float) -> None:
        """Keep the weights if they are the best so far."""
        self.since += 1
        if judged < self.least:
            self.least, self.since = judged, 0
            self.history.best_epoch = self.history.epochs
            self.best = deepcopy(self.net.state_dict())

    def ended(self, judged: float) -> bool:
        """Does a stopping rule hold? If so, the history is told which."""
        stop, why = self.plan.stop, ""
        if stop.error is not None and judged <= stop.error:
            why = "error"
        elif stop.patience is not None and self.since >= stop.patience:
            why = "patience"
        elif stop.gradient is not None and self._slope() <= stop.gradient:
            why = "gradient"
        elif stop.seconds is not None and time.monotonic() - self.began >= stop.seconds:
            why = "time"
        self.history.stopped = why or self.history.stopped
        return bool(why)

    def _slope(self) -> float:
        """|∂E/∂w| over all training data."""
        grads = torch.autograd.grad(
            self._whole_error(self.data), self.params, allow_unused=True, materialize_grads=True
        )
        return float(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads))))

    def _whole_error(self, data: Data) -> Tensor:
        """The loss over all rows at once, dropout off, gradients on."""
        self.net.eval()
        return self.plan.loss(self.net, data)
