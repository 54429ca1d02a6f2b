"""A model folder of `evenflow fit`, for the page: how its training went, and what it reads."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from .plain import plain, shaped

#: Formats of a model folder that tell how the training went, and bytes of its description.
FORMATS, LARGEST = (3,), 1 << 24
#: Columns that are told.
COLUMNS = 500
VERDICTS = ("healthy", "warning", "sick")

_FIT = {
    **dict.fromkeys(("data", "verdict", "stopped"), "text"),
    "learned": "flag",
    **dict.fromkeys(("epochs", "steps", "kept"), "whole"),
    **dict.fromkeys(("seconds", "baseline", "cost", "guess"), "number"),
    **{key: [["number"]] for key in ("training", "validation", "rate")},
    "spread": {"*": "number"},
    "findings": [dict.fromkeys(("code", "name", "severity", "message"), "text")],
    "treatments": [{"treatment": "text", "epoch": "whole", "reason": "text"}],
    "settings": {"*": "text"},
    "notes": ["text"],
}
_SHAPE = {
    "target": "text",
    "task": "text",
    "metrics": {"*": "number"},
    "warnings": ["text"],
    "columns": [{"name": "text", "kind": "text", "used": "flag", "why": "text"}],
    "fit": _FIT,
}


def is_model(files: Collection[str]) -> bool:
    """Do these names stand in a model folder of ours? A model.json alone may be anybody's."""
    return {"model.json", "weights.safetensors", "preprocessing.skops"} <= set(files)


def read_fit(path: Path) -> dict[str, Any]:
    """All that the page shows of a model, by its model.json. No weight is read.

    Raises:
        ValueError: the file is no description of a model, or not one that can be believed.
        OSError: it cannot be read.
    """
    told = plain(path, LARGEST)
    if told.get("format") not in FORMATS or not isinstance(told.get("fit"), dict):
        raise ValueError(f"{path.name} is of another version, which tells no curves: fit it again")
    columns = told.get("columns")
    if isinstance(columns, list):
        told["columns"], left = columns[:COLUMNS], max(0, len(columns) - COLUMNS)
    else:
        left = 0
    found: dict[str, Any] = shaped(told, _SHAPE, "model")
    for key in ("training", "validation", "rate"):
        curve = found["fit"][key] or [[], []]
        if len(curve) != 2 or len(curve[0]) != len(curve[1]) or None in curve[0]:
            raise ValueError(f"model.fit.{key} is no curve")
        found["fit"][key] = curve
    if found["fit"]["verdict"] not in VERDICTS:
        raise ValueError("model.fit.verdict is none that a fit has")
    return {**found, "left": left}


def fit_line(path: Path) -> dict[str, Any]:
    """What the list says of a model."""
    told = read_fit(path)
    fit = told["fit"]
    known = [v for v in (fit["validation"][1] or fit["training"][1]) if v is not None]
    verdict = "warning" if told["warnings"] and fit["verdict"] == "healthy" else fit["verdict"]
    return {
        "verdict": verdict,
        "script": f"{fit['data']}: {told['target']}",
        "finding": "",
        "steps": fit["steps"],
        "loss": known[:: max(1, len(known) // 60)],
    }
