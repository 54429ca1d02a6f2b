"""A forecast beside the run it foretold: "foreseen -12.1, measured -12.06". No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..lang import _
from ..schema import Run, Site
from .assemble import anchor


@dataclass(frozen=True, slots=True)
class Pair:
    """One site of a run with what was foreseen of it.

    Attributes:
        site: in the measured run.
        foreseen, measured: log10 of rms δ against the anchor's, which is the same site in both;
            -inf where exactly zero.
        error_bar: of the forecast, in decades.
    """

    site: Site
    foreseen: float
    measured: float
    error_bar: float

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types, None for what is not finite."""
        values = {k: getattr(self, k) for k in ("foreseen", "measured", "error_bar")}
        plain = {k: float(v) if math.isfinite(v) else None for k, v in values.items()}
        return {"site": self.site.name, **plain}

    def as_row(self) -> dict[str, Any]:
        """The same with the site's id, as the page asks for it."""
        return {"id": self.site.id, **self.as_dict()}


def beside(run: Run, forecast: Run) -> list[Pair]:
    """Sites that both know, in the run's order, with δ foreseen and measured at the first step.

    Sites are matched by module path, op and number; the root's name counts only where the
    forecast has several roots. δ is taken at the run's first sampled step, before any update.

    Raises:
        ValueError: `forecast` is no forecast, `run` is none that was measured, or the two have
            no site in common (a forecast of another model).

    >>> import tempfile, torch, evenflow
    >>> from evenflow.forecast import beside
    >>> _, folder = torch.manual_seed(0), tempfile.TemporaryDirectory()
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    >>> forecast = evenflow.preflight(model, (64, 8))
    >>> with evenflow.watch(model, run=f"{folder.name}/run.evenflow", every=1) as watch:
    ...     model(torch.randn(64, 8)).square().mean().backward()
    >>> pairs = beside(evenflow.load(watch.path), forecast.run)
    >>> [(p.site.op, abs(p.foreseen - p.measured) < 0.3) for p in pairs]
    [('linear', True), ('tanh', True), ('linear', True)]
    >>> folder.cleanup()
    """
    if forecast.source != "predicted":
        raise ValueError(_("{name!r} is a measured run, not a forecast").format(name=forecast.name))
    if run.source == "predicted":
        said = _("{name!r} is a forecast itself: name a run that was measured")
        raise ValueError(said.format(name=run.name))
    roots = {s.root for s in forecast.sites if s.root}
    one = len(roots) == 1 and len({s.root for s in run.sites if s.root}) == 1
    seen = {_key(s, one): s.id for s in forecast.sites if s.kind != "input"}
    known = _levels(forecast)
    got = _levels(run)
    pairs = [
        (s, known[seen[key]], got[s.id], seen[key])
        for s in run.sites
        if (key := _key(s, one)) in seen
    ]
    pairs = [p for p in pairs if not math.isnan(p[1]) and not math.isnan(p[2])]
    if not pairs:
        said = _(
            "the forecast {forecast!r} and the run {run!r} have no measured site in common: "
            "is it a forecast of another model?"
        )
        raise ValueError(said.format(forecast=forecast.name, run=run.name))
    shared = np.full(len(run.sites), np.nan)
    for s, a, b, _id in pairs:
        shared[s.id] = a + b
    at = anchor(run.sites, run.params, shared)
    if not math.isfinite(shared[at]):
        said = _(
            "the forecast {forecast!r} and the run {run!r} share no site whose gradient is finite "
            "and not zero in both: nothing to hold the others against"
        )
        raise ValueError(said.format(forecast=forecast.name, run=run.name))
    a0, b0 = next((a, b) for s, a, b, _id in pairs if s.id == at)
    bars = _meta(forecast.meta, "error_bar", len(forecast.sites))
    return [Pair(s, float(a - a0), float(b - b0), float(bars[i])) for s, a, b, i in pairs]


def _key(site: Site, one_root: bool) -> tuple[str, str, str, int, int]:
    return ("" if one_root else site.root, site.path, site.op, site.index, site.call)


def _levels(run: Run) -> np.ndarray[Any, np.dtype[np.float64]]:
    """[S] log10 of δ at the first row."""
    if run.source == "predicted":
        kept = _meta(run.meta, "log10_delta", len(run.sites))
        if not np.isnan(kept).all():
            return kept
    out = np.full(len(run.sites), np.nan)
    for site in run.sites:
        column = run.site(site.id, "delta")
        if column is not None and len(column):
            with np.errstate(divide="ignore"):
                out[site.id] = np.log10(column[0])
    return out


def _meta(meta: Mapping[str, Any], key: str, length: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """[length] numbers of a stored list; NaN where there is none (files may come from anyone)."""
    kept = meta.get(key)
    if not isinstance(kept, list) or len(kept) != length:
        return np.full(length, np.nan)
    numbers = [v if isinstance(v, (int, float)) else math.nan for v in kept]
    return np.array(numbers, dtype=np.float64)
