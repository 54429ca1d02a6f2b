"""EF204: every query looks at one key."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Severity
from .base import EvidenceLabel, Remedy, Rule
from .remedies import LOWER_RATE, WARM_UP
from .series import first_of_last_spell, holds_at_end, latest, median
from .start import before, too_large
from .view import View

#: Mean entropy of the attention, relative to even attention.
ENTROPY = 0.2
#: Scores that make a softmax one-hot in all but name.
SCORE = 20.0


class AttentionCollapse(Rule):
    """Attention has become one-hot: its entropy is next to zero in every head.

    ## What it means
    The scores q·k/√d have grown so large that the softmax puts all weight on one key. Its slope
    is then nearly zero, so queries and keys get no gradient to change their mind.

    ## Why is this bad?
    The layer copies one token and has stopped learning where to look. Training of transformers
    that lose their attention entropy is known to diverge (Zhai et al. 2023, σReparam).

    ## How it is measured
    Entropy of each row of attention weights over log(number of keys), mean over heads and
    queries, and the largest score. One sharp head among even ones is how attention should work,
    and is not reported.

    ## Threshold
    Mean entropy below 0.2 and a largest score above 20, in the last two readings (these are
    taken on fewer steps), with loss still to win. Healthy encoders of the zoo's calibration half
    are at 0.65 and above, sick ones at 0.01.

    ## What to do
    Start queries and keys smaller, normalise them (QK-norm), use σReparam, warm the learning
    rate up, scale scores by 1/√d.
    """

    code = "EF204"
    name = "attention-collapse"
    title = N_("Attention collapse")
    sentence = N_("Attention has collapsed{at}")
    means = N_("each query looks at next to one key")
    link = N_("attention collapsed")
    labels = (
        EvidenceLabel("entropy", N_("evenness of attention (1: all keys alike, 0: one key alone)")),
        EvidenceLabel("score", N_("largest attention score")),
        EvidenceLabel("attentions", N_("attentions")),
    )
    stage = 300
    leads_to = ("EF401", "EF404")
    remedies = (
        Remedy(
            "Normalise queries and keys (QK-norm), or reparametrise their weights by the "
            "spectral norm (sigma-Reparam).",
            by=("attention=",),
        ),
        Remedy(
            WARM_UP.text,
            then=LOWER_RATE.text,
            by=(
                "warmup",
                "lr=x0.",
            ),
        ),
        Remedy(
            "Check that scores are divided by sqrt(d) and that the mask leaves more than one key."
        ),
    )

    def check(self, view: View) -> Iterable[Finding]:
        if view.converged:
            return
        entropy = view.while_sound("entropy")
        score = view.while_sound("logit_max")
        known = ~np.isnan(entropy)
        bad = (entropy < ENTROPY) & ~(score < SCORE)
        held = holds_at_end(bad, known, 2)
        # a softmax that is the answer itself is sharp when it is right
        held &= np.array([s.id in view.inside for s in view.sites], dtype=np.bool_)
        if not held.any():
            return
        late = median(entropy[view.late])
        late = np.where(np.isnan(late), latest(entropy), late)
        ids = sorted(map(int, np.flatnonzero(held)), key=lambda i: (view.depth[i], late[i], i))
        top = ids[0]
        row = first_of_last_spell(bad[:, top], known[:, top])
        born = row == int(np.flatnonzero(known[:, top])[0])
        cause = "EF602" if born and too_large(view, before(view, top)) else ""
        total = int((known.any(axis=0)).sum())
        yield self.finding(
            Severity.error if view.stuck and len(ids) * 2 >= total else Severity.warning,
            sites=ids,
            steps=view.over([row, view.ruin - 1]),
            evidence={
                "entropy": float(late[top]),
                "score": float(latest(score)[top]),
                "sites_affected": len(ids),
                "attentions": total,
            },
            threshold={"entropy": ENTROPY, "score": SCORE},
            cause=cause,
            cause_at=top,
        )
