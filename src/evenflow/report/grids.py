"""Layers x steps, small enough to put into a page. R rows, K columns, T sampled steps."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..lang import N_, _
from ..schema import Finding, Run, metric_named
from .layers import SPOILT, Floats, chosen, named_sites, relative_updates

#: Cells of one grid at most: 2.7 bytes each in the page.
CELLS = 20_000
ROWS = 160
COLUMNS = 400
#: Codes of a cell: 0 to `TOP` run from the grid's low to its high end.
TOP = 64_999
ZERO, BROKEN, MISSING = 65_000, 65_001, 65_535


@dataclass(frozen=True, slots=True)
class Kind:
    """What a grid shows: a metric of sites, or the relative update."""

    key: str
    title: str
    unit: str
    hint: str

    @property
    def log(self) -> bool:
        """Is it read in decades? Shares are from 0 to 1."""
        return self.key == "update" or metric_named("site", self.key).unit != "share"


KINDS = (
    Kind("delta", N_("Gradient"), N_("rms of δ"), N_("How much of the error reaches each layer.")),
    Kind("rms", N_("Signal"), N_("rms of x"), N_("How large each layer's output is.")),
    Kind("update", N_("Update"), "|Δw| / |w|", N_("How far each update moves a layer's weights.")),
    Kind("saturated", N_("Saturated"), N_("share of elements"), N_("Elements past an asymptote.")),
    Kind("dead", N_("Dead"), N_("share of units"), N_("Units no gradient reached in the window.")),
)


def pick_steps(run: Run, findings: Sequence[Finding], rows: int) -> npt.NDArray[np.int64]:
    """Positions [K] of the sampled steps to show: all, or evenly spaced ones and the onsets.

    Each column is one true sampled step, never a mean: what the page shows was measured.
    """
    total = len(run.steps)
    most = max(2, min(COLUMNS, CELLS // max(rows, 1)))
    if total <= most:
        return np.arange(total)
    onsets = np.searchsorted(run.steps, [f.first_step for f in findings])[: most // 4]
    even = np.linspace(0, total - 1, most - len(onsets)).round().astype(np.int64)
    return np.unique(np.concatenate([even, np.clip(onsets, 0, total - 1)]))


def grids(run: Run, findings: Sequence[Finding]) -> dict[str, Any]:
    """`{"steps": [K], "grids": [{key, title, ..., "rows": [R site ids], "cells": base64}]}`."""
    updates = relative_updates(run)
    named = named_sites(findings)
    found = []
    for kind in KINDS:
        columns = updates if kind.key == "update" else _columns(run, kind.key)
        ids = [i for i, column in columns.items() if (~np.isnan(column)).any()]
        if ids:
            found.append((kind, columns, chosen(ids, named, ROWS), len(ids)))
    at = pick_steps(run, findings, max((len(ids) for _, _, ids, _ in found), default=0))
    out = []
    for kind, columns, ids, whole in found:
        values_RK = np.stack([columns[i][at] for i in ids])
        broken_RK = np.isinf(values_RK)
        if kind.key in SPOILT:
            for row, i in enumerate(ids):
                column = run.site(i, SPOILT[kind.key])
                if column is not None:
                    broken_RK[row] |= np.nan_to_num(column[at]) > 0
        codes, low, high = encode(values_RK, broken_RK, kind.log)
        out.append(
            {
                "key": kind.key,
                **{what: _(getattr(kind, what)) for what in ("title", "unit", "hint")},
                "log": kind.log,
                "low": low,
                "high": high,
                "rows": ids,
                "whole": whole,
                "cells": base64.b64encode(codes.astype("<u2").tobytes()).decode("ascii"),
            }
        )
    return {"steps": run.steps[at].tolist(), "sampled": len(run.steps), "grids": out}


def _columns(run: Run, metric: str) -> dict[int, Floats]:
    found = {}
    for site in run.sites:
        column = run.site(site.id, metric)
        if column is not None and site.kind not in ("input", "loss"):
            found[site.id] = column
    return found


def encode(
    values_RK: Floats, broken_RK: npt.NDArray[np.bool_], log: bool
) -> tuple[npt.NDArray[np.uint16], float, float]:
    """Values to 16-bit codes (0.3 % fine over 90 decades) and the ends of their range."""
    codes = np.full(values_RK.shape, MISSING, np.uint16)
    known = np.isfinite(values_RK)
    if log:
        codes[known & (values_RK <= 0)] = ZERO
        known &= values_RK > 0
    scaled = np.log10(values_RK, where=known, out=np.zeros_like(values_RK)) if log else values_RK
    low, high = 0.0, 1.0
    if log and known.any():
        low, high = float(scaled[known].min()), float(scaled[known].max())
    span = max(high - low, 1e-9)
    codes[known] = np.clip((scaled[known] - low) / span * TOP, 0, TOP).round().astype(np.uint16)
    codes[broken_RK] = BROKEN
    return codes, low, high
