"""EF205: deep inside the network all inputs look alike."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..lang import N_
from ..network import by_key
from ..schema import Finding, Severity
from .base import EvidenceLabel, Remedy, Rule, Unless
from .birth import DOUBT, Birth
from .causes import DEPTH_TIMES_ACTIVATION
from .remedies import MORE_UNITS
from .series import (
    Bools,
    Floats,
    first_of_last_spell,
    holds_at_end,
    largest,
    latest,
    median,
)
from .view import View

#: What is left of the inputs' difference (1 - c), relative to the data's own.
LEFT = 1e-2
#: The same, where the loss is better than a guess all the same.
LEFT_LEARNING = 1e-3
#: 1 - c of equal samples, as float32 leaves it (a hundred times the square of its epsilon).
ROUNDING = 1e-12


class SignalCollapse(Rule):
    """The representations of different inputs are all but the same.

    ## What it means
    c is the mean cosine between the representations of two examples; 1 - c says how different
    they still are. Without residual connections depth drives c towards one (in deep ReLU nets
    always, in tanh and sigmoid nets with small weights), and the last layers see one and the
    same vector whatever the input is.

    ## Why is this bad?
    What is the same for all inputs cannot tell them apart. Gradients may have a healthy size
    and still teach nothing: nets with 1 - c below 1e-8 did not train at all, and one with 1e-2
    trained badly (THEORY, He-initialised ReLU, 50 layers).

    ## How it is measured
    1 - c at each site over a batch, relative to 1 - c of the data.

    ## Threshold
    Less than 1 % of the data's own difference left (of 1 where the data's was not measured), in
    the last two readings, with a loss no better than guessing: an error. Less than 0.1 % for
    more than half of the training with over half of the loss left: a warning. A healthy deep
    encoder of the zoo's calibration half had 0.1 % with 14 % of the loss left; sick nets have
    less than 1e-4.

    Inputs that are equal by design are no collapse: calls of a cell at the start of sequences that
    all begin alike (its later calls tell the inputs apart), and calls past their end, which the
    loss leaves out. A head that answers all alike above layers that tell inputs apart has not
    learned yet: that is the loss's affair.

    In a forecast (before any step) from three quarters of what EF604 allows on, in decades above
    what rounding leaves.

    ## What to do
    Residual connections with a branch that starts at zero (ReZero), orthogonal weights with
    tailored activations (TAT, DKS), centred LSUV for sigmoid and tanh, or fewer layers.
    """

    code = "EF205"
    name = "signal-collapse"
    title = N_("All inputs look alike")
    sentence = N_("All inputs look alike{at}")
    means = N_("what comes out hardly depends on what goes in")
    link = N_("all inputs alike")
    labels = (
        EvidenceLabel("spread_left", N_("share of the inputs' difference that is left")),
        EvidenceLabel("data_spread", N_("difference between the data's samples")),
        EvidenceLabel("least_spread", N_("least difference between samples in any layer")),
    )
    stage = 290
    leads_to = ("EF401", "EF404")
    if_shallow = (MORE_UNITS,)
    remedies = (
        Remedy(
            "Use activations tailored to the depth (LeakyReLU of slope 0.43 with "
            "orthogonal weights for 50 layers: 95.3 %), or skips that start at zero (96.8 "
            "%).",
            unless=(
                Unless(
                    "skips",
                    N_(
                        "Use activations tailored to the depth (LeakyReLU of slope 0.43 with "
                        "orthogonal weights for 50 layers: 95.3 %)."
                    ),
                ),
            ),
            deep=True,
            by=(
                "tailored",
                "rezero",
            ),
        ),
        Remedy(
            "For sigmoid and tanh: centred LSUV or BatchNorm, which pull the samples apart again.",
            unless=(
                Unless("-sigmoid -tanh"),
                Unless(
                    "batch_norm",
                    N_("For sigmoid and tanh: centred LSUV, which pulls the samples apart again."),
                ),
            ),
            by=(
                "init=lsuv-centred",
                "norm=batch",
            ),
        ),
        Remedy(
            "Check the data: batches whose samples truly differ, no constant features, "
            "centred inputs."
        ),
        Remedy(
            "He initialisation alone keeps gradients alive in deep ReLU nets but not the "
            "differences between inputs (81.1 % against 96.8 %).",
            unless=(Unless("-leaky_relu -relu -relu6"),),
            deep=True,
        ),
    )
    causes = (DEPTH_TIMES_ACTIVATION,)

    def check(self, view: View) -> Iterable[Finding]:
        if view.foreseen:
            yield from self._foreseen(view)
            return
        if view.ruined or view.unmeasured or view.loss.young:
            return
        if not (view.stuck or view.loss.left > 0.5):
            return
        calls = _calls(view)
        spread = view.while_sound("spread")
        spread[_unread(view, calls)] = np.nan
        base = _base(view, spread)
        relative = spread / base
        known = ~np.isnan(relative)
        bad = relative < (LEFT if view.stuck else LEFT_LEARNING)
        held = holds_at_end(bad, known, 2)
        if not view.stuck:
            held &= view.time_share(bad, known) > 0.5
        inner = np.zeros(len(view.sites), dtype=np.bool_)
        inner[[s.id for s in view.sites if s.kind in ("affine", "activation", "norm", "join")]] = 1
        inner[[*view.beyond, *(s.id for s in view.sites if s.id not in view.trunk)]] = False
        held &= inner & (view.recent("rms") > 0)
        held &= ~_by_design(view, calls, held, bad, known)
        ids = sorted((int(i) for i in np.flatnonzero(held)), key=lambda i: (view.depth[i], i))
        # where nothing that the heads read is alike, they have not learned yet
        heads = bool(view.inside & frozenset(view.layers)) and not view.inside & frozenset(ids)
        if not ids or heads:
            return
        top = ids[0]
        row = first_of_last_spell(bad[:, top], known[:, top])
        worst = float(np.fmin.reduce(latest(spread)[ids]))
        born = any(bad[np.flatnonzero(known[:, i])[0], i] for i in ids)  # or training did it
        cause = "depth-times-activation" if born and view.depth[ids[-1]] >= 5 else ""
        yield self.finding(
            Severity.error if view.stuck else Severity.warning,
            sites=ids,
            steps=view.over([row, view.ruin - 1]),
            evidence={
                "spread_left": float(latest(relative)[top]),
                "least_spread": worst,
                "data_spread": float(base),
                "depth": float(view.depth[top]),
                "sites_affected": len(ids),
                "loss_left": view.loss.left,
            },
            threshold={"spread_left": LEFT if view.stuck else LEFT_LEARNING},
            cause=cause,
        )

    def _foreseen(self, view: View) -> Iterable[Finding]:
        """Before the first step: where so little difference is left that learning is in doubt."""
        b = view.once(Birth)
        if b.depth < 2 or not b.alike[-1] >= DOUBT:
            return
        ids = [level[0] for level, a in zip(b.levels, b.alike, strict=True) if a >= DOUBT]
        yield self.finding(
            Severity.error if b.alike[-1] >= 1 else Severity.warning,
            sites=ids,
            steps=view.over([0]),
            evidence={
                "spread_left": float(10.0 ** b.spread[-1]),
                "depth": float(view.depth[ids[0]]),
                "sites_affected": len(ids),
            },
            threshold={"spread_left": LEFT},
        )


def _base(view: View, spread: Floats) -> float:
    """The data's own 1 - c, 1 at most: of tokens as their embeddings have it, since a batch in
    which one token is everywhere is nearly alike; 1 where nothing was measured or all are equal."""
    tokens = largest(spread[:, view.of_kind("embedding")])
    measured = largest(np.append(median(spread[:, list(view.data)]), tokens))
    return min(float(measured), 1.0) if measured > ROUNDING else 1.0


def _calls(view: View) -> list[list[int]]:
    """Ids of the calls of each place that is called more than once, first call first."""
    found = by_key(view.sites, lambda s: s.params or s.place)
    return [[s.id for s in calls] for calls in found.values() if len(calls) > 1]


def _unread(view: View, calls: list[list[int]]) -> Bools:
    """[T, S] whether no δ at all came to a call while other calls of its place got some: the loss
    compares nothing there (sequences have ended, and padding is left out)."""
    delta = view.site("delta")
    out = np.zeros(delta.shape, dtype=np.bool_)
    for ids in calls:
        read = (delta[:, ids] > 0).any(axis=1, keepdims=True)
        out[:, ids] = read & (delta[:, ids] == 0)
    return out


def _by_design(view: View, calls: list[list[int]], held: Bools, bad: Bools, known: Bools) -> Bools:
    """[S] calls that see equal inputs by design: alike in every reading, and a later call of the
    same place is not (sequences begin alike). In weight-tied depth the later calls are the worse.
    """
    out = np.zeros_like(held)
    for ids in calls:
        sound = [i for i in ids if known[:, i].any() and not bad[known[:, i], i][-1]]
        for i in ids:
            later = bool(sound) and sound[-1] > i
            out[i] = held[i] and later and bool(bad[known[:, i], i].all())
    order = sorted(map(int, np.flatnonzero(held)), key=lambda i: view.depth[i])
    for i in order:  # what these pass on is equal by design as well
        parents = view.parents(i)
        out[i] |= bool(parents) and all(out[p] for p in parents)
    for i in reversed(order):
        readers = view.consumers[i]
        out[i] |= bool(readers) and all(out[r] for r in readers)
    return out
