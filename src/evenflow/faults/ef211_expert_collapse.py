"""EF211: a router sends all it is given to the same few experts."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..network import MIXING, PRODUCTS, by_key
from ..schema import Finding, Link, Severity
from .base import Cause, EvidenceLabel, Remedy, Rule
from .series import first_of_last_spell, holds_at_end, last_few, ratio
from .view import View

#: How far the choices are from even (0) towards always the same (1).
EXCESS = 0.9
#: Share of the experts that are hardly ever chosen.
IDLE = 0.8
#: Readings that tell.
FEWEST = 4
#: Through these a choice cannot be of experts any more: it is scored.
_SCORED = frozenset({"log", "log_softmax", "logsumexp", "log2"})
_LIGHT = ("softmax", "dropout", "join", "other", "norm")


class ExpertCollapse(Rule):
    """A router sends nearly everything to the same few experts.

    ## What it means
    In a mixture of experts each token is worked on by the experts that its router scores highest.
    An expert that is chosen more often learns faster, so it is chosen more often still: in the end
    one (or as many as are chosen at once) does all the work, and the others are never trained.

    ## Why is this bad?
    The network is as small as that one expert, and pays for all of them. Sources: Shazeer et al.
    2017 (arXiv:1701.06538, section 4: balancing losses), Fedus et al. 2021 (arXiv:2101.03961,
    section 2.2: Switch), Zoph et al. 2022 (arXiv:2202.08906: the router's z-loss).

    ## How it is measured
    Where topk, argmax or max choose along the last axis of what a layer scored, and a product
    weighs computed values by the result (mixtures written by hand too): the share of a batch's
    choices that fall on the k experts most chosen, k of K at a time, from k/K (even) to 1; the
    share of experts chosen less than a tenth as often as evenly; the load, which is the first over
    k/K; the entropy of the router's softmax. Read off batches of at least 4 choices an expert.

    ## Threshold
    Nine tenths of the way from even to always the same, or four experts in five idle, in the last
    three readings of four or more. Calibrated on digits (8 experts of two units, one or two at a
    time, 300 steps, seeds 100 and 101): balanced, the most chosen end at 23 to 45 % of the choices
    and held-out accuracy at 94 to 97 %; with the balancing loss subtracted, or a slanted start, at
    98 to 100 % and 73 to 78 % (two at a time: 89 to 90 %). Mixtures that train well unbalanced
    (five ways to write them, the same seeds) went .8 of the way at most. Error where training came
    to grief.

    ## What to do
    A balancing loss (K · Σ share of tokens · mean probability, weight .01), noise on the scores
    while training, a router that starts small with rows that differ, a lower rate for it.
    """

    code = "EF211"
    name = "expert-collapse"
    title = N_("Experts have collapsed")
    sentence = N_("The router sends nearly everything to the same experts{at}")
    link = N_("experts collapsed")
    labels = (
        EvidenceLabel("favoured", N_("choices of the experts most chosen"), "share"),
        EvidenceLabel("load", N_("load of those over an even one")),
        EvidenceLabel("idle", N_("experts hardly ever chosen"), "share"),
        EvidenceLabel("entropy", N_("evenness of the router's choice (1 is even)"), fact=True),
        EvidenceLabel("experts", N_("experts"), fact=True),
    )
    stage = 85
    leads_to = (
        *("EF101", "EF104", "EF201", "EF202", "EF204", "EF205", "EF301", "EF401", "EF404"),
        *("EF704", "EF807"),
    )
    overrules = True
    remedies = (
        Remedy(
            "Add a balancing loss: number of experts times the sum over experts of (share of "
            "tokens sent to it times its mean probability), weight 0.01.",
            then=N_("Add noise to the router's scores while training."),
        ),
        Remedy("Start the router small and at random, and let its rate be no higher than others'."),
    )
    causes = (
        Cause(
            "identical-rows",
            N_("rows of the router's weight that start alike"),
            Remedy("Draw the router's weight at random (standard deviation 0.02, say)."),
            sure=True,
        ),
    )

    def check(self, view: View) -> Iterable[Finding]:
        share, even, idle = (view.while_sound(m) for m in ("favoured", "even", "idle"))
        known = ~np.isnan(share)
        excess = ratio(share - even, 1 - even)
        bad = (excess >= EXCESS) | (idle >= IDLE)
        held = holds_at_end(bad, known, 3) & (known.sum(axis=0) >= FEWEST)
        routers = {
            site: scores
            for site in map(int, np.flatnonzero(held))
            if (scores := scored_by(view, site)) is not None and weighs_experts(view, site)
        }
        causes = by_key(routers, lambda i: "identical-rows" if _alike(view, routers[i]) else "")
        for cause, sites in causes.items():
            first = min(sites, key=lambda i: (view.depth[i], i))
            row = first_of_last_spell(bad[:, first], known[:, first])
            fair, most = float(last_few(even)[first]), last_few(excess)[first] >= EXCESS
            yield self.finding(
                Severity.error if view.harmed else Severity.warning,
                sites=(first, *(i for i in sites if i != first)),
                steps=view.over([row, view.ruin - 1]),
                evidence={
                    "favoured": float(last_few(share)[first]),
                    "load": float(last_few(share)[first]) / fair,
                    "idle": float(last_few(idle)[first]),
                    "entropy": float(view.recent("entropy")[first]),
                    "experts": float(view.sites[first].shape[-1]),
                    "sites_affected": len(sites),
                },
                threshold={"favoured": fair + EXCESS * (1 - fair)} if most else {"idle": IDLE},
                cause=cause,
                chain=(Link("cause", cause, None, routers[first]),) if cause else None,
            )


def scored_by(view: View, site: int) -> int | None:
    """Id of the layer that made the scores chosen from; None if none did: keys, distances."""
    ahead, seen = [site], {site}
    found = None
    while ahead:
        at = view.sites[ahead.pop()]
        if at.kind in MIXING:
            if at.kind != "affine" or not view.weights[at.id]:
                return None
            if at.shape[-1:] == view.sites[site].shape[-1:]:
                found = at.id
        elif at.kind in _LIGHT or at.id == site:
            ahead += [p for p in view.parents(at.id) if p not in seen]
            seen.update(view.parents(at.id))
    return found


def weighs_experts(view: View, site: int) -> bool:
    """Whether what was chosen weighs values that layers of their own have computed."""
    own = view.ancestors([site])
    ahead, seen = [site], {site}
    while ahead:
        for reader in view.consumers[ahead.pop()]:
            at = view.sites[reader]
            others = [p for p in view.parents(reader) if p not in seen]
            product = at.op in PRODUCTS or at.kind == "matmul"
            if product and any(_computed(view, p, own) for p in others):
                return True
            if reader not in seen and at.kind in _LIGHT and at.op not in _SCORED:
                ahead.append(reader)
            seen.add(reader)
    return False


def _computed(view: View, site: int, own: frozenset[int]) -> bool:
    """Whether a layer that the scores do not depend on has a part in a site."""
    return any(view.sites[i].kind in MIXING for i in view.ancestors([site]) - own)


def _alike(view: View, scores: int) -> bool:
    """Whether the router's rows were the same at birth."""
    weights = view.weights[scores]
    alike, size = (view.param(m)[:1, list(weights)] for m in ("alike", "weight"))
    return bool(((alike >= 0.999) | (size == 0)).any())
