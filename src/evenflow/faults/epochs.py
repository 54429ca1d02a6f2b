"""How long an epoch is, told by samples that come again, and how a loss falls within and between
epochs. Pure functions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..schema import PRINTED, REMEMBERED
from .series import Bools, Floats, Ints

#: Steps of an epoch, at least, that show a course within it.
SHORTEST = 8
#: Lengths that are tried, at most.
_TRIED = 2000
#: Squared deviations that a reading may be off on average, and a length from the best one in all.
_FITS, _AS_GOOD = 4.0, 9.0


class Stairs(NamedTuple):
    """A loss over epochs.

    Attributes:
        epoch: steps of one.
        epochs: how many whole ones there were.
        fresh: mean loss of the later half of the first, whose samples are all new.
        jumps, within: how far the loss fell from each epoch's end to the next one's start, and from
            each one's start to its end, in all; by straight lines through each.
        doubt: three standard errors of either, by the noise about these lines.
    """

    epoch: int
    epochs: int
    fresh: float
    jumps: float
    within: float
    doubt: float


def lengths(again: Floats, steps: Ints, rows: float) -> Ints:
    """Steps that an epoch may have, by the share of each reading's samples that earlier readings
    held; none where no length explains them.

    Shuffled anew each time, a batch of the e-th epoch holds of what was read before
    1 - prod over e' < e of (1 - read in e' / length). A fixed order, in which all of it comes
    again or nothing, has no stairs: each sample comes again after as many steps.
    """
    came = np.flatnonzero(again > 0)
    if not len(came):
        return np.empty(0, dtype=np.int64)
    last = int(steps[came[0]])  # no epoch is over before a sample comes again
    tried = np.unique(np.geomspace(2, max(last, 2), _TRIED).round().astype(np.int64))
    n = min(rows, float(PRINTED))
    kept = np.arange(1, len(steps) + 1) * n <= REMEMBERED
    wrong = np.array([_wrong(again, steps, kept, int(p), n, rows) for p in tried])
    good = wrong <= min(wrong.min() + _AS_GOOD, _FITS * len(steps))
    return np.asarray(tried[good])


def _wrong(again: Floats, steps: Ints, kept: Bools, length: int, n: float, rows: float) -> float:
    """Sum of squared deviations of what was read from what epochs of this length would show."""
    epoch = steps // length
    in_epoch = np.bincount(epoch[kept], minlength=int(epoch[-1]) + 1)
    new = 1 - np.minimum(in_epoch / length, 1.0) * n / rows
    seen = 1 - np.cumprod(np.append(1.0, new))[epoch]
    return float(((again - seen) ** 2 * n / (seen * (1 - seen) + 1 / n)).sum())


def stairs(values: Floats, tried: Ints) -> Stairs | None:
    """The loss by epochs of that length, of those tried, whose ends the loss falls most at; None
    where the curve is too short to say."""
    found = [s for p in tried if p >= SHORTEST and (s := _stairs(values, int(p))) is not None]
    return max(found, key=lambda s: s.jumps, default=None)


def _stairs(values: Floats, epoch: int) -> Stairs | None:
    epochs = len(values) // epoch
    y_EP = values[: epochs * epoch].reshape(epochs, epoch)
    if epochs < 3 or not np.isfinite(y_EP).all():
        return None
    x_P = np.arange(epoch) - (epoch - 1) / 2
    slope_E, mean_E = y_EP @ x_P / (x_P @ x_P), y_EP.mean(axis=1)
    start_E, end_E = mean_E - slope_E * epoch / 2, mean_E + slope_E * epoch / 2
    fresh = float(y_EP[0, epoch // 2 :].mean())
    jumps, within = float((end_E[:-1] - start_E[1:]).sum()), float((start_E - end_E).sum())
    rest_EP = y_EP - mean_E[:, None] - slope_E[:, None] * x_P
    # the variance of a slope times an epoch's length, summed over epochs
    doubt = 3 * float(np.sqrt(12 / epoch * rest_EP.var(axis=1, ddof=2).sum()))
    return Stairs(epoch, epochs, fresh, jumps, within, doubt)
