"""Mathematics of a loss curve: what is to be won, rises, spikes and swings. Pure functions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..schema import Severity
from .chance import BY_CLASS, SQUARED, of_function, of_spread
from .data import typical
from .series import Floats, median
from .view import View

#: The loss at the start is at most this many times the loss of guessing, if that was worked out
#: rightly (initial scores that are too large make it more than 1).
CREDIBLE = 3.0
#: Share of the loss of guessing below which a net has learned, whatever the size of its data or
#: target.
WON = 0.25
#: Share of what there was to win from which on nothing was learnt.
NOTHING = 0.85


class Goal(NamedTuple):
    """What a loss is held against.

    Attributes:
        scale: loss of the best constant guess where that is known, else size of the start's loss.
        known: whether `scale` is the loss of guessing.
        left: typical loss of the run's last tenth over `scale` (1 = no better than guessing).
    """

    scale: float
    known: bool
    left: float


def goal(view: View) -> Goal:
    """What there was to win, and how much of it is left; NaN for an empty or NaN curve.

    The loss of guessing is only believed where the start (a fresh network guesses) or the end (a
    stuck one does too) lies near it: a summed, weighted or composed loss has another scale. A
    start below it is believed as well: training went on from a good state.
    """
    guess, start, end = guessing(view), first_loss(view), view.loss.end
    if np.isfinite(guess) and guess > 0 and np.isfinite(end):
        base = max(guess, _uncentred(view))
        if start <= CREDIBLE * base or 0.9 <= end / guess <= 1.1:
            return Goal(guess, True, end / guess)
    if not (np.isfinite(start) and np.isfinite(end)) or start == 0:
        return Goal(float("nan"), False, float("nan"))
    return Goal(abs(start), False, end / start if start > 0 else float("nan"))


def left_of(view: View) -> float:
    """How much is left of what there was to win or, where that is not known, of the start's."""
    aim = goal(view)
    return aim.left if aim.known else 1 - view.loss.fallen


def harm_of(view: View, left: float) -> Severity:
    """How bad a fault is with so much left: an info where something was won, or where the loss does
    not tell; an error where nothing was learnt."""
    if view.unmeasured or not left > WON:
        return Severity.info
    return Severity.error if left >= NOTHING else Severity.warning


def first_loss(view: View) -> float:
    """The loss before training: the first value, since a rate too high spoils the next ones.

    With fewer than 8 samples a batch one value says little: then the median of the first 5.
    """
    y = view.loss.finite
    if len(y) == 0:
        return float("nan")
    shapes = [view.sites[i].shape for i in view.predictions]
    few = any(s and s[0] < 8 for s in shapes)
    return float(np.median(y[:5])) if few else float(y[0])


def before_training(view: View) -> float:
    """`first_loss`, and no less than the loss of guessing where that is known."""
    aim = goal(view)
    return max(first_loss(view), aim.scale) if aim.known else first_loss(view)


def guessing(view: View) -> float:
    """Loss of the best constant guess (see `chance`), that of a regression's function also where it
    is not all of the loss; NaN where it cannot be told."""
    known = view.loss.chance
    if np.isfinite(known):
        return known
    for i in view.losses:
        t = view.target_of(i)
        if t >= 0 and (found := of_spread(view.sites[i].op, typical(view, t, "std"))) == found:
            return found
    return float("nan")


#: Share of the loss of guessing above which a classifier is worse than a constant.
ABOVE = 1.1


def above_guessing(view: View) -> float:
    """Loss at the end over that of guessing a class, where it is more than `ABOVE` and no longer
    young; else NaN. A loss that falls from thousands may still stand above what a constant has."""
    loss = view.loss
    classes = [i for i in view.losses if view.sites[i].op in BY_CLASS]
    if not (loss.classifies and len(classes) == 1 and loss.chance > 0) or loss.young:
        return float("nan")
    # the loss function's own value: what is minimised may hold a penalty as well
    own = median(view.site("rms")[view.late, classes[0]])
    if not np.isfinite(own) or not _mean_of_errors(view, classes[0]):
        return float("nan")
    least = min(loss.end / loss.chance, float(own) / of_function(view, classes[0])[0])
    return least if least > ABOVE else float("nan")


def _mean_of_errors(view: View, loss: int) -> bool:
    """Whether layer errors are as large as a mean over samples that are wrong has them: the
    2-norm of a cross entropy's is near sqrt(2 / batch) then, and a sum's is batch times that."""
    for p in view.parents(loss)[:1]:
        shape, delta = view.sites[p].shape, view.site("delta")[:, p]
        known = delta[np.isfinite(delta)]
        if shape and len(known):
            norm = known.max() * np.sqrt(view.sites[p].size * shape[0])
            return bool(0.5 < norm < 4.0)
    return False


def _uncentred(view: View) -> float:
    """Mean square of a squared error's target: what an untrained network near 0 loses; or 0."""
    for i in view.losses:
        t = view.target_of(i)
        if view.sites[i].op in SQUARED and t >= 0:
            mean, std = typical(view, t, "mean"), typical(view, t, "std")
            if np.isfinite(mean) and np.isfinite(std):
                return float(mean**2 + std**2)
    return 0.0


def recent_fall(y: Floats, part: float = 0.6) -> float:
    """How far the loss fell over the last `part` of a curve: median of its first third less that
    of its last third. NaN for fewer than 9 values."""
    tail = y[int(len(y) * (1 - part)) :]
    n = len(tail) // 3
    return float(np.median(tail[:n]) - np.median(tail[-n:])) if n >= 3 else float("nan")


