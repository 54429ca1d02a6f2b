"""What guard and healer may know of the training that is watched, and do with the watch."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Protocol

from torch import nn

from ..store import Writer
from ..tape import Recorder
from .cadence import Cadence
from .flush import Flush
from .losses import Losses
from .made import Passes
from .optimizers import OptimizerRegistry


class WatchedTraining(Protocol):
    """The conductor, as those see it who act before an update.

    Attributes:
        model: the only one that is watched, if there is one.
        passes: backward passes of the step that is running.
        flush: takes notes, too.
        fail: an error of ours ends the watch.
        alone: runs something of ours that calls the model.
    """

    model: weakref.ref[nn.Module] | None
    recorder: Recorder
    losses: Losses
    passes: Passes
    optimizers: OptimizerRegistry
    writer: Writer
    flush: Flush
    cadence: Cadence
    fail: Callable[[Exception, str], None]
    alone: Callable[..., Any]

    @property
    def step(self) -> int:
        """Updates that are over."""
