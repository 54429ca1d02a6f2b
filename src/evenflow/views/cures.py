"""A cure as `evenflow cure` keeps it, for the page: its trials, their intervals, its proof."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .plain import plain, shaped

CURE_SUFFIX = ".cure.json"
#: Bytes of a record.
CURE_LARGEST = 1_000_000
VERDICTS = ("healthy", "cured", "improved", "unproven", "uncured", "out-of-budget", "edit")

_RANGE = {"mean": "number", "low": "number", "high": "number", "per_seed": ["number"]}
_EDIT = {"treatment": "text", "why": "text", "code": "lines"}
_TRIAL = {
    **dict.fromkeys(("treatment", "stage", "ended", "error"), "text"),
    **dict.fromkeys(("loss", "metric", "goal", "seconds"), "number"),
    **dict.fromkeys(("seed", "steps"), "whole"),
    "curve": [["number"]],
}
_ARM = {
    **dict.fromkeys(("treatment", "stage"), "text"),
    **dict.fromkeys(("mean", "low", "high", "loss", "seconds"), "number"),
    "whole": "flag",
    "seeds": ["whole"],
    "values": ["number"],
    "steps": "whole",
    "ended": ["text"],
}
_SHAPE = {
    **dict.fromkeys(("verdict", "chosen", "script", "goal", "line"), "text"),
    "written": "number",
    "larger": "flag",
    "cut": "flag",
    "before": _RANGE,
    "after": _RANGE,
    "gain": _RANGE,
    "wins": "whole",
    "seeds": ["whole"],
    "trials": [_TRIAL],
    "arms": [_ARM],
    "refused": [{"treatment": "text", "why": "text"}],
    "edits": [_EDIT],
    "proposed": [_EDIT],
    "patch": {"offered": "flag", "why": "text", "diff": "lines"},
    **{key: ["text"] for key in ("uncontrolled", "findings", "lines", "notes")},
}


def read_cure(path: Path) -> dict[str, Any]:
    """All that the page shows of a cure.

    Raises:
        ValueError: the file is no record of a cure, or not one that can be believed.
        OSError: it cannot be read.
    """
    told = plain(path, CURE_LARGEST)
    if told.get("schema") != 1:
        raise ValueError(f"{path.name} is no record of a cure that this version knows")
    found: dict[str, Any] = shaped(told, _SHAPE)
    if found["verdict"] not in VERDICTS:
        raise ValueError("record.verdict is none that a cure has")
    for i, trial in enumerate(found["trials"]):
        curve = trial["curve"] or [[], []]
        if len(curve) != 2 or len(curve[0]) != len(curve[1]) or None in curve[0]:
            raise ValueError(f"record.trials[{i}].curve is no curve")
        trial["curve"] = curve
    return found


def cure_line(path: Path) -> dict[str, Any]:
    """What the list says of a cure."""
    told = read_cure(path)
    keys = ("verdict", "script", "chosen")
    return {k: told[k] for k in keys} | {"finding": told["chosen"], "started": told["written"]}
