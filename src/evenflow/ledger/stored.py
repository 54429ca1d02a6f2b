"""The ledger of a stored run: from its readings alone, without torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ..lang import _, ngettext
from ..nearby import hint
from ..network import LAYERS, by_key
from ..schema import Run, Site, Where, bare_name
from .factors import COARSE, coarse, conv_scale, decades
from .ledger import Ledger
from .paths import Edge, Vertex, between, crossings, links

#: A vertex above several losses; sites have ids from 0.
_LOSSES = -1
Column = npt.NDArray[np.float64] | None


def from_run(run: Run, site: str | None = None, step: int | None = None) -> Ledger:
    """The ledger of one sampled step.

    ‖δ‖ is the stored rms times the root of the number of elements (of the first batch seen, so a
    smaller last batch shifts every ‖δ‖ alike and no gain within the model).

    Args:
        run: with readings.
        site: an op's name, with or without its root ("layers.3 sigmoid"), a module's path, or a
            parameter's name (its layer). By default the layer nearest the data.
        step: a sampled step; by default the last one at which the site was measured.

    Raises:
        ValueError: no readings, an unknown site, a step that was not sampled, or no error that
            reached the site at that step.
    """
    if not len(run.steps):
        raise ValueError(
            _("{run!r} holds no readings: no training step was seen.").format(run=run.name)
        )
    at = None if step is None else _position(run, step)
    target = _default(run, at) if site is None else _find(run, site)
    if at is None:
        at = _latest(run, target)
    here = _Sampled(run, at)
    received = here.received(target)
    below = {s.id: _producers(run, s, received) for s in run.sites if s.id in received}
    read = {i for producers in below.values() for i in producers}
    sources = [i for i in received if i not in read]
    reach = [i for i in sources if between(lambda v: below.get(v, ()), i, target.id)]
    if not reach:
        text = _("{site!r} is on no way from a loss: its run file lacks what lies between.")
        raise ValueError(text.format(site=here.label(target.id)))
    root, notes = reach[0], []
    if len(reach) > 1:
        root = _LOSSES
        below[_LOSSES] = reach
        received[_LOSSES] = math.hypot(*(received[i] for i in reach))
        notes.append(_several([here.label(i) for i in reach]))
    way = between(lambda v: below.get(v, ()), root, target.id)
    vertices = {v: here.vertex(v, received[v]) for v in way}
    edges = here.edges(way, below, vertices, target.id)
    notes += here.caveats(way)
    return Ledger(
        site=vertices[target.id].name,
        received=received[root],
        sent=received[target.id],
        links=links(vertices, edges, root, target.id),
        time=crossings(vertices, edges),
        source="stored",
        run=run.name,
        step=int(run.steps[at]),
        notes=tuple(notes),
        lines=_lines(run, vertices),
    )


def _several(losses: Sequence[str]) -> str:
    """A note: the way begins at more than one loss."""
    text = ngettext(
        "{count} loss reaches it ({names}): the way begins at all of them together",
        "{count} losses reach it ({names}): the way begins at all of them together",
        len(losses),
    )
    return text.format(count=len(losses), names=", ".join(losses[:4]))


def _lines(run: Run, vertices: Mapping[int, Vertex]) -> dict[str, tuple[Where, ...]]:
    """What made or ran the sites on the way, by name."""
    return {vertices[s.id].name: s.made or s.called for s in run.sites if s.id in vertices}


# -- which site, which step -------------------------------------------------------------------
def _position(run: Run, step: int) -> int:
    found = np.flatnonzero(run.steps == step)
    if len(found):
        return int(found[0])
    near = sorted(run.steps.tolist(), key=lambda s: (abs(s - step), s))[:3]
    text = _("step {step} was not sampled; the nearest that were: {steps}.")
    raise ValueError(text.format(step=step, steps=", ".join(str(s) for s in sorted(near))))


def _find(run: Run, wanted: str) -> Site:
    wanted = wanted.strip()
    learnable = [s for s in run.sites if s.kind != "input"]
    matches: tuple[Callable[[Site], bool], ...] = (
        lambda s: wanted in (s.name, bare_name(s)),
        lambda s: wanted in s.params or f"{s.root}.{wanted}" in s.params,
        lambda s: wanted in (s.path, f"{s.root}.{s.path}") and s.kind in LAYERS,
        lambda s: wanted in (s.path, f"{s.root}.{s.path}") and bool(wanted),
    )
    for match in matches:
        found = [s for s in learnable if match(s)]
        if found:
            return min(found, key=lambda s: s.call)
    names = list(dict.fromkeys([*(bare_name(s) for s in learnable), *(s.name for s in learnable)]))
    text = _("the run has no site {site!r}: {hint}")
    raise ValueError(text.format(site=wanted, hint=hint(wanted, names)))


def _measured(run: Run, site: Site) -> npt.NDArray[np.int64]:
    column = run.site(site.id, "delta")
    return np.flatnonzero(~np.isnan(column)) if column is not None else np.empty(0, np.int64)


def _latest(run: Run, site: Site) -> int:
    known = _measured(run, site)
    if not len(known):
        text = _(
            "no error was ever measured at {site!r}: it is frozen, or before every layer that "
            "learns."
        )
        raise ValueError(text.format(site=bare_name(site)))
    return int(known[-1])


def _default(run: Run, at: int | None) -> Site:
    def there(s: Site) -> bool:
        known = _measured(run, s)
        return bool(len(known)) if at is None else at in known

    found = [s for s in run.sites if s.params and there(s)]
    layers = [s for s in found if s.kind in LAYERS] or found
    if not layers:
        if at is None:
            raise ValueError(_("no error was measured at any layer with parameters."))
        text = _("no error was measured at any layer with parameters at step {step}.")
        raise ValueError(text.format(step=run.steps[at]))
    return layers[0]


# -- the graph of one step --------------------------------------------------------------------
def _producers(run: Run, site: Site, measured: Iterable[int]) -> list[int]:
    """The measured sites whose outputs it reads, through sites that were not measured."""
    known, found, todo, seen = set(measured), [], list(site.inputs), set[int]()
    while todo:
        i = todo.pop(0)
        if i in seen or not 0 <= i < len(run.sites):
            continue
        seen.add(i)
        if i in known:
            found.append(i)
        else:
            todo += run.sites[i].inputs
    return found


class _Sampled:
    """One sampled step of a run: what was measured at its position `at`, None where it was not."""

    def __init__(self, run: Run, at: int) -> None:
        self.run, self.at = run, at
        self.several = len({s.root for s in run.sites if s.root}) > 1

    def label(self, i: int) -> str:
        """A site's name, without the root where all sites have the same."""
        site = self.run.sites[i]
        return site.name if self.several else bare_name(site)

    def value(self, column: Column) -> float | None:
        return None if column is None or np.isnan(column[self.at]) else float(column[self.at])

    def norm(self, site: Site, metric: str) -> float | None:
        """The stored rms as a norm."""
        level = self.value(self.run.site(site.id, metric))
        return None if level is None else level * math.sqrt(site.size)

    def received(self, target: Site) -> dict[int, float]:
        """‖δ‖ at each site that was measured; ValueError where the target was not."""
        run = self.run
        sizes = {s.id: self.norm(s, "delta") for s in run.sites}
        if sizes[target.id] is None:
            when = run.steps[_measured(run, target)]
            text = _("no error was measured at {site!r} at step {step}.")
            if len(when):
                text = _("no error was measured at {site!r} at step {step}; there are {steps}.")
            steps, name = ", ".join(str(s) for s in when[-5:]), self.label(target.id)
            raise ValueError(text.format(site=name, step=run.steps[self.at], steps=steps))
        return {i: size for i, size in sizes.items() if size is not None}

    def vertex(self, v: int, received: float) -> Vertex:
        if v == _LOSSES:
            return Vertex("the losses", "losses", "loss", received, rank=math.inf)
        site = self.run.sites[v]
        return Vertex(
            self.label(v), site.op, site.kind, received, v, site.call, self.norm(site, "rms"),
            self._weight_elasticity(site), f"{site.root}.{site.path}",
        )  # fmt: skip

    def _weight_elasticity(self, site: Site) -> float | None:
        parts = []
        for p in self.run.params:
            if p.name in site.params:
                grad, weight = (self.value(self.run.param(p.id, m)) for m in ("grad", "weight"))
                if grad is not None and weight is not None:
                    parts.append(grad * weight)
        return math.hypot(*parts) if parts else None

    def edges(
        self, way: set[int], below: dict[int, list[int]], vertices: dict[int, Vertex], target: int
    ) -> list[Edge[int]]:
        pairs = [(v, i) for v in way if v != target for i in below.get(v, ()) if i in way]
        edges = []
        for i, into in by_key(pairs, lambda pair: pair[1]).items():
            senders = [v for v, _i in into]
            whole = vertices[i].received
            sizes = [whole] if len(senders) == 1 else [self._sent(v, i) for v in senders]
            shares = self._shares(senders, i, sizes, whole)
            for v, size, share in zip(senders, sizes, shares, strict=True):
                edges.append(Edge(v, i, size, share, self._parts(v, i, vertices[v], size)))
        return edges

    def _sent(self, v: int, i: int) -> float:
        site = self.run.sites[i]
        if v == _LOSSES:
            return self.norm(site, "delta") or 0.0
        level = self.value(self.run.edge(v, i, "delta_in"))
        return math.nan if level is None else level * math.sqrt(site.size)

    def _shares(self, senders: list[int], i: int, sizes: list[float], whole: float) -> list[float]:
        """⟨δ_k, δ⟩/‖δ‖²: as stored, or of two branches by 2⟨δ_1, δ⟩ = ‖δ‖² + ‖δ_1‖² - ‖δ_2‖²."""
        if len(senders) == 1:
            return [1.0]
        if len(senders) == 2 and whole > 0:
            a, b = sizes[0] / whole, sizes[1] / whole
            first = 0.5 * (1 + a * a - b * b)
            return [first, 1 - first]
        known = [self.value(self.run.edge(v, i, "share")) for v in senders]
        return [math.nan if k is None else k for k in known]

    def _parts(self, v: int, i: int, here: Vertex, sent: float) -> dict[str, float]:
        if v == _LOSSES:
            return {}
        site, gain = self.run.sites[v], decades(sent, here.received)
        out: dict[str, float] = {}
        if site.kind == "recurrent":
            for metric in ("flow", "flow_steps"):
                value = self.value(self.run.site(v, metric))
                if value is not None:
                    out[metric] = value
        slope = self.value(self.run.site(v, "slope")) if site.kind == "activation" else None
        if not math.isfinite(gain):
            return out
        if slope is not None and slope > 0:
            out["slope"] = math.log10(slope)
            out["rest"] = gain - out["slope"]
        scale = self._scale(site, self.run.sites[i])
        if scale is not None:
            out["scale"] = scale
            out["alignment"] = gain - scale
        return out

    def _scale(self, site: Site, behind: Site) -> float | None:
        """log10 of ‖W‖_F/√n_out, as in the live ledger."""
        weights = [p for p in self.run.params if p.name in site.params and len(p.shape) > 1]
        if site.kind != "affine" or len(weights) != 1 or not site.shape:
            return None
        size = self.value(self.run.param(weights[0].id, "weight"))
        if size is None or size <= 0:
            return None
        if site.op.startswith("conv"):
            return conv_scale(size, site.shape, behind.shape)
        if site.op != "linear":
            return None
        return math.log10(size) - 0.5 * math.log10(site.shape[-1])

    def caveats(self, way: set[int]) -> list[str]:
        """What a reader must know of the precision."""
        run, sites, notes = self.run, sorted(way - {_LOSSES}), []
        low = [i for i in sites if 0 < (self.value(run.site(i, "delta")) or 0.0) < COARSE]
        if low:
            notes.append(coarse(self.label(low[-1])))
        slopes = [c for i in sites if (c := run.site(i, "slope")) is not None]
        if slopes and all(np.isnan(c[self.at]) for c in slopes):
            full = np.flatnonzero(~np.isnan(np.stack(slopes)).all(axis=0))
            if len(full):
                nearest = run.steps[full[np.abs(full - self.at).argmin()]]
                text = _("√Eφ'² was not measured at this step; the nearest with it is {step}")
                notes.append(text.format(step=nearest))
        return notes
