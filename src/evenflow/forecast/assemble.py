"""From predicted readings to a forecast: one place for both methods. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..diagnosis import diagnose
from ..faults import Birth, View
from ..schema import Channel, Parameter, Reading, Run, Site
from .record import Forecast, Outlook

#: δ of a run stays within float64; what lies beyond is kept as a logarithm, beside it.
_LOWEST, _HIGHEST = -300.0, 300.0


def assemble(
    name: str,
    method: str,
    sites: Sequence[Site],
    params: Sequence[Parameter],
    readings: Mapping[Channel, float],
    log10_delta: Sequence[float],
    error_bar: Sequence[float],
    *,
    meta: Mapping[str, Any] | None = None,
) -> Forecast:
    """Judge predicted readings and put them into a forecast.

    Args:
        name: of the model. method: "one-pass" or "static".
        sites: [S] in forward order, ids 0 to S-1, with `inputs` and `params`, as the tape's.
        params: [P] ids 0 to P-1; weights have two dimensions or more.
        readings: those of sites and parameters by channel; at least "rms" and
            "spread" of each site, and "saturated", "dead", "zeros" of activations where known.
            What is not foreseen is left out. "delta" is made here from `log10_delta`.
        log10_delta: [S] log10 of rms δ, on any common scale; NaN where unknown, -inf where
            exactly zero. It is moved so that the anchor (see `anchor`) has 0.
        error_bar: [S] decades, one standard deviation; NaN where unknown.
        meta: more keys for `Run.meta`.

    Raises:
        ValueError: lengths that do not fit together, or ids that are not places.
    """
    if not len(sites) == len(log10_delta) == len(error_bar):
        raise ValueError(
            f"{len(sites)} sites, {len(log10_delta)} log10_delta and {len(error_bar)} error_bar: "
            "give one of each for every site"
        )
    for records in (sites, params):
        if [r.id for r in records] != list(range(len(records))):
            raise ValueError("ids must be 0, 1, 2, ... in order, for sites and for params")
    levels = np.asarray(log10_delta, dtype=np.float64)
    levels = levels - levels[anchor(sites, params, levels)] if len(levels) else levels
    values = _with_deltas(readings, sites, levels)
    reading = Reading(0, tuple(values), np.array(list(values.values())), source="predicted")
    known = {"log10_delta": levels.tolist(), "error_bar": list(map(float, error_bar))}
    run = _predicted(name, {"method": method, **known, **(meta or {})}, sites, params, values)
    birth = Birth(View(run))
    return Forecast(
        name=name,
        method=method,
        run=run,
        reading=reading,
        outlooks=tuple(_outlook(run, s, levels.tolist(), error_bar) for s in sites),
        findings=tuple(diagnose(run)),
        depth=birth.depth,
        trainable_depth=birth.trainable_depth,
        chance=birth.chance,
    )


def _with_deltas(
    readings: Mapping[Channel, float], sites: Sequence[Site], levels: npt.NDArray[np.float64]
) -> dict[Channel, float]:
    """The known readings, and rms δ of each site, as far as float64 holds it."""
    values = {c: float(v) for c, v in readings.items() if not math.isnan(v)}
    for site, level in zip(sites, levels, strict=True):
        if not math.isnan(level):
            rms = 0.0 if np.isneginf(level) else 10.0 ** float(np.clip(level, _LOWEST, _HIGHEST))
            values[Channel("site", site.id, "delta")] = rms
    return values


def _predicted(
    name: str,
    meta: dict[str, Any],
    sites: Sequence[Site],
    params: Sequence[Parameter],
    values: Mapping[Channel, float],
) -> Run:
    """The readings as a run of one step."""
    return Run(
        name=name,
        meta=meta,
        sites=tuple(sites),
        params=tuple(params),
        steps=np.zeros(1, dtype=np.int64),
        columns={c: np.array([v]) for c, v in values.items()},
        curve_steps=np.empty(0, dtype=np.int64),
        curve_loss=np.empty(0),
        source="predicted",
    )


def anchor(
    sites: Sequence[Site], params: Sequence[Parameter], levels: npt.NDArray[np.float64]
) -> int:
    """Id of the site that others are held against: the last layer with weights that δ reached
    (a network's head), else the last site of all that it reached."""
    weights = {p.name for p in params if len(p.shape) >= 2}
    known = [s for s in sites if math.isfinite(levels[s.id])]
    heads = [s for s in known if s.kind != "embedding" and weights.intersection(s.params)]
    return (heads or known or [sites[-1]])[-1].id


def _outlook(run: Run, site: Site, levels: Sequence[float], bars: Sequence[float]) -> Outlook:
    def read(metric: str) -> float:
        column = run.site(site.id, metric)
        return float(column[0]) if column is not None else math.nan

    rms = read("rms")
    with np.errstate(divide="ignore"):
        log10_q = 2.0 * float(np.log10(rms))
    return Outlook(
        site=site,
        log10_delta=float(levels[site.id]),
        log10_q=log10_q,
        one_minus_c=read("spread"),
        saturated=read("saturated"),
        dead=read("dead"),
        error_bar=float(bars[site.id]),
    )
