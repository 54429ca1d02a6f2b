"""EF506: a class that the data have is hardly ever said."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ..lang import N_
from ..schema import Finding, Link, Severity
from .base import EvidenceLabel, Remedy, Rule
from .chance import BY_CLASS, entropy, of_own, seen
from .data import samples
from .series import Floats, median
from .view import View

#: Share of the labels that the most frequent class has.
MOST = 0.8
#: Share of predictions over share of labels below which a class is hardly ever said.
NEVER = 0.15
#: Labels of a class among the batches that never said it; share of all rare labels it makes up.
EXPECTED, RARE = 2.0, 0.5
#: Loss at the end over the entropy of the labels: what is learned of the rare class takes it
#: below, and above 1.5 it is no guess yet.
LEFT, GUESS = 0.5, 1.5
#: Readings that tell; those from this share of the last one's step on are of a trained network.
FEWEST, LATE = 6, 0.25


class RareClass(Rule):
    """The network hardly ever names a class that the data have: another is right nearly always.

    ## What it means
    One class makes up nearly all labels. To answer it always costs no more than the entropy of the
    labels, a small loss that looks like success, and that is what the network does.

    ## Why is this bad?
    The accuracy is high and worth nothing: the rare class, mostly the one that matters, is never
    found. Where only the order of scores counts (ranking, calibrated probabilities) all may be
    well: then choose a threshold of its own on held-out data.

    ## How it is measured
    Of cross entropies with up to 32 classes, and of binary ones with one output, or one a pixel:
    the shares of classes among the labels and among the predictions (the largest score; a
    probability above a half). Hardly ever said: less than 15 % as often as it stands among the
    labels, in readings after the first quarter of the way to the last one. The entropy is that of
    the labels read, and the loss is its mean over the last quarter of the steps.

    ## Threshold
    A warning where one class has 80 % of the labels or more, at least two labels of classes hardly
    ever said stood in the batches of these readings, these are half of all other labels or more,
    and the loss is 0.5 to 1.5 times the entropy. Calibrated on two normal
    clouds (ten features, 32 hidden units, Adam 1e-3, ten epochs of 4000 in batches of 64, shares of
    1, 2, 5 and 10 %, 0 to 6 deviations apart, seeds 100, 101): where 0.54 of the entropy or more
    is left, 0 to 30 % of the rare class are found (half of it at 10 %, where it is said as often),
    and at 0.39 or less more than 60 %.

    ## What to do
    Weigh the classes (weight= of cross_entropy, pos_weight= of the binary one), sample the rare
    class more often, or lower the threshold; judge by balanced accuracy or average precision.
    """

    code = "EF506"
    name = "rare-class"
    title = N_("A rare class is hardly ever said")
    sentence = N_("A class that the data have is hardly ever said{at}")
    link = N_("rare class not said")
    labels = (
        EvidenceLabel("class", N_("the class, counted from 0"), fact=True),
        EvidenceLabel("share", N_("its share of the labels"), "share"),
        EvidenceLabel("said", N_("its share of the predictions"), "share", fact=True),
        EvidenceLabel("classes_unsaid", N_("classes hardly ever said"), fact=True),
        EvidenceLabel("most_frequent", N_("share of the most frequent class"), "share"),
        EvidenceLabel("entropy_left", N_("loss against the entropy of the labels"), "share"),
    )
    stage = 345
    standing = True
    leads_to = ("EF401", "EF404")
    remedies = (
        Remedy(
            "Weigh the classes: weight= of cross_entropy, pos_weight= of "
            "binary_cross_entropy_with_logits (frequent over rare labels, or its root)."
        ),
        Remedy("Or draw the rare class more often: WeightedRandomSampler."),
        Remedy(
            "Choose the threshold on held-out data, and judge by balanced accuracy or average "
            "precision instead of accuracy."
        ),
    )

    def check(self, view: View) -> Iterable[Finding]:
        if view.ruined or view.unmeasured or view.loss.young:
            return
        for loss in view.losses:
            told = _shares(view, loss) if loss in view.trunk else None
            if told is None or not MOST <= told.labels.max() < 1:
                continue  # of a single class none is rare
            unsaid = np.flatnonzero(told.said < NEVER * told.labels)
            rare = float(told.labels[unsaid].sum())
            if told.late * rare < EXPECTED or rare < RARE * (1 - told.labels.max()):
                continue
            left = _mean_loss(view, loss) / entropy(told.labels)
            if not LEFT <= left <= GUESS:
                continue
            worst = int(unsaid[told.labels[unsaid].argmax()])
            yield self.finding(
                Severity.warning,
                sites=(loss,),
                steps=view.over(told.rows),
                evidence={
                    "class": worst,
                    "share": float(told.labels[worst]),
                    "said": float(told.said[worst]),
                    "classes_unsaid": len(unsaid),
                    "most_frequent": float(told.labels.max()),
                    "entropy_left": left,
                },
                threshold={"most_frequent": MOST, "entropy_left": LEFT},
                chain=(Link("cause", self.code, None, loss),),
            )


def _mean_loss(view: View, loss: int) -> float:
    """Of the last quarter of the steps, as the function gives it: scripts weigh it afterwards. The
    mean, as batches without a rare label lose next to nothing."""
    y = view.loss.finite
    weight = float(median(of_own(view, loss)))
    return float(y[-max(1, len(y) // 4) :].mean()) / weight


def _each(view: View, loss: int) -> float:
    """Labels that a sample has: one, or one a pixel or token."""
    shape = seen(view, loss)
    return float(np.prod(shape[2:] if view.sites[loss].op in BY_CLASS else shape[1:]))


class Shares(NamedTuple):
    """Shares of classes: among all labels read, and among the predictions of later readings, of
    which there are so many."""

    labels: Floats
    said: Floats
    late: float
    rows: np.ndarray


def _shares(view: View, loss: int) -> Shares | None:
    labelled, said = view.classes(loss, "labelled"), view.classes(loss, "said")
    known = np.isfinite(labelled).any(axis=1) & view.sound if labelled.size else view.sound[:0]
    rows = np.flatnonzero(known)
    if len(rows) < FEWEST or said.shape != labelled.shape:
        return None
    size = samples(view, loss)[rows] * _each(view, loss)
    late = view.steps[rows] >= view.steps[rows[-1]] * LATE

    def mean(share: Floats, of: np.ndarray) -> Floats:
        return np.asarray((share[rows][of] * size[of, None]).sum(axis=0) / size[of].sum())

    every = np.ones(len(rows), dtype=np.bool_)
    return Shares(mean(labelled, every), mean(said, late), float(size[late].sum()), rows)
