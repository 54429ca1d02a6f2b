"""EF505: each batch holds other targets than the next: the data come in order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ..lang import N_
from ..schema import Finding, Link, Severity
from .base import EvidenceLabel, Remedy, Rule
from .chance import of_spread, seen
from .curve import WON, before_training
from .data import samples
from .series import Bools, Floats
from .view import View

#: Share of the targets' variance that is left within batches.
PURE = 0.2
#: Batches that tell, and degrees of freedom within them.
FEWEST, FREEDOM = 6, 24
#: Share of steps from one batch to the next that change the mean by more than half of a deviation
#: of all means, if they come in order: .7 at random, 1 if two kinds take turns.
ORDERED = 0.35
#: Share of the range of batches' means within which one has come back to where it was, and beyond
#: which it was away.
BACK, AWAY = 0.1, 0.5
#: Times that the run is longer than one way through the data, as far as that can be told.
AGAIN = 1.3
#: Share of the loss before training that is left, on average over the last third, for an error.
LOST = 0.5


class SortedData(Rule):
    """Targets differ far less within a batch than between batches: the data come sorted.

    ## What it means
    Each batch holds one class, or one stretch of the target, and the next another: files read
    folder by folder, a table sorted by its label, `shuffle=False`, a sampler that groups by class.

    ## Why is this bad?
    Every stretch of equal targets teaches to answer just that, and the next one unlearns it. The
    loss looks small between borders and jumps at each; biases swing, units die, rates that suit
    shuffled data are too high, and held-out accuracy stays near that of a guess.

    ## How it is measured
    One number a sample of the targets that the loss function was given (a class's index, a
    regression's target, of one-hot rows their class): its variance within batches against that of
    the batches' means, less what batches of this size differ by at random. Micro-batches of one
    step count as one batch, batches below half of the usual size (the last of an epoch) are left
    out, and so are losses that measure no progress (reinforcement learning, GAN).

    ## Threshold
    Less than 20 % of the variance within batches, in 6 batches or more. Classes in order (from one
    batch to the next the mean changes less than at random): an error. Regressions in order, and
    batches of one class each in any order (a sampler that groups): an error, a warning or an info
    where, over the last third of the steps, more than 50 %, more than 25 % or less is left of the
    loss of guessing; a time series read in order may be learned all the same. Targets that
    are no whole numbers by type and in no order are left out, as ones in turn with zeros are made.
    Each stretch seen once and never again (tasks that come one after the other): an info;
    regressions by recurrent layers, which may be fed in order on purpose: an info. Calibrated on
    digits, wine, tumours and diabetes in batches of 4 to 256: sorted they have 10 % or less within
    batches, shuffled (200 times each) 73 % or more, as they come (wine is sorted) 78 % or more.

    ## What to do
    DataLoader(..., shuffle=True), or shuffle the table once before it is cut into batches.
    """

    code = "EF505"
    name = "sorted-data"
    title = N_("The data come sorted")
    sentence = N_("The targets are nearly alike within a batch and differ between batches{at}")
    link = N_("data sorted")
    labels = (
        EvidenceLabel("within", N_("share of the targets' variance within batches"), "share"),
        EvidenceLabel("mean_loss_left", N_("mean loss against guessing"), "share"),
    )
    stage = 22
    standing = True
    overrules = True
    leads_as_error = True
    leads_to = (
        *("EF101", "EF102", "EF103", "EF104", "EF201", "EF202", "EF203", "EF205", "EF206"),
        *("EF301", "EF302", "EF401", "EF402", "EF403", "EF404", "EF504", "EF506", "EF703"),
    )
    remedies = (
        Remedy(
            "Shuffle: DataLoader(..., shuffle=True), or order = torch.randperm(len(x)) before "
            "each epoch."
        ),
        Remedy("A sampler of your own: let each batch hold all classes in their usual shares."),
        Remedy("Data too large to shuffle: shuffle the files, and draw from a buffer of samples."),
    )
    if_cause = remedies[0]

    def check(self, view: View) -> Iterable[Finding]:
        # a sorted target's scale moves as that of a network's own estimate does
        if view.objective not in ("", "moving-target") or view.loss.young:
            return
        for loss in view.losses:
            target = view.target_of(loss)
            known = _batches(view, loss, target) if target >= 0 and loss in view.trunk else None
            if known is None:
                continue
            within = _within(view, loss, target, known)
            if not within < PURE:
                continue
            left = _mean_left(view, loss, target, known)
            severity = _severity(view, target, _order(view, loss, target, known), left)
            if severity is None:
                continue
            yield self.finding(
                severity,
                sites=(loss, target),
                steps=view.over(np.flatnonzero(known)),
                evidence={"within": within, "mean_loss_left": left, "batches": int(known.sum())},
                threshold={"within": PURE},
                chain=(Link("cause", self.code, None, loss),),
            )
            return


class Order(NamedTuple):
    """How batches follow each other: does the mean of one lie near that of the one before, and
    does it ever come back to where it was?"""

    ordered: bool
    returns: bool


def _sizes(view: View, loss: int, target: int) -> Floats:
    return samples(view, loss, float((*view.sites[target].shape, 0)[0]))


def _batches(view: View, loss: int, target: int) -> Bools | None:
    """[T] batches that can be judged; None if they are too few, or too small."""
    size = _sizes(view, loss, target)
    known = np.isfinite(view.site("label_mean")[:, target]) & view.sound
    if not known.any():
        return None
    known &= size >= max(2.0, float(np.median(size[known])) / 2)
    enough = known.sum() >= FEWEST and (size[known] - 1).sum() >= FREEDOM
    return known if enough else None


def _within(view: View, loss: int, target: int, known: Bools) -> float:
    """Share of the variance that lies within batches; NaN where there is none at all."""
    n = _sizes(view, loss, target)[known]
    mean, rms = (view.site(m)[known, target] for m in ("label_mean", "label_rms"))
    inside = float((np.maximum(rms**2 - mean**2, 0.0) * n / (n - 1)).mean())
    between = max(float(mean.var(ddof=1)) - inside / float(n.mean()), 0.0)
    whole = inside + between
    return inside / whole if whole > 1e-12 * float((rms**2).mean()) else float("nan")


def _order(view: View, loss: int, target: int, known: Bools) -> Order:
    mean, steps = view.site("label_mean")[known, target], view.steps[known]
    change = np.diff(mean)[np.diff(steps) == 1]
    ordered = len(change) >= 3 and bool((np.abs(change) > 0.5 * mean.std()).mean() < ORDERED)
    far = float(np.ptp(mean))
    apart = np.abs(mean[:, None] - mean[None, :])
    away, back = apart > AWAY * far, apart < BACK * far
    rows = range(len(mean))  # from i to j and back again
    returns = any(away[i, j] and back[i, j + 1 :].any() for i in rows for j in rows[i + 1 :])
    if view.unmeasured:
        return Order(ordered, returns)
    # the first steps alone may have been read: if all goes on as it began, is the run longer than
    # it takes to come by everything once?
    classes = (*seen(view, loss)[1:2], 0)[0] if _classes(view, target) else 0
    covered = min(1.0, (far + 1) / classes) if classes > 1 else 1.0
    return Order(ordered, returns or view.loss.steps[-1] > AGAIN * steps[-1] / covered)


def _mean_left(view: View, loss: int, target: int, known: Bools) -> float:
    """Mean loss of the last third of the steps over that of guessing or, where it is not known,
    that before training; medians pass over the jumps at the borders."""
    y = view.loss.finite
    mean, rms = (view.site(m)[known, target] for m in ("label_mean", "label_rms"))
    whole = float(np.sqrt(max(0.0, float((rms**2).mean() - mean.mean() ** 2))))
    guess = of_spread(view.sites[loss].op, whole)
    column = len(view.sites[target].shape) < 2 or view.sites[target].shape[1] == 1
    scale = guess if column and guess > 0 else before_training(view)
    return float(y[-max(1, len(y) // 3) :].mean()) / scale


def _severity(view: View, target: int, order: Order, left: float) -> Severity | None:
    if not order.ordered and not view.sites[target].dtype.startswith("int"):
        return None
    if not order.returns:
        return None if view.unmeasured else Severity.info
    if order.ordered and _classes(view, target):
        return Severity.error
    on_purpose = bool(view.unrolled) or any(view.sites[i].kind == "recurrent" for i in view.trunk)
    if on_purpose and not _classes(view, target):
        return Severity.info
    if left > LOST:
        return Severity.error
    return Severity.warning if left > WON else Severity.info


def _classes(view: View, target: int) -> bool:
    """Whether every target is a whole number, as a class is."""
    whole = view.site("integer")[:, target]
    return bool((whole[np.isfinite(whole)] == 1).all())
