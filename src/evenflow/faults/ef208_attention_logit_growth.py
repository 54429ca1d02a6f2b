"""EF208: attention scores grow and do not level off."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Severity
from .base import EvidenceLabel, Remedy, Rule
from .data import read_by
from .remedies import LOWER_RATE, WARM_UP
from .series import Floats, earliest, last_few, median, ratio
from .view import View

#: Largest score, and times what it was at birth, from which on growth is watched.
SCORE, TIMES = 60.0, 10.0
#: Times the score at birth, from which on it has begun to grow.
BEGUN = 3.0
#: Growth over the second half of the steps against the quarter before it.
RISING = 1.25
#: Mean entropy of the attention over what it was at birth.
SHARPER = 0.7
#: Readings that tell a trend.
FEWEST = 5


class AttentionLogitGrowth(Rule):
    """Attention scores grow from step to step and do not level off.

    ## What it means
    Queries and keys become longer with every update, so the scores q·k/√d grow as the square of
    that, and the softmax over them becomes sharper. Nothing holds them back.

    ## Why is this bad?
    It ends in attention that looks at one key and can no longer change its mind (EF204), and in
    large models in a loss that diverges. Sources: Wortsman et al. 2023 (arXiv:2309.14322, section
    3.1: attention logit growth), Dehghani et al. 2023 (arXiv:2302.05442: why ViT-22B has QK-norm),
    Zhai et al. 2023 (arXiv:2303.06296: σReparam, entropy collapse).

    ## How it is measured
    The largest score of each attention in full readings (of a softmax written by hand: the largest
    that it was given, hidden keys left out): now, at birth, and its median over the second half of
    the steps against that over the quarter before. Beside it the entropy of the attention weights
    against that at birth.

    ## Threshold
    A largest score above 60 and 10 times that at birth, still growing by a quarter as the steps
    double, with the entropy down to 70 % of that at birth, over five readings or more and with
    loss still to win. Transformers of the zoo that train well level off: at 8 to 15 (characters,
    1,500 steps, rates of 3e-3 and 1e-2), and at the edge of what they bear at 22 to 44 (encoder at
    .01; decoder at .03 after a warm-up). With queries and keys at 30 times the rate the scores are
    at 200 to 950 after 150 steps and still grow (2 networks, 3 seeds each).

    ## What to do
    Normalise queries and keys (QK-norm), or use σReparam; a lower rate or a warm-up; decay of the
    query and key weights.
    """

    code = "EF208"
    name = "attention-logit-growth"
    title = N_("Attention scores grow")
    sentence = N_("Attention scores grow without levelling off{at}")
    link = N_("attention scores grew")
    labels = (
        EvidenceLabel("score", N_("largest attention score")),
        EvidenceLabel("score_at_birth", N_("at birth")),
        EvidenceLabel("rising", N_("growth over the last half of the steps")),
        EvidenceLabel(
            "entropy", N_("evenness of attention (1: all keys alike, 0: one key alone)"), fact=True
        ),
        EvidenceLabel("attentions", N_("attentions")),
    )
    stage = 185
    leads_to = ("EF101", "EF104", "EF204", "EF205", "EF301", "EF401", "EF402", "EF403")
    remedies = (
        Remedy(
            "Normalise queries and keys (QK-norm), or reparametrise their weights by the "
            "spectral norm (sigma-Reparam)."
        ),
        Remedy(WARM_UP.text, then=LOWER_RATE.text),
    )

    def check(self, view: View) -> Iterable[Finding]:
        attentions = attending(view)
        if view.converged or not attentions:
            return
        score, entropy = (
            np.where(np.isfinite(m), m, np.nan)[:, attentions]
            for m in (view.while_sound("logit_max"), view.while_sound("entropy"))
        )
        birth, now = earliest(score), last_few(score)
        rising = ratio(*_halves(view, score))
        sharper = ratio(last_few(entropy), earliest(entropy))
        held = (now >= np.fmax(SCORE, TIMES * birth)) & (rising >= RISING) & (sharper <= SHARPER)
        held &= (~np.isnan(score)).sum(axis=0) >= FEWEST
        if not held.any():
            return
        ids = sorted(np.flatnonzero(held), key=lambda k: (-now[k], k))
        top = ids[0]
        row = int(np.flatnonzero(score[:, top] >= BEGUN * birth[top])[0])
        yield self.finding(
            Severity.warning,
            sites=[attentions[k] for k in ids],
            steps=view.over([row, view.ruin - 1]),
            evidence={
                "score": float(now[top]),
                "score_at_birth": float(birth[top]),
                "rising": float(rising[top]),
                "entropy": float(last_few(entropy)[top]),
                "sites_affected": len(ids),
                "attentions": len(attentions),
            },
            threshold={"score": SCORE, "rising": RISING},
        )


def attending(view: View) -> list[int]:
    """Ids of attentions: torch's own, and softmaxes by hand whose weights mix computed values."""
    mixing = frozenset(view.of_kind("matmul"))
    by_hand = (
        i
        for i in view.of_kind("softmax")
        if i in view.inside and not mixing.isdisjoint(read_by(view, i))
    )
    return [i for i in (*view.of_kind("attention"), *by_hand) if i in view.trunk]


def _halves(view: View, score: Floats) -> tuple[Floats, Floats]:
    """The median over the second half of the steps so far, and over the quarter before it."""
    last = view.steps[view.ruin - 1] if view.ruin else 0
    half, quarter = (view.steps > last / k for k in (2, 4))
    return median(score[half]), median(score[quarter & ~half])
