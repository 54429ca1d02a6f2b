"""What of a network could not be read, so that no health is claimed of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..schema import Run
from .view import View


class Unread(NamedTuple):
    """Layers of a run that were trained, and of which something was never read.

    Attributes:
        layers: how many layers there are; one called often (a cell, tied weights) is one.
        outputs: of how many no output was read.
        errors: of how many no layer error was read: they are known by their weights alone.
    """

    layers: int
    outputs: int
    errors: int


def unread(run: Run) -> Unread:
    """Count what was not read, as of what TorchScript runs: Python sees none of its forward, and
    of what it runs as one block not even the backward. All 0 for a forecast, which reads nothing.
    """
    if run.source == "predicted":
        return Unread(0, 0, 0)
    view = View(run)
    layers = view.calls.values()

    def without(metric: str) -> int:
        known = (~np.isnan(view.site(metric))).sum(axis=0)
        return sum(int(known[ids].sum()) == 0 for ids in layers)

    if not layers or not len(run.steps):
        return Unread(len(layers), 0, 0)
    return Unread(len(layers), without("rms"), without("delta"))