def doubt(y: Floats, part: float = 0.6) -> float:
    """How far `recent_fall` may be off by noise alone: two standard errors of two medians."""
    n = max(1.0, len(y) * part / 3)
    return float(2 * 1.25 * noise(y) * np.sqrt(2 / n))


def flat_since(smoothed: Floats, band: float) -> int:
    """First position from which a curve stays within `band` of its end; -1 if it is empty."""
    if len(smoothed) == 0:
        return -1
    away = np.flatnonzero(np.abs(smoothed - smoothed[-1]) > band)
    return int(away[-1]) + 1 if len(away) else 0


class Spike(NamedTuple):
    """A rise and return: positions of its start, peak and end, its base and its height."""

    start: int
    peak: int
    end: int
    base: float
    height: float
    noise: float  # height in units of the usual noise, logarithmic


def spikes(y: Floats, scale: float, before: int = 20) -> list[Spike]:
    """Spikes of a curve: sudden, far above the usual noise, tall against what is to be won.

    A value counts that is three times the median of the `before` values ahead of it, above it by
    half of `scale`, and 8 robust deviations out on a log scale (losses below zero: on a plain
    one). One value alone may be one odd batch: it must be five times `scale` high.
    """
    out: list[Spike] = []
    t = 1
    while t < len(y):
        past = y[max(0, t - before) : t]
        base = float(np.median(past))
        height = y[t] - base
        tall = height > 0.5 * scale and (base <= 0 or y[t] > 3 * base)
        noise = _noise(past, float(y[t])) if tall else 0.0
        if not tall or noise < 8:
            t += 1
            continue
        end, peak = t, t
        while end + 1 < len(y) and y[end + 1] > base + 0.2 * (y[peak] - base):
            end += 1
            peak = end if y[end] > y[peak] else peak
        height = float(y[peak] - base)
        if end > t or height > 5 * scale:
            out.append(Spike(t, peak, end, base, height, noise))
        t = end + 1
    return out


def noise(y: Floats) -> float:
    """Robust deviation of a curve's noise, from the differences of neighbours; 0 if too short."""
    if len(y) < 3:
        return 0.0
    return float(1.4826 * np.median(np.abs(np.diff(y))) / np.sqrt(2))


def _noise(past: Floats, value: float) -> float:
    """How far `value` lies from the median of `past`, in robust deviations."""
    if past.min() > 0 and value > 0:
        past, value = np.log(past), float(np.log(value))
    middle = float(np.median(past))
    deviation = 1.4826 * float(np.median(np.abs(past - middle)))
    # few values or none that differ tell little of the noise: 5 % of the size is assumed
    return (value - middle) / (deviation + 0.05)


def turns(y: Floats, amplitude: float, factor: float = 1.2) -> list[int]:
    """Peaks of the swings of a curve: positions from which it fell again after a rise.

    A rise counts from a trough when it is at least `amplitude` high and, for positive values, a
    `factor`; a fall counts when it takes back half of the rise.
    """
    peaks: list[int] = []
    trough, peak, rising = 0, 0, False
    for t in range(1, len(y)):
        if rising:
            if y[t] > y[peak]:
                peak = t
            elif y[peak] - y[t] >= 0.5 * (y[peak] - y[trough]):
                peaks.append(peak)
                trough, rising = t, False
        elif y[t] < y[trough]:
            trough = t
        elif y[t] - y[trough] >= amplitude and (y[trough] <= 0 or y[t] >= factor * y[trough]):
            peak, rising = t, True
    return peaks


def autocorrelation(y: Floats) -> float:
    """Correlation of one value with the next after the trend is taken away; NaN below 16 values.

    Noise gives about 0 (a little less, as the trend follows it), turning back at each step -1.
    """
    if len(y) < 16:
        return float("nan")
    rest = (y - trend(y))[4:-4]  # the trend is not known well at the ends
    variance = float(np.mean(rest**2))
    return float(np.mean(rest[1:] * rest[:-1])) / variance if variance > 0 else float("nan")


def turning(y: Floats) -> float:
    """Share of steps at which a curve crosses its trend: 0.5 for noise, 1 if it turns each time.

    Unlike the correlation it is not swayed by single large values. NaN below 16 values.
    """
    if len(y) < 16:
        return float("nan")
    above = ((y - trend(y)) > 0)[4:-4]
    return float(np.mean(above[1:] != above[:-1]))


def trend(y: Floats) -> Floats:
    """Centred mean over 8 steps (9 values, the outer two by half), ends held.

    An even period: a curve that turns back at each step has a level trend.
    """
    padded = np.concatenate([np.full(4, y[0]), y, np.full(4, y[-1])])
    weights = np.array([0.5, 1, 1, 1, 1, 1, 1, 1, 0.5]) / 8
    return np.asarray(np.convolve(padded, weights, mode="valid"))


def full_batch(view: View) -> bool:
    """Whether every step saw the same data: input and target read alike at all (3 or more) rows.

    Then the curve holds no noise of sampling, and every rise is the optimizer's.
    """
    told = False
    for i in (*view.data, *view.targets):
        sizes = [view.site(m)[:, i] for m in ("rms", "std", "absmax")]
        size = max((float(s[np.isfinite(s)].max(initial=0.0)) for s in sizes), default=0.0)
        for metric in ("rms", "mean", "std"):
            column = view.site(metric)[:, i]
            seen = column[np.isfinite(column)]
            if len(seen) < 3:
                continue
            if float(seen.max() - seen.min()) > 1e-5 * size:
                return False
            told = True
    return told
