"""The ledger of a stored run: from its readings alone, without torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from ..lang import _, ngettext
from ..schema import Run, Site
from .factors import COARSE, coarse, decades
from .ledger import Ledger
from .nearby import hint
from .paths import Edge, Vertex, between, crossings, links

#: A vertex above several losses; sites have ids from 0.
_LOSSES = -1
_LAYERS = ("affine", "recurrent", "embedding", "norm")


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
    label = _names(run)
    received = _received(run, target, at, label)
    below = {s.id: _producers(run, s, received) for s in run.sites if s.id in received}
    sources = _sources(below, received)
    reach = [i for i in sources if between(lambda v: below.get(v, ()), i, target.id)]
    if not reach:
        said = _("{site!r} is on no way from a loss: its run file lacks what lies between.")
        raise ValueError(said.format(site=label(target)))
    notes = []
    root = reach[0]
    if len(reach) > 1:
        root = _LOSSES
        below[_LOSSES] = reach
        received[_LOSSES] = math.hypot(*(received[i] for i in reach))
        notes.append(_several([label(run.sites[i]) for i in reach]))
    way = between(lambda v: below.get(v, ()), root, target.id)
    vertices = {v: _vertex(run, v, received[v], at, label) for v in way}
    edges = _edges(run, way, below, vertices, at, target.id)
    notes += _caveats(run, way, at, label)
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
    )


def _received(run: Run, target: Site, at: int, label: Callable[[Site], str]) -> dict[int, float]:
    """‖δ‖ at each site that was measured; ValueError where the target was not."""
    sizes = {s.id: _norm(run, s, "delta", at) for s in run.sites}
    if sizes[target.id] is None:
        when = run.steps[_measured(run, target)]
        said = _("no error was measured at {site!r} at step {step}.")
        if len(when):
            said = _("no error was measured at {site!r} at step {step}; there are {steps}.")
        steps = ", ".join(str(s) for s in when[-5:])
        raise ValueError(said.format(site=label(target), step=run.steps[at], steps=steps))
    return {i: size for i, size in sizes.items() if size is not None}


def _several(losses: list[str]) -> str:
    said = ngettext(
        "{count} loss reaches it ({names}): the way begins at all of them together",
        "{count} losses reach it ({names}): the way begins at all of them together",
        len(losses),
    )
    return said.format(count=len(losses), names=", ".join(losses[:4]))


def _caveats(run: Run, way: set[int], at: int, label: Callable[[Site], str]) -> list[str]:
    notes = []
    low = [
        i
        for i in sorted(way - {_LOSSES})
        if 0 < (_value(run, run.site(i, "delta"), at) or 0.0) < COARSE
    ]
    if low:
        notes.append(coarse(label(run.sites[low[-1]])))
    slopes = [c for i in way - {_LOSSES} if (c := run.site(i, "slope")) is not None]
    if slopes and all(np.isnan(c[at]) for c in slopes):
        dear = np.flatnonzero(~np.isnan(np.stack(slopes)).all(axis=0))
        if len(dear):
            nearest = run.steps[dear[np.abs(dear - at).argmin()]]
            said = _("√Eφ'² was not measured at this step; the nearest with it is {step}")
            notes.append(said.format(step=nearest))
    return notes


# -- which site, which step -------------------------------------------------------------------
def _position(run: Run, step: int) -> int:
    found = np.flatnonzero(run.steps == step)
    if len(found):
        return int(found[0])
    near = sorted(run.steps.tolist(), key=lambda s: (abs(s - step), s))[:3]
    said = _("step {step} was not sampled; the nearest that were: {steps}.")
    raise ValueError(said.format(step=step, steps=", ".join(str(s) for s in sorted(near))))


def _names(run: Run) -> Callable[[Site], str]:
    several = len({s.root for s in run.sites if s.root}) > 1
    return lambda s: s.name if several or not s.root else s.name[len(s.root) :].lstrip(". ")


def _find(run: Run, wanted: str) -> Site:
    wanted = wanted.strip()
    learnable = [s for s in run.sites if s.kind != "input"]
    matches: tuple[Callable[[Site], bool], ...] = (
        lambda s: wanted in (s.name, _bare(s)),
        lambda s: wanted in s.params or f"{s.root}.{wanted}" in s.params,
        lambda s: wanted in (s.path, f"{s.root}.{s.path}") and s.kind in _LAYERS,
        lambda s: wanted in (s.path, f"{s.root}.{s.path}") and bool(wanted),
    )
    for match in matches:
        found = [s for s in learnable if match(s)]
        if found:
            return min(found, key=lambda s: s.call)
    names = list(dict.fromkeys([*(_bare(s) for s in learnable), *(s.name for s in learnable)]))
    said = _("the run has no site {site!r}: {hint}")
    raise ValueError(said.format(site=wanted, hint=hint(wanted, names)))


def _bare(site: Site) -> str:
    return site.name[len(site.root) :].lstrip(". ") if site.root else site.name


def _measured(run: Run, site: Site) -> npt.NDArray[np.int64]:
    column = run.site(site.id, "delta")
    return np.flatnonzero(~np.isnan(column)) if column is not None else np.empty(0, np.int64)


def _latest(run: Run, site: Site) -> int:
    known = _measured(run, site)
    if not len(known):
        said = _(
            "no error was ever measured at {site!r}: it is frozen, or before every layer that "
            "learns."
        )
        raise ValueError(said.format(site=_bare(site)))
    return int(known[-1])


def _default(run: Run, at: int | None) -> Site:
    def there(s: Site) -> bool:
        known = _measured(run, s)
        return bool(len(known)) if at is None else at in known

    found = [s for s in run.sites if s.params and there(s)]
    layers = [s for s in found if s.kind in _LAYERS] or found
    if not layers:
        if at is None:
            raise ValueError(_("no error was measured at any layer with parameters."))
        said = _("no error was measured at any layer with parameters at step {step}.")
        raise ValueError(said.format(step=run.steps[at]))
    return layers[0]


# -- the graph of one step --------------------------------------------------------------------
def _value(run: Run, column: npt.NDArray[np.float64] | None, at: int) -> float | None:
    if column is None or np.isnan(column[at]):
        return None
    return float(column[at])


def _norm(run: Run, site: Site, metric: str, at: int) -> float | None:
    level = _value(run, run.site(site.id, metric), at)
    return None if level is None else level * math.sqrt(site.size)


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


def _sources(below: dict[int, list[int]], measured: Iterable[int]) -> list[int]:
    read = {i for producers in below.values() for i in producers}
    return [i for i in measured if i not in read]


def _vertex(run: Run, v: int, received: float, at: int, label: Callable[[Site], str]) -> Vertex:
    if v == _LOSSES:
        return Vertex("the losses", "losses", "loss", received, rank=math.inf)
    site = run.sites[v]
    return Vertex(
        label(site), site.op, site.kind, received, site.id, site.call,
        _norm(run, site, "rms", at), _weight_elasticity(run, site, at), f"{site.root}.{site.path}",
    )  # fmt: skip


def _weight_elasticity(run: Run, site: Site, at: int) -> float | None:
    parts = []
    for p in run.params:
        if p.name in site.params:
            grad = _value(run, run.param(p.id, "grad"), at)
            weight = _value(run, run.param(p.id, "weight"), at)
            if grad is not None and weight is not None:
                parts.append(grad * weight)
    return math.hypot(*parts) if parts else None


def _edges(
    run: Run,
    way: set[int],
    below: dict[int, list[int]],
    vertices: dict[int, Vertex],
    at: int,
    target: int,
) -> list[Edge[int]]:
    into: dict[int, list[int]] = {}
    for v in way:
        if v != target:
            for i in below.get(v, ()):
                if i in way:
                    into.setdefault(i, []).append(v)
    edges = []
    for i, senders in into.items():
        whole = vertices[i].received
        sizes = [whole if len(senders) == 1 else _sent(run, v, i, at) for v in senders]
        shares = _shares(run, senders, i, sizes, whole, at)
        for v, size, share in zip(senders, sizes, shares, strict=True):
            edges.append(Edge(v, i, size, share, _parts(run, v, i, vertices[v], size, at)))
    return edges


def _sent(run: Run, v: int, i: int, at: int) -> float:
    if v == _LOSSES:
        site = run.sites[i]
        return _norm(run, site, "delta", at) or 0.0
    level = _value(run, run.edge(v, i, "delta_in"), at)
    return math.nan if level is None else level * math.sqrt(run.sites[i].size)


def _shares(
    run: Run, senders: list[int], i: int, sizes: list[float], whole: float, at: int
) -> list[float]:
    """⟨δ_k, δ⟩/‖δ‖²: as stored, or of two branches by 2⟨δ_1, δ⟩ = ‖δ‖² + ‖δ_1‖² - ‖δ_2‖²."""
    if len(senders) == 1:
        return [1.0]
    if len(senders) == 2 and whole > 0:
        a, b = sizes[0] / whole, sizes[1] / whole
        first = 0.5 * (1 + a * a - b * b)
        return [first, 1 - first]
    known = [_value(run, run.edge(v, i, "share"), at) for v in senders]
    return [math.nan if k is None else k for k in known]


def _parts(run: Run, v: int, i: int, here: Vertex, sent: float, at: int) -> dict[str, float]:
    if v == _LOSSES:
        return {}
    site, gain = run.sites[v], decades(sent, here.received)
    out: dict[str, float] = {}
    if site.kind == "recurrent":
        for metric in ("flow", "flow_steps"):
            value = _value(run, run.site(v, metric), at)
            if value is not None:
                out[metric] = value
    slope = _value(run, run.site(v, "slope"), at) if site.kind == "activation" else None
    if not math.isfinite(gain):
        return out
    if slope is not None and slope > 0:
        out["slope"] = math.log10(slope)
        out["rest"] = gain - out["slope"]
    scale = _scale(run, site, run.sites[i], at)
    if scale is not None:
        out["scale"] = scale
        out["alignment"] = gain - scale
    return out


def _scale(run: Run, site: Site, behind: Site, at: int) -> float | None:
    """log10 of ‖W‖_F/√n_out, as in the live ledger."""
    weights = [p for p in run.params if p.name in site.params and len(p.shape) > 1]
    if site.kind != "affine" or len(weights) != 1 or not site.shape:
        return None
    size = _value(run, run.param(weights[0].id, "weight"), at)
    if size is None or size <= 0:
        return None
    if site.op.startswith("conv"):
        if len(site.shape) < 3:
            return None
        scale = math.log10(size) - 0.5 * math.log10(site.shape[1])
        if len(behind.shape) == len(site.shape):
            spread = math.prod(behind.shape[2:]) / math.prod(site.shape[2:])
            scale += 0.5 * math.log10(min(1.0, spread)) if spread > 0 else 0.0
        return scale
    if site.op != "linear":
        return None
    return math.log10(size) - 0.5 * math.log10(site.shape[-1])
