"""EF704: a parameter takes part in the forward, yet nothing ever changes it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..schema import Finding, Link, Parameter, Severity
from .base import Rule
from .view import View

#: Share of the weights in use that are left out, from which on it is an error.
MOST = 0.5
#: Parameters that nothing reads at all are spare parts of a borrowed network up to this share.
SPARE = 0.1


class ParameterNotTrained(Rule):
    """A trainable parameter is in no optimizer, or is in one and never gets a gradient.

    ## What it means
    The layer was built after the optimizer, or lives in a plain Python list, or only a part of
    the network was handed over; or its output is detached on the way to the loss.

    ## Why is this bad?
    It keeps its random start. The rest of the network works around it, or not at all.

    ## How it is measured
    Parameters with `requires_grad` that sites on the way to the loss read, and that no optimizer
    holds while others are held, and whose weights did not change; and parameters an optimizer
    holds for which no gradient was seen at any of its sampled steps (at least 3), while others
    of the same optimizer had one, or while none of them had one, their updates were all exactly
    0, and the parameters of another optimizer had gradients; and linear layers whose weights no
    module and no optimizer knows. Frozen parameters (`requires_grad=False`) are meant to stand
    still. Gradients that are there and exactly zero are EF104.

    ## Threshold
    One parameter. Error where half or more of the weights are left out; warning otherwise; info
    where a whole root module is left out that no trained layer reads, as a network that only
    judges another's output should be, and where nothing reads the parameters and they are under
    a tenth of all weights (a spare head of a borrowed network). A whole root that trained layers
    read (an encoder of its own, a borrowed backbone) is a warning at most, unless an optimizer
    holds nothing that another one does not: then it was given the wrong parameters. In the
    zoo's calibration half such encoders are 49 % of the weights; no healthy net there has any
    parameter left out.

    ## What to do
    Build all layers before the optimizer; keep them in ModuleList; hand over
    `model.parameters()`; freeze with `requires_grad_(False)` what is meant to be frozen.
    """

    code = "EF704"
    name = "parameter-not-trained"

    def check(self, view: View) -> Iterable[Finding]:
        params = view.run.params
        if not any(p.trainable and p.optimizer >= 0 for p in params) or not len(view.steps):
            return
        yield from self._held_by_none(view)
        yield from self._unknown(view)
        yield from self._without_gradient(view)

    def _held_by_none(self, view: View) -> Iterable[Finding]:
        used = _used(view)
        out = [
            p
            for p in view.run.params
            if p.trainable and p.optimizer < 0 and p.name in used and not _moved(view, p)
        ]
        if not out:
            return
        held = {used[p.name] for p in view.run.params if p.optimizer >= 0 and p.name in used}
        whole = {used[p.name] for p in out} - held
        for apart in (False, True):
            group = [p for p in out if (used[p.name] in whole) == apart]
            if group:
                severity = _apart(view, group) if apart else None
                yield self._finding(view, group, 1.0, severity)

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
            first=view.at(0),
            last=view.at(-1),
            evidence={"layers_unknown": float(len(sites)), "layers": float(layers)},
            threshold={"layers_unknown": 1.0},
            chain=(Link("cause", self.code, None, sites[0]),),
        )

    def _without_gradient(self, view: View) -> Iterable[Finding]:
        grad = view.param("grad")
        silent = np.asarray(np.isnan(grad).all(axis=0))
        held = [p for p in view.run.params if p.trainable and p.optimizer >= 0]
        update = view.param("update")
        learns = bool((grad > 0).any(axis=1).sum() >= 3)
        out: list[Parameter] = []
        for optimizer in {p.optimizer for p in held if silent[p.id]}:
            group = [p for p in held if p.optimizer == optimizer]
            # rows of other optimizers' steps are NaN here: at least 3 of its own tell
            if (grad[:, [p.id for p in group]] > 0).any(axis=1).sum() >= 3:
                out += [p for p in group if silent[p.id]]
            elif learns and all(silent[p.id] for p in group):
                # cut off as a whole: its steps were seen, and they did nothing
                own = update[:, [p.id for p in group]]
                idle = (own == 0).all(axis=1).sum() >= 3 and not (np.nan_to_num(own) > 0).any()
                out += group if idle else []
        read = {name for s in view.sites for name in s.params}
        total = sum(p.size for p in view.run.params if p.trainable)
        for group in ([p for p in out if p.name in read], [p for p in out if p.name not in read]):
            if group:
                spare = group[0].name not in read and _size(group) < SPARE * total
                yield self._finding(view, group, 0.0, Severity.info if spare else None)

    def _finding(
        self, view: View, group: list[Parameter], kind: float, severity: Severity | None
    ) -> Finding:
        names = {p.name for p in group}
        sites = [s.id for s in view.sites if names & set(s.params)]
        total = sum(p.size for p in view.run.params if p.trainable)
        size = _size(group)
        if severity is None:
            severity = Severity.error if size >= MOST * total else Severity.warning
        weights = [p for p in group if len(p.shape) > 1]
        return self.finding(
            severity,
            sites=sites,
            params=[p.name for p in (*weights, *(p for p in group if p not in weights))],
            first=view.at(0),
            last=view.at(-1),
            evidence={
                "parameters": float(len(group)),
                "elements": float(size),
                "share_of_weights": size / total,
                "in_no_optimizer": kind,
            },
            threshold={"parameters": 1.0},
            chain=(Link("cause", self.code, None, sites[0] if sites else None),),
        )


def _size(group: list[Parameter]) -> int:
    return sum(p.size for p in group)


def _apart(view: View, group: list[Parameter]) -> Severity | None:
    """How bad it is that a whole root is in no optimizer."""
    names = {p.name for p in group}
    held = {p.name for p in view.run.params if p.optimizer >= 0}
    trained = [s.id for s in view.sites if s.id in view.trunk and held & set(s.params)]
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
    update = view.param("update")[:, p.id]
    weight = view.param("weight")[:, p.id]
    weight = weight[~np.isnan(weight)]
    return bool((np.nan_to_num(update) > 0).any() or (len(weight) > 1 and np.ptp(weight) > 0))
