"""How a fit went, as plain JSON in its model folder: what the page draws and tells of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .judging import Judged
from .outcome import FitReport

#: Points of a curve; entries of a list, and characters of a text in it.
POINTS, MANY, LONG = 600, 50, 2000


def history_as_json(
    data: str, report: FitReport, judged: Judged, notes: Sequence[str]
) -> dict[str, Any]:
    """Curves by epoch, what was found and done, and what a row costs, guessed and predicted.

    A curve is [epochs, values], aligned by its last point: what was judged before the first epoch
    stands at 0. None stands for what was not finite.
    """
    last = report.epochs
    kept = report.best_epoch
    return {
        "data": data,
        "verdict": report.verdict,
        "learned": report.learned,
        "stopped": report.stopped,
        "epochs": last,
        "steps": report.steps,
        "kept": kept,
        "seconds": round(report.seconds, 3),
        "baseline": _finite(report.baseline),
        "training": _curve(report.errors, last, kept),
        "validation": _curve(report.held_out, last, kept),
        "rate": _curve(report.rates, last, kept),
        "cost": _mean(judged.loss_N),
        "guess": _mean(judged.guess_N),
        "spread": {name: _finite(v) for name, v in judged.spread.items()},
        "findings": [
            {"code": f.code, "name": f.name, "severity": f.severity.name, "message": f.message}
            for f in report.findings[:MANY]
        ],
        "treatments": [
            {"treatment": t.treatment, "epoch": t.epoch, "reason": t.reason[:LONG]}
            for t in report.treatments[:MANY]
        ],
        "settings": {name: _told(value) for name, value in report.settings.items()},
        "notes": [note[:LONG] for note in notes[:MANY]],
    }


def _curve(values: Sequence[float], last: int, kept: int) -> list[list[float | None]]:
    """Evenly spread points of it; its ends and the epoch that was kept are among them."""
    if not values:
        return [[], []]
    first = last + 1 - len(values)
    at = np.linspace(0, len(values) - 1, min(POINTS, len(values))).round().astype(int).tolist()
    picked = sorted({*at, min(max(kept - first, 0), len(values) - 1)})
    return [[first + i for i in picked], [_finite(values[i]) for i in picked]]


def _mean(values: Any) -> float | None:
    return _finite(float(np.mean(values))) if len(values) else None


def _finite(value: float) -> float | None:
    return float(f"{value:.7g}") if math.isfinite(value) else None


def _told(value: object) -> str:
    if isinstance(value, (tuple, list)):
        return ", ".join(map(_told, value))
    return (f"{value:.4g}" if isinstance(value, float) else str(value))[:LONG]
