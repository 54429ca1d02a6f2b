"""Channels: what one number of a sampled step is about, and the record of one sampled step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .metrics import metric_named


class Channel(NamedTuple):
    """What a number is about.

    Attributes:
        of, metric: see `Metric`.
        id: of the site (of an edge: the one that sends δ; of a class: the loss) or the parameter; 0
            for the step.
        edge: the input site that an edge leads to; of a class its index.
    """

    of: str
    id: int
    metric: str
    edge: int = -1


def channel(of: str, id: int, metric: str, edge: int = -1) -> Channel:
    """To ask for a channel by: ValueError where there is no such metric, which `Channel` leaves
    to whoever reads it (a sampled step makes hundreds).

    >>> from evenflow.schema import channel
    >>> channel("site", 4, "delta")
    Channel(of='site', id=4, metric='delta', edge=-1)
    """
    return Channel(of, id, metric_named(of, metric).name, edge)


@dataclass(frozen=True, slots=True)
class Reading:
    """All that was measured at one sampled step.

    Attributes:
        step: number of completed parameter updates before this one (0 is the first step).
        channels: what each value is about; the same tuple object is reused while it holds.
        values: float64, same length as `channels`; a value that could not be had is left out,
            never filled in; NaN means that NaN was measured (nonfinite counts say so too).
        source: "measured" by the tape or "predicted" by a forecast.
    """

    step: int
    channels: tuple[Channel, ...]
    values: npt.NDArray[np.float64]
    source: str = "measured"
