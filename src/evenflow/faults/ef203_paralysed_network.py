"""EF203: saturated, with updates too small to leave."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..schema import Finding, Link, Severity
from .base import Remedy, Rule, Unless
from .ef201_saturated_activation import LEFT, SHARE, hidden
from .profile import Profile
from .remedies import SMOOTH, STANDARDISE
from .series import Bools, first_of_last_spell, holds_at_end, median
from .view import View

#: To leave, weights must shrink by half or more; a tenth, all told, is out of its reach.
REACH = 0.1


class ParalysedNetwork(Rule):
    """Activations are saturated and the updates before them are too small to bring them back.

    ## What it means
    Large weights drive the activations into their flat parts; the flat parts stop the gradient;
    without gradient the weights stay large. The network holds itself fast.

    ## Why is this bad?
    Saturation that training can leave costs time. Paralysis does not end by itself.

    ## How it is measured
    A hidden activation with half of its elements saturated (as EF201), whose layer gets
    relative updates ‖Δw‖ / ‖w‖, as the optimizer applied them, too small to move it in this run.

    ## Threshold
    Saturation of half the elements (EF201), and updates so small that a thousand of them, or a
    whole run's if shorter, all the same way, would change the weights by less than a tenth;
    both in the last three readings and with 30 % of the loss left. To leave its flat part a
    unit's weights must shrink by far more than that.

    ## What to do
    Start again with smaller weights or scaled inputs; L2 decay shrinks the weights that hold
    the units fast; normalisation before the activation keeps it from happening.
    """

    code = "EF203"
    name = "paralysed-network"
    title = N_("Paralysed network")
    sentence = N_("The network is paralysed{at}")
    means = N_("saturated, with updates too small to leave that")
    link = N_("paralysed")
    stage = 250
    leads_to = ("EF101", "EF301", "EF401", "EF404")
    remedies = (
        Remedy(
            "Start again: a paralysed net seldom leaves by itself. Use smaller weights "
            "(Xavier, centred LSUV) and a lower learning rate.",
            by=(
                "init=",
                "lr=x0.",
            ),
        ),
        STANDARDISE,
        Remedy(
            "Weight decay (L2) pulls saturated weights back; activations that do not "
            "saturate avoid the state.",
            unless=(Unless("decay relu -sigmoid -tanh"), Unless("decay", SMOOTH)),
            by=(
                "l2=",
                "activation=",
            ),
        ),
    )

    def check(self, view: View) -> Iterable[Finding]:
        if (view.loss.left < LEFT and not view.unmeasured) or not view.layers:
            return
        weak = REACH / float(np.clip(int(view.steps[-1]) if len(view.steps) else 0, 30, 1000))
        share = view.while_sound("saturated")
        p = view.once(Profile)
        inside = hidden(view)
        found: list[tuple[int, int, int, Bools]] = []
        for column, layer in enumerate(p.layers):
            for site in _activations_after(view, layer):
                known = ~np.isnan(share[:, site]) & ~np.isnan(p.update[:, column])
                bad = (share[:, site] >= SHARE) & (p.update[:, column] < weak)
                if inside[site] and holds_at_end(bad, known, 3):
                    row = first_of_last_spell(bad, known)
                    found.append((site, column, row, view.late & known))
        if not found:
            return
        site, column, row, late = found[0]
        layer = p.layers[column]
        first, last = view.over([row, view.ruin - 1])
        yield self.finding(
            Severity.error,
            sites=[f[0] for f in found],
            params=[view.run.params[w].name for w in view.weights[layer]],
            steps=(first, last),
            evidence={
                "saturated": float(median(share[late, site])),
                "update_ratio": float(median(p.update[late, column])),
                "sites_affected": len(found),
                "loss_left": view.loss.left,
            },
            threshold={"saturated": SHARE, "update_ratio": weak},
            cause="EF201",
            chain=(
                Link("cause", "EF201", first, site),
                Link("event", self.code, first, site),
                Link("end", "frozen", last, layer),
            ),
        )


def _activations_after(view: View, layer: int) -> list[int]:
    """The activations a layer feeds, through norms, dropout and one join, before the next layer.

    Not through a second join: down a residual stream a layer feeds all that follow.
    """
    out: set[int] = set()
    todo = [(i, False) for i in view.consumers[layer]]
    seen: set[tuple[int, bool]] = set()
    while todo:
        i, joined = todo.pop()
        join = view.sites[i].kind == "join"
        if (i, joined) in seen or view.weights[i] or (join and joined):
            continue
        seen.add((i, joined))
        if view.sites[i].kind == "activation":
            out.add(i)
        else:
            todo.extend((c, joined or join) for c in view.consumers[i])
    return sorted(out)
