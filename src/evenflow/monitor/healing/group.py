"""What is known of each optimizer under heal, and of those that follow one loss together."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ...tape import of_optimizer
from ...treatments import Stage, Stepper
from .judge import FAR, LossHistory, Norms
from .snapshot import WeightSnapshot

#: Updates between two snapshots. Even an optimizer's own step reads and writes each weight, moment
#: and gradient, so a copy every 50th costs at most a fiftieth of that.
EVERY = 50
#: A snapshot younger than this may hold the beginning of what is being healed.
OLD = 10
#: What the rate is multiplied with at the first, second, ... roll-back to one snapshot: halved
#: (bold driver: Vogl et al. 1988, Biol. Cybern. 59; Battiti 1989, Complex Systems 3), then faster.
FACTORS = (0.5, 0.25, 0.1)
#: The rate is never lowered below this share of the script's.
LEAST_RATE = 1e-4


class Backoff(Stage):
    """The learning rate times `factor`, for the duration of each update: schedulers, which
    overwrite it or work it out from its last value, never see ours."""

    def __init__(self) -> None:
        self.factor = 1.0

    def override(self, group: dict[str, Any], step: int) -> dict[str, Any]:
        return {"lr": group["lr"] * self.factor} if "lr" in group else {}


class OptimizerHistory:
    def __init__(self, optimizer: torch.optim.Optimizer, index: int) -> None:
        self.ref = weakref.ref(optimizer)
        self.index = index
        self.norms = Norms()
        self.attempts = 0  # updates tried, those left out included
        self.bad_on_end = 0  # non-finite gradients in a row
        self.backoff: Backoff | None = None
        self.refused = False

    @property
    def factor(self) -> float:
        """What the learning rate is multiplied with."""
        return self.backoff.factor if self.backoff is not None else 1.0

    def slow(self, factor: float) -> None:
        """Multiply the rate with `factor` from the next update on."""
        optimizer = self.ref()
        if optimizer is None:
            return
        if self.backoff is None:
            self.backoff = Backoff()
            Stepper.of(optimizer).add(self.backoff)
        self.backoff.factor = factor

    def free(self) -> None:
        optimizer = self.ref()
        if self.backoff is not None and optimizer is not None:
            Stepper.of(optimizer).remove(self.backoff, optimizer)
        self.backoff = None


class OptimizerGroup:
    """Optimizers that step after the same backward: what one loss trains.

    At most two snapshots: the newest may hold the beginning of a divergence, the other does not.
    """

    def __init__(self, history: OptimizerHistory) -> None:
        self.histories = [history]
        self.losses = LossHistory()
        self.statistics = Norms()  # how far running statistics go in a round
        self.snapshots: list[WeightSnapshot] = []  # oldest first
        self.attempts = 0  # rounds, not updates
        self.left_out = False  # the round that is running
        self.trouble = -OLD  # attempt of the latest outlier or non-finite gradient
        self.returns = 0  # roll-backs since the latest snapshot was taken
        self.rollbacks = 0
        self.returned = 0  # attempt of the latest roll-back
        self.proving: list[float] = []  # the limit, then losses since the latest roll-back
        self.seen = 0  # by the healer's clock
        self.slowed = 0  # attempt at which the rate was lowered last
        self._snapped = 0

    @property
    def next_factor(self) -> float:
        """For the rate, after the latest roll-back."""
        return FACTORS[min(self.returns, len(FACTORS)) - 1]

    @property
    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Those still alive."""
        return [o for c in self.histories if (o := c.ref()) is not None]

    def join(self, other: OptimizerGroup) -> None:
        """Another group turns out to follow the same loss; its turn of this round is to come."""
        fresh = bool(self.snapshots) and self.snapshots[-1].extra[0] == self.attempts
        self.snapshots = self.snapshots[-1:] if fresh else []
        if fresh:
            theirs = WeightSnapshot()
            theirs.take(-1, other.optimizers, (), None, None)
            self.snapshots[0].absorb(theirs, len(self.optimizers))
            self.snapshots[0].extra[2].extend(c.norms.copy() for c in other.histories)
        self.histories.extend(other.histories)

    def params(self) -> list[Tensor]:
        return [p for o in self.optimizers for p in of_optimizer(o)]

    # -- snapshots ----------------------------------------------------------------------------
    def due(self) -> bool:
        return not self.snapshots or self.attempts - self._snapped >= EVERY

    def snap(self, step: int, buffers: Iterable[Tensor], scaler: Any) -> None:
        """Take one, over the older of two."""
        again = self.snapshots.pop(0) if len(self.snapshots) > 1 else WeightSnapshot()
        memory = self.attempts, self.losses.copy(), [c.norms.copy() for c in self.histories]
        again.take(step, self.optimizers, list(buffers), scaler, memory)
        self.snapshots.append(again)
        self.returns, self._snapped = 0, self.attempts

    def gone_far(self) -> bool:
        """Have the weights left the oldest snapshot far behind? NaN is far."""
        return bool(self.snapshots) and not self.snapshots[0].gone(self.optimizers) <= FAR

    def go_back(self, buffers: Iterable[Tensor], scaler: Any, oldest: bool) -> WeightSnapshot:
        """To the newest snapshot that is old enough; the second time to the one before."""
        young = self.attempts - self.snapshots[-1].extra[0] < OLD
        if len(self.snapshots) > 1 and (young or self.returns or oldest):
            self.snapshots.pop()
        snapshot = self.snapshots[-1]
        snapshot.restore(self.optimizers, list(buffers), scaler)
        _, losses, norms = snapshot.extra
        self.losses = losses.copy()
        for history, known in zip(self.histories, norms, strict=False):
            history.norms = known.copy()
            history.bad_on_end = 0
        self.returns += 1
        self.rollbacks += 1
        self._snapped = self.returned = self.attempts
        return snapshot
