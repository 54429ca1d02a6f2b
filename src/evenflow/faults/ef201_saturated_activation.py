"""EF201: most of an activation's inputs lie where its slope is next to nothing."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..network import reach
from ..schema import Finding, Link, Severity
from .base import Remedy, Rule, Unless
from .remedies import LOWER_RATE, SMOOTH, STANDARDISE
from .series import earliest, first_of_last_spell, holds_at_end, median
from .start import before, too_large
from .view import View

#: Share of saturated elements. DeepDiagnosis (ICSE 2022) speaks at more than half.
SHARE = 0.5
#: Share of the loss that must be left to win.
LEFT = 0.3
#: Above this next to nothing gets through.
MOST = 0.85
#: Share from which on a layer counts as whole where the loss falls without it.
WHOLE = 0.8
#: Share of the training's steps it has to be whole.
ALWAYS = 0.9
#: It stands still where its relative updates are below this share of the heads'.
STILL = 0.25


class SaturatedActivation(Rule):
    """Most of what enters an activation lies past one of its asymptotes.

    ## What it means
    A sigmoid or tanh answers large inputs, of either sign, with nearly the same value, and its
    slope there is below 1 % of its best. (The off side of a rectifier does not count.)

    ## Why is this bad?
    The slope multiplies the layer error. All that lies before a saturated activation gets a
    hundredth of its gradient or less, and the outputs carry a bit a unit where they could carry
    a number.

    ## How it is measured
    Share of elements with |f'(z)| below 1 % of its maximum, at every sampled step. Gates that
    feed the loss directly (a sigmoid before a cross entropy) saturate when they are right, and
    are left out. So is one that began in its slope and saturated by half as it learned (narrow
    tanh layers do: up to 74 %). Once less than 30 % of the loss is left to win, confident units
    are no fault, but a head may have learned alone, on the random features of a layer that
    stands still: there the relative updates |dw| / |w| of the layer before the activation are
    held against those of the heads.

    ## Threshold
    Half of the elements (DeepDiagnosis, ICSE 2022) at birth and in the last three readings, or
    85 % (TheDeepChecker's ρ) in the last three. An error from 85 % on where the loss is stuck.
    Sick nets of the zoo's calibration half have 85 % to 100 % from birth. Where less than 30 %
    of the loss is left: a warning from 80 % on for 90 % of the training's steps and in the last
    three readings, if the layer's relative updates are below a quarter of the heads'. Such nets
    there have 82 % to 87 % at every reading and 0.02 to 0.03 of the heads' updates; the one
    healthy net with much saturation has 61 % to 74 %, only late, and 1.7 to 2.1 of them.

    ## What to do
    Scale the inputs (mean 0, deviation 1), start with smaller weights, normalise before the
    activation, lower the learning rate if the saturation came during the training.
    """

    code = "EF201"
    name = "saturated-activation"
    title = N_("Saturated activation")
    sentence = N_("The activation is saturated{at}")
    means = N_("on its flat part, where hardly any gradient passes")
    link = N_("saturated")
    stage = 230
    leads_to = ("EF101", "EF104", "EF203", "EF205", "EF401", "EF404")
    remedies = (
        Remedy(
            "Start again with smaller weights for this layer (Xavier for tanh, centred "
            "LSUV for deep sigmoid nets).",
            by=("init=",),
        ),
        STANDARDISE,
        LOWER_RATE,
        Remedy(
            "Put BatchNorm before the activation, or use one that does not saturate on "
            "both sides (ReLU, GELU, SiLU).",
            unless=(Unless("relu -sigmoid -tanh"), Unless("batch_norm", SMOOTH)),
            by=(
                "norm=batch",
                "activation=",
            ),
        ),
    )

    def check(self, view: View) -> Iterable[Finding]:
        if view.foreseen:
            yield from self._foreseen(view)
            return
        alone = view.loss.left < LEFT and not view.unmeasured  # did the head learn alone?
        share = view.while_sound("saturated")
        known = ~np.isnan(share)
        least = WHOLE if alone else SHARE
        bad = share >= least
        # what saturates as it learns has settled; what was born so, or is so whole, is stuck
        held = holds_at_end(bad, known, 3) & hidden(view)
        late = median(share[view.late])
        if alone:
            held &= view.time_share(bad, known) >= ALWAYS
            still = [bool(h) and _still(view, i) for i, h in enumerate(held)]
            held &= np.array(still, dtype=np.bool_)
        else:
            held &= (median(share[:3]) >= SHARE) | (late >= MOST)
        if not held.any():
            return
        ids = sorted((int(i) for i in np.flatnonzero(held)), key=lambda i: (view.depth[i], i))
        ids.sort(key=lambda i: -round(float(late[i]), 1))
        top = ids[0]
        row = first_of_last_spell(bad[:, top], known[:, top])
        cause = _cause(view, ids, row)
        severe = not alone and view.stuck and float(late[top]) >= MOST
        yield self.finding(
            Severity.error if severe else Severity.warning,
            sites=ids,
            steps=view.over([row, view.ruin - 1]),
            evidence={
                "saturated": float(late[top]),
                "sites_affected": len(ids),
                "rms": float(view.recent("rms")[view.parents(top)[0]])
                if view.parents(top)
                else float("nan"),
                "loss_left": view.loss.left,
            },
            threshold={"saturated": least},
            cause=cause,
            cause_at=top,
        )

    def _foreseen(self, view: View) -> Iterable[Finding]:
        """Before the first step, one reading has to do."""
        share = view.site("saturated")[0]
        ids = [int(i) for i in np.flatnonzero((share >= SHARE) & hidden(view))]
        if not ids:
            return
        ids.sort(key=lambda i: (-round(float(share[i]), 1), view.depth[i], i))
        yield self.finding(
            Severity.error if share[ids[0]] >= MOST else Severity.warning,
            sites=ids,
            steps=view.over([0]),
            evidence={"saturated": float(share[ids[0]]), "sites_affected": len(ids)},
            threshold={"saturated": SHARE},
            cause=_cause(view, ids, 0),
            chain=(Link("event", self.code, view.at(0), ids[0]),),
        )


def hidden(view: View) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """[S] activations with a layer between them and the loss, on a path to it."""
    # a gate multiplies; what matters is that something with weights still follows
    inside = view.inside if view.layers else range(len(view.sites))
    return np.array([s.kind == "activation" and s.id in inside for s in view.sites], dtype=np.bool_)


def _still(view: View, id: int) -> bool:
    """Whether the layers just before this activation hardly move while the heads do."""
    moves = view.once(_moves)
    near = _just_before(view, id)
    meant = [p for i in near for p in view.weights[i] if not view.run.params[p].trainable]
    own = [moves[i] for i in near]
    heads = [moves[i] for i in view.outputs if np.isfinite(moves[i])]
    # frozen weights are meant to stand still; those in no optimizer have no updates: EF704
    if meant or not own or not heads or not np.isfinite(own).all():
        return False
    return bool(max(own) < STILL * max(heads))


def _moves(view: View) -> dict[int, float]:
    """Relative update of each layer, median over the run."""
    sizes = median(view.by_layer(view.relative_update)).tolist()
    return dict(zip(view.layers, sizes, strict=True))


def _just_before(view: View, id: int) -> list[int]:
    """The layers an activation reads with no other layer between: a walk among equal depths."""
    level = view.depth[id]
    way = reach(view.links, [id], lambda i: view.depth[i] == level)
    return [i for i in way & view.trunk if view.weights[i] and view.depth[i] == level]


def _cause(view: View, ids: list[int], row: int) -> str:
    """Saturated from birth: by the weights or by the data; later: by the updates."""
    if row > 2 or not born(view, ids[0]):
        return "EF703" if moved(view, row) else ""
    # At birth: is it the input that is large, or the weights?
    rms = view.site("rms")
    first = min(ids, key=lambda i: (view.depth[i], i))
    sources = [i for i in view.data if i in view.ancestors([first])]
    size = median(rms[: max(row, 0) + 3])[sources]
    if (size[np.isfinite(size)] > 3).any() and view.depth[first] <= 1:
        return "EF501"
    return "EF602" if too_large(view, before(view, first)) else ""


def born(view: View, id: int) -> bool:
    """Whether an activation is saturated at its first reading: before any update, in a run that
    was watched from its start."""
    return bool(earliest(view.site("saturated")[:, id]) >= SHARE)


def moved(view: View, row: int, by: float = 0.1) -> bool:
    """Whether updates up to that row were such a share of the weights or more."""
    return bool((view.by_layer(view.relative_update)[: row + 1] >= by).any())
