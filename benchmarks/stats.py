"""Key readings of a run, for whoever sets a threshold (on the calibration half)."""

from __future__ import annotations

from typing import Any

import numpy as np

from evenflow.schema import Run


def _ends(column: np.ndarray | None) -> list[float] | None:
    """First, median and last measured value; None if there is none."""
    if column is None:
        return None
    seen = column[np.isfinite(column)]
    if not len(seen):
        return None
    return [float(f"{v:.4g}") for v in (seen[0], float(np.median(seen)), seen[-1])]


def key_readings(run: Run) -> dict[str, Any]:
    """First, median and last value of every site and parameter metric, and the loss in tenths."""
    sites = {}
    for site in run.sites:
        row = {
            c.metric: e
            for c, v in run.columns.items()
            if c.of == "site" and c.id == site.id and (e := _ends(v)) is not None
        }
        sites[f"{site.id} {site.name}"] = {"kind": site.kind, **row}
    params: dict[str, Any] = {}
    for p in run.params:
        row = {
            m: e
            for m in ("grad", "weight", "update", "grad_zeros")
            if (e := _ends(run.param(p.id, m))) is not None
        }
        update, weight = run.param(p.id, "update"), run.param(p.id, "weight")
        if update is not None and weight is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                row["ratio"] = _ends(update / weight)
        params[p.name] = {"optimizer": p.optimizer, "trainable": p.trainable, **row}
    curve = [
        float(f"{part.mean():.4g}") for part in np.array_split(run.curve_loss, 10) if len(part)
    ]
    return {"steps": [int(s) for s in run.steps], "loss": curve, "sites": sites, "params": params}
