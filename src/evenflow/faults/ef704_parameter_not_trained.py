"""EF704: a parameter takes part in the forward, and no optimizer holds it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from ..lang import N_
from ..network import WEIGHTED
from ..schema import Finding, Link, Parameter, Severity
from .base import Cause, EvidenceLabel, Remedy, Rule
from .curve import harm_of, left_of
from .remedies import FREEZE
from .series import earliest
from .view import View

#: Share of the weights in use that are left out, from which on it is an error.
MOST = 0.5
#: Weights of one shape at one place, each of another step, that make it one made anew.
ANEW = 3
#: Rows of a trained weight that stay 0, at least: so many, and this share of them.
ROWS, HELD = 2, 0.1
#: Readings that there are of it (`zero_rows`); all of them have to show it.
READINGS = 3


class ParameterNotTrained(Rule):
    """A trainable parameter takes part in the forward pass and is in no optimizer.

    ## What it means
    The layer was built after the optimizer, or lives in a plain Python list, or only a part of
    the network was handed over. Or it is made anew in every forward pass, and thrown away again.

    ## Why is this bad?
    It keeps its random start, or gets a new one at each step. The rest of the network works
    around it, or not at all.

    ## How it is measured
    Parameters with `requires_grad` that sites on the way to the loss read, and that no optimizer
    holds while others are held, and whose weights did not change; and linear layers whose weights
    no module and no optimizer knows. Rows held at zero: of a weight that does move, units whose
    weights are all 0 at each of the first three readings; of an embedding only where its output
    shows that they are looked up, and where not all began so. Made anew: one place of the network
    read other weights of the same shape at another step. Frozen parameters
    (`requires_grad=False`) are meant to stand still. Parameters an optimizer holds and no gradient
    reaches are EF807.

    ## Threshold
    One parameter. Error where half or more of the weights are left out, and where weights are
    made anew; warning otherwise; info where a whole root module is left out that no trained layer
    reads, as a network that only judges another's output should be. A whole root that trained
    layers read (an encoder of its own, a borrowed backbone) is a warning at most, unless an
    optimizer holds nothing that another one does not: then it was given the wrong parameters. Two
    rows or more that are held at zero, a tenth of them at least: a warning where a quarter of the
    loss is left, else an info. In
    the zoo's calibration half such encoders are 49 % of the weights; no healthy net there has any
    parameter left out.

    ## What to do
    Build all layers before the optimizer, once, in `__init__`; keep them in ModuleList; hand over
    `model.parameters()`; freeze with `requires_grad_(False)` what is meant to be frozen.
    """

    code = "EF704"
    name = "parameter-not-trained"
    title = N_("Parameters are not trained")
    sentence = N_("Parameters are not trained{at}")
    labels = (
        EvidenceLabel("layers_unknown", N_("layers that no module knows"), fact=True),
        EvidenceLabel("rows_held", N_("share of its units that stay 0"), "share"),
    )
    stage = 90
    standing = True
    leads_to = ("EF401", "EF404", "EF301")
    if_cause = Remedy("First get every parameter into the optimizer (EF704).")
    remedies = (FREEZE,)
    causes = (
        Cause(
            "in-no-optimizer",
            N_("they are in no optimizer"),
            Remedy(
                "Give the optimizer all parameters (model.parameters()), after the last layer "
                "is built.",
                then=N_(
                    "Keep sub-modules in nn.ModuleList or nn.ModuleDict, not in a plain list or "
                    "dict."
                ),
                by=("parameters=all",),
            ),
        ),
        Cause(
            "made-anew",
            N_("the layer is made anew in every forward pass"),
            Remedy(
                "Build the layer once, in __init__, and only call it in forward: one that is "
                "made in forward starts at random at every step and is thrown away."
            ),
        ),
        Cause(
            "rows-held-at-zero",
            N_("some of its units are 0 and get no gradient"),
            Remedy(
                "Look for what masks the weight or its gradient (a hook, pruning, rows that are "
                "set to 0 after each step), and for rows that were never drawn."
            ),
        ),
    )

    def check(self, view: View) -> Iterable[Finding]:
        params = view.run.params
        if not any(p.trainable and p.optimizer >= 0 for p in params) or not len(view.steps):
            return
        yield from self._held_by_none(view)
        yield from self._unknown(view)
        yield from self._rows(view)

    def _rows(self, view: View) -> Iterable[Finding]:
        """Units held at zero."""
        held = _held_at_zero(view)
        if not held:
            return
        harm = harm_of(view, left_of(view))
        share = max(held.values())
        group = [view.run.params[i] for i in held]
        f = told(self, view, group, min(harm, Severity.warning), "rows-held-at-zero")
        evidence = {"rows_held": share, **f.evidence}
        yield replace(f, evidence=evidence, threshold={"rows_held": HELD})

    def _held_by_none(self, view: View) -> Iterable[Finding]:
        used = _used(view)
        out = [
            p
            for p in view.run.params
            if p.trainable and p.optimizer < 0 and p.name in used and not _moved(view, p)
        ]
        anew, new = _made_anew(view)
        if new:
            yield told(self, view, new, Severity.error, "made-anew")
        out = [p for p in out if p.name not in anew]
        if not out:
            return
        held = {used[p.name] for p in view.run.params if p.optimizer >= 0 and p.name in used}
        whole = {used[p.name] for p in out} - held
        for apart in (False, True):
            group = [p for p in out if (used[p.name] in whole) == apart]
            if group:
                severity = _apart(view, group) if apart else None
                yield told(self, view, group, severity, "in-no-optimizer")

    def _unknown(self, view: View) -> Iterable[Finding]:
        """Layers whose weights no module has: `nn.Linear` objects in a plain list."""
        bare = [
            s
            for s in view.sites
            # weights that were computed come in as a second input
            if s.id in view.trunk and s.kind == "affine" and not s.params and len(s.inputs) == 1
        ]
        # What fixed weights make of data carries no gradient and is no site: a layer that reads
        # data alone has trainable weights. Further on, a convolution may be a fixed filter.
        sure = {(s.root, s.path) for s in bare if set(s.inputs) <= set(view.data)}
        known = ("linear", "matmul")
        sites = [s.id for s in bare if s.op in known or (s.root, s.path) in sure]
        if not sites:
            return
        layers = sum(s.kind == "affine" and s.id in view.trunk for s in view.sites)
        yield self.finding(
            Severity.error if len(sites) >= MOST * layers else Severity.warning,
            sites=sites,
            steps=view.over([0, -1]),
            evidence={"layers_unknown": float(len(sites)), "layers": float(layers)},
            threshold={"layers_unknown": 1.0},
            cause="in-no-optimizer",
            chain=(Link("cause", self.code, None, sites[0]),),
        )


def told(
    rule: Rule, view: View, group: list[Parameter], severity: Severity | None, cause: str
) -> Finding:
    """A finding of these parameters; without a severity it goes by their share of the weights."""
    total = sum(p.size for p in view.run.params if p.trainable)
    share = min(size(group) / total, 1.0)
    if severity is None:
        severity = Severity.error if share >= MOST else Severity.warning
    sites = view.reading(p.name for p in group)
    return rule.finding(
        severity,
        sites=sites,
        # weights before biases and scales
        params=[p.name for p in sorted(group, key=lambda p: len(p.shape) < 2)],
        steps=view.over([0, -1]),
        evidence={
            "parameters": float(len(group)),
            "elements": float(size(group)),
            "share_of_weights": share,
        },
        threshold={"parameters": 1.0},
        cause=cause,
        chain=(Link("cause", rule.code, None, sites[0] if sites else None),),
    )


def size(group: list[Parameter]) -> int:
    """Elements of these parameters."""
    return sum(p.size for p in group)


def _held_at_zero(view: View) -> dict[int, float]:
    """Share of its rows that stay 0, of each trained weight where there are enough."""
    zero, out = view.param("zero_rows"), {}
    begun = earliest(view.param("weight"))
    known = np.isfinite(zero)
    for i in np.flatnonzero(known.sum(axis=0) >= READINGS):
        p, share = view.run.params[i], zero[known[:, i], i]
        always = float(share.min())
        if p.optimizer < 0 or always < HELD or always * p.shape[0] < ROWS or begun[i] == 0:
            continue  # rows of a table that began as zeros, and was not asked for them yet
        used = [s for s in view.sites if p.name in s.params and s.id in view.trunk]
        looked_up = any(s.kind != "embedding" or _shows_zeros(view, s.id) for s in used)
        if used and looked_up and _moved(view, p):
            out[int(i)] = always
    return out


def _shows_zeros(view: View, site: int) -> bool:
    zeros = view.site("zeros")[:, site]
    zeros = zeros[np.isfinite(zeros)]
    return len(zeros) > 0 and float(zeros.min()) >= HELD


def _made_anew(view: View) -> tuple[set[str], list[Parameter]]:
    """Names of all parameters of places that have others at each step, and those of one step."""
    names: set[str] = set()
    one: list[Parameter] = []
    loose = {p.name: p for p in view.run.params if p.optimizer < 0 and p.trainable}
    for s in view.sites:
        free = [loose[n] for n in s.params if n in loose]
        shapes = [p.shape for p in free if len(p.shape) > 1]
        if s.kind in WEIGHTED and any(shapes.count(shape) >= ANEW for shape in shapes):
            names |= {p.name for p in free}
            one += {p.shape: p for p in reversed(free)}.values()
    return names, one


def _apart(view: View, group: list[Parameter]) -> Severity | None:
    """How bad it is that a whole root is in no optimizer."""
    names = {p.name for p in group}
    held = {p.name for p in view.run.params if p.optimizer >= 0}
    trained = [s.id for s in view.sites if s.id in view.trunk and held & set(s.params)]
    if not trained:
        return Severity.error  # what the optimizers hold is no part of the network any more
    if not any(names & set(view.sites[i].params) for i in view.ancestors(trained)):
        return Severity.info
    holders = {p.optimizer for p in view.run.params}
    given = [i for i, o in enumerate(view.optimizers) if o.get("params")]
    # an optimizer with nothing of its own was given what another one has
    return Severity.warning if holders.issuperset(given) else None


def _used(view: View) -> dict[str, str]:
    """Name of each parameter that sites on the way to a loss read -> the root that reads it."""
    out: dict[str, str] = {}
    for s in view.sites:
        if s.id in view.trunk:
            for name in s.params:
                out.setdefault(name, s.root)
    return out


def _moved(view: View, p: Parameter) -> bool:
    """Whether it changed all the same (updated by hand)."""
    weight = view.param("weight")[:, p.id]
    weight = weight[~np.isnan(weight)]
    return len(weight) > 1 and bool(np.ptp(weight) > 0)
