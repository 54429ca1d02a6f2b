"""What a constant guess would cost: the yardstick for what is still to win."""

from __future__ import annotations

import numpy as np

from .readings import Readings
from .series import Floats, median, ratio

#: Losses that compare a row of scores with one class; that square a difference.
BY_CLASS, SQUARED = ("cross_entropy", "nll_loss"), ("mse_loss", "mse")
#: A step's loss is known as so many times the function's own value when it lies within this factor.
AGREES = 1.25


def chance(view: Readings) -> tuple[float, bool]:
    """Loss of the best constant guess (NaN if unknown), and whether 0 can be reached.

    Unknown too where what was minimised is neither the loss function's own value nor a known
    number of times that: several losses, a penalty as large, a sum instead of a mean.
    """
    if len(view.losses) != 1:
        return float("nan"), False
    (i,) = view.losses
    guess, by_class = of_function(view, i)
    return guess * _times(view, i), by_class


def of_function(view: Readings, loss: int) -> tuple[float, bool]:
    """The same for the function's own value, whatever it is multiplied by afterwards."""
    op = view.sites[loss].op
    if op in BY_CLASS and view.parents(loss):
        shape = seen(view, loss)
        k = shape[1] if len(shape) > 1 else (*shape, 0)[0]
        return (float(np.log(k)) if k > 1 else float("nan")), True
    if op.startswith("binary_cross_entropy"):
        weighed = (view.site("weighed")[:, loss] > 0).any()  # not by their sum, as classes' are
        return (float("nan") if weighed else float(np.log(2.0))), True
    target = view.target_of(loss)
    if op in SQUARED and target >= 0:
        std = float(median(view.site("std")[:, target]))
        return (of_spread(op, std) if std > 0 else float("nan")), False
    return float("nan"), False


def of_spread(op: str, std: float) -> float:
    """Loss of the best constant guess of a target with this deviation; NaN for other loss functions
    than a regression's. An absolute error has sqrt(2 / pi) of it, a Huber error the lesser of half
    the variance and that (both exact for a normal target)."""
    far = float(np.sqrt(2 / np.pi)) * std
    if op in SQUARED:
        return std**2
    if op == "l1_loss":
        return far
    return min(far, std**2 / 2) if op in ("smooth_l1_loss", "huber_loss") else float("nan")


def _times(view: Readings, loss: int) -> float:
    """How many times the function's own mean a step's loss is: 1, or what it is weighed by, times
    the micro-batches that were added up. NaN where that is not all of it, or no mean."""
    known = of_own(view, loss)
    known = known[np.isfinite(known)]
    seen_times = median(known) if len(known) else 1.0
    # the layer error at the loss is what it is multiplied by on its way to the backward pass
    scalar = view.sites[loss].shape in ((), (1,))
    by = float(median(view.site("delta")[:, loss])) if scalar else 1.0
    by = by if np.isfinite(by) and by > 0 else 1.0
    times = by * backward_passes(view)
    for told in (1.0, times):
        if 1 / AGREES <= seen_times / told <= AGREES:
            return told if _averaged(view, loss, by) else float("nan")
    return float("nan")


def of_own(view: Readings, loss: int) -> Floats:
    """[T] the step's loss over the function's own value; NaN where either is unknown or this 0."""
    return ratio(view.step("loss"), view.site("rms")[:, loss])


def backward_passes(view: Readings) -> float:
    """Backward passes of an update, 1 where they were not counted."""
    return float(np.fmax(median(view.step("backwards")), 1.0))


def _averaged(view: Readings, loss: int, by: float) -> bool:
    """Whether the function gave a mean, as far as can be told: no element of a mean moves the loss
    by more than 1 / batch (times what it was multiplied by); larger deltas are a sum's."""
    for p in view.parents(loss)[:1]:
        shape, delta = view.sites[p].shape, view.site("delta")[:, p] / by
        given = seen(view, loss)
        squared = view.sites[loss].op in SQUARED
        if squared or len(shape) < 2 or len(given) < 2 or not given[0]:
            continue
        rows = _rows(view, loss, given[0])
        # the delta's size goes with the batch of its own step: the last of an epoch is smaller
        norm = delta * np.sqrt(view.sites[p].size * rows / given[0])
        known = np.isfinite(norm) & (rows >= 4)
        if known.any() and (norm[known] * np.sqrt(rows[known])).max() > 4:
            return False
    return True


def _rows(view: Readings, loss: int, first: int) -> Floats:
    """[T] samples the loss function was given, the first batch's where that was not kept."""
    rows = view.site("rows")[:, loss]
    return np.asarray(np.where(np.isfinite(rows), rows, float(first)))


def seen(view: Readings, loss: int) -> tuple[int, ...]:
    """Shape of the prediction as the loss function was given it; () where that was not kept.

    A site's own shape knows nothing of the views between it and the loss.
    """
    return (*view.sites[loss].takes, ())[0]


def entropy(share_K: Floats) -> float:
    """Loss of guessing classes that have these shares, in nats."""
    known = share_K[share_K > 0]
    return -float((known * np.log(known)).sum())
