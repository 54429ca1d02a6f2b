"""EF407: the loss falls on samples that were seen before, and on no others."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Link, Severity
from .base import EvidenceLabel, Remedy, Rule
from .chance import entropy
from .curve import guessing
from .data import samples
from .epochs import Stairs, lengths, stairs
from .series import Floats
from .view import View

#: Loss of the first epoch's later half over that of guessing, at least: nothing carried over.
FRESH = 0.95
#: Share of the loss of guessing that is left at the end, at most: what was seen is known.
LEFT = 0.8
#: Share of the fall that lies between epochs, at least.
BETWEEN = 0.7
#: Readings of samples that come again, at least, and of some before that do not.
FEWEST = 3


class Memorising(Rule):
    """The loss falls only when samples come again: they are learned by heart, one by one.

    ## What it means
    While each sample was seen for the first time, the loss stayed at that of a guess. Then it falls
    from epoch to epoch, by steps: what the network learns of one sample tells it nothing of
    another. Labels that do not belong to their inputs (shuffled apart, joined by the wrong key,
    shifted by one), inputs that say nothing of the label, or far too few samples for the network.

    ## Why is this bad?
    The curve looks like success, down to a loss of 0, and the network is no better than a guess on
    anything new. No rate, architecture or longer training changes that.

    ## How it is measured
    A sample's bits tell whether it was read before; from the shares of those that come again
    follows how many steps an epoch has. Within the first epoch each sample is new, so its loss is
    that of held-out data: it is held against the loss of guessing (the entropy of the labels, or
    the variance of the target). A straight line through each epoch of the loss of every step then
    splits the whole fall into what falls within epochs and what falls between one's end and the
    next one's start. No evaluation by the script is needed. Not judged: epochs of fewer than 8
    steps, fewer than three epochs, samples that are changed each time they come (augmentation) or
    that are alike from the start, losses that measure no progress.

    ## Threshold
    The later half of the first epoch has 95 % or more of the loss of guessing, the end 80 % or
    less, and 70 % or more of the fall lies between epochs, by three standard errors of the noise:
    an error. A network that learns falls within epochs as well, however slowly: of its fall an
    epoch's P steps leave about 1/P between. Calibrated on digits and diabetes, right and shuffled
    (`docs/decisions.md`, 82): shuffled classes have 100 %, right ones 51 % or less.

    ## What to do
    Print a few inputs beside their labels, as the loss function gets them, and follow both back to
    where they were put together; then hold the loss of held-out samples against that of a guess.
    """

    code = "EF407"
    name = "memorising"
    title = N_("Samples are learned by heart")
    sentence = N_(
        "The loss falls only where samples come again{at}: nothing carries over to new ones"
    )
    link = N_("learned by heart")
    labels = (
        EvidenceLabel("fresh", N_("loss of new samples over that of guessing"), "share"),
        EvidenceLabel("between", N_("share of the fall that lies between epochs"), "share"),
        EvidenceLabel("left", N_("loss at the end over that of guessing"), "share", fact=True),
        EvidenceLabel("epoch", N_("steps of an epoch"), fact=True),
        EvidenceLabel("epochs", N_("whole epochs"), fact=True),
    )
    stage = 343
    standing = True
    leads_to = ("EF401", "EF404")
    remedies = (
        Remedy(
            "Print a few inputs beside their labels, as the loss function gets them, and follow "
            "both back to where they were put together (one shuffled, sorted or filtered alone?)."
        ),
        Remedy(
            "Hold the loss of held-out samples against that of a guess after each epoch; if the "
            "labels are right, there are too few samples: augment, weight decay, a smaller network."
        ),
    )
    if_cause = remedies[0]

    def check(self, view: View) -> Iterable[Finding]:
        if view.ruined or view.unmeasured or view.loss.young:
            return
        guess = guess_of(view)
        if not guess > 0 or not view.loss.end <= LEFT * guess:
            return
        for i in [i for i in view.data if i in view.trunk or not view.consumers[i]]:
            found = _stairs(view, i)
            if found is None or not found.jumps > 0:
                continue
            fresh, between = found.fresh / guess, found.jumps / (found.jumps + max(found.within, 0))
            sure = found.jumps - found.doubt >= BETWEEN * (found.jumps + found.within)
            if fresh < FRESH or between < BETWEEN or not sure:
                continue
            yield self.finding(
                Severity.error,
                sites=(i,),
                steps=(0, found.epoch * found.epochs - 1),
                evidence={
                    "fresh": fresh,
                    "between": between,
                    "left": view.loss.end / guess,
                    "epoch": found.epoch,
                    "epochs": found.epochs,
                },
                threshold={"fresh": FRESH, "between": BETWEEN},
                chain=(Link("cause", self.code, None, i),),
            )
            return


def guess_of(view: View) -> float:
    """Loss of guessing: of classes the entropy of their labels, where those were read."""
    guess = guessing(view)
    for loss in view.losses:
        labelled = view.classes(loss, "labelled")
        known = np.isfinite(labelled).any(axis=1) if labelled.size else np.zeros(0, dtype=bool)
        if known.any() and np.isfinite(guess):
            size = samples(view, loss)[known]
            mean: Floats = (labelled[known] * size[:, None]).sum(axis=0) / size.sum()
            return min(guess, entropy(mean))
    return guess


def _stairs(view: View, data: int) -> Stairs | None:
    again = view.site("again")[:, data]
    known = np.flatnonzero(np.isfinite(again) & view.sound)
    came = known[again[known] > 0]
    shape = view.sites[data].shape
    if len(came) < FEWEST or np.searchsorted(known, came[0]) < FEWEST or not shape:
        return None
    steps = view.loss.steps
    whole = len(steps) == steps[-1] - steps[0] + 1 and steps[0] == 0  # every step's loss was kept
    if not whole:
        return None
    tried = lengths(again[known], view.steps[known], float(shape[0]))
    return stairs(view.loss.values, tried)
