"""EF805: the network is trained in evaluation mode."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from ..lang import N_
from ..schema import Finding, Link, Parameter, Severity
from .base import Cause, EvidenceLabel, Remedy, Rule
from .series import Bools, Floats, holds_at_end, largest, median
from .view import View

#: Readings that tell, the last ones among them; and share of the training's steps.
FEWEST, SHARE = 3, 0.25
#: Share of its weights that move where a network is trained: a head on a frozen body is none.
MOST = 0.5


class EvalWhileTraining(Rule):
    """The network is in `eval()` mode while its optimizer moves it.

    ## What it means
    `model.eval()` was called for a look at held-out data (or by `from_pretrained`), and no
    `model.train()` after it. Dropout drops nothing, and batch norms go by their running
    statistics, which no longer follow: at worst by those they were built with, so that they
    normalise nothing.

    ## Why is this bad?
    Without its norms the network trains as if they were not there, often badly, and without
    dropout it fits the training data more closely than was meant.

    ## How it is measured
    In which mode a root module was called, where a backward pass reached what it made and the
    optimizer moved most of its weights; and how many modules in it act otherwise in training:
    batch norms with running statistics, dropout with a rate above 0. A network without any is not
    spoken of, nor a teacher, a perceptual loss or a frozen body, which nobody moves; and a call in
    training mode in the same step excuses those in eval mode (an attack on the inputs).

    ## Threshold
    Three readings, the last three among them, that stand for a quarter of the steps. With norms
    switched off an error where training came to grief, else a warning; dropout alone: a warning.
    Info where only norms are in eval mode, in a network in training mode, and their weights are
    trained: freezing their statistics is a usual choice with small batches.

    ## What to do
    Call `model.train()` at the start of each epoch, and after each evaluation.
    """

    code = "EF805"
    name = "eval-while-training"
    title = N_("Trained in evaluation mode")
    sentence = N_("The network is trained in evaluation mode{at}")
    mild = N_("The network, or its norms, are trained in evaluation mode{at}")
    link = N_("trained in evaluation mode")
    labels = (
        EvidenceLabel("off_norms", N_("batch norms that go by running statistics"), fact=True),
        EvidenceLabel("off_dropouts", N_("dropouts that drop nothing"), fact=True),
        EvidenceLabel("time_share", N_("share of the training"), "share"),
    )
    points_at = "inputs"
    stage = 15
    standing = True
    leads_to = (
        *("EF101", "EF102", "EF201", "EF202", "EF203", "EF205", "EF206", "EF301", "EF302"),
        *("EF401", "EF402", "EF403", "EF404", "EF501", "EF703"),
    )
    overrules = True
    remedies = (Remedy("Call model.train() at the start of each epoch and after each evaluation."),)
    if_cause = remedies[0]
    causes = (
        Cause("norms-off", N_("batch norms normalise by statistics that no longer follow")),
        Cause("dropout-off", N_("dropout is switched off"), harmless=True),
        Cause(
            "norms-frozen",
            N_("only norms are in eval mode"),
            Remedy(
                "Freeze what is not to be trained altogether (requires_grad_(False)), or put the "
                "norms back into train mode."
            ),
            harmless=True,
        ),
    )

    def check(self, view: View) -> Iterable[Finding]:
        if view.foreseen:
            return
        told = False
        for root in dict.fromkeys(s.root for s in view.sites if s.root):
            for finding in self._root(view, root):
                told = True
                yield finding
        if not told:
            yield from self._norms(view)

    def _root(self, view: View, root: str) -> Iterable[Finding]:
        ids = [s.id for s in view.sites if s.root == root]
        norms, drops = (_least(view.site(m)[:, ids]) for m in ("off_norms", "off_dropouts"))
        own = [p for p in view.run.params if p.name.startswith(f"{root}.")]  # frozen ones too
        known = np.isfinite(norms) & _moves(view, own)
        off = known & (norms + drops > 0)
        share = float(view.time_share(off, known))
        if off.sum() < FEWEST or share < SHARE or not holds_at_end(off, known, FEWEST):
            return
        with_norms = bool((norms[off] > 0).any())
        bad = with_norms and view.harmed
        cause = "norms-off" if with_norms else "dropout-off"
        rows = np.flatnonzero(off)
        yield self.finding(
            Severity.error if bad else Severity.warning,
            sites=[i for i in ids if with_norms and view.sites[i].op == "batch_norm"],
            steps=view.over(rows),
            evidence={
                "off_norms": float(median(norms[off])),
                "off_dropouts": float(median(drops[off])),
                "time_share": share,
                "readings": float(len(rows)),
            },
            threshold={"time_share": SHARE},
            cause=cause,
            chain=(Link("cause", cause, None), Link("event", self.code, view.at(rows[0]))),
        )

    def _norms(self, view: View) -> Iterable[Finding]:
        """Norms by themselves, by what they took no statistics of."""
        read, pooled = np.isfinite(view.site("absmax")), np.isfinite(view.site("pooled"))
        found = [
            i
            for i in view.of_kind("norm")
            if i in view.trunk
            and view.sites[i].op == "batch_norm"
            and read[:, i].sum() >= FEWEST
            and not pooled[:, i].any()
            and _moves(view, [p for p in view.run.params if p.name in view.sites[i].params]).sum()
            >= FEWEST
        ]
        if found:
            yield self.finding(
                Severity.info,
                sites=found,
                steps=view.over(np.flatnonzero(read[:, found].any(axis=1))),
                evidence={"off_norms": float(len(found))},
                cause="norms-frozen",
                chain=(Link("cause", "norms-frozen", None, found[0]),),
            )


def _least(m: Floats) -> Floats:
    """[T] of [T, S]: one call in training mode is enough."""
    return -largest(-m, axis=1)


def _moves(view: View, params: Sequence[Parameter]) -> Bools:
    """[T] does the update move most of these weights?"""
    size = np.array([p.size for p in params], dtype=np.float64)
    moved = view.param("update")[:, [p.id for p in params]] > 0
    return np.asarray((moved @ size >= MOST * size.sum()) & moved.any(axis=1))
