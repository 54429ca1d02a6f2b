"""Records of cures and folders of models for the page's tests, as the commands write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def trial(stage: str, treatment: str | None, seed: int, steps: int, goal: float | None) -> Any:
    """One trial; its loss falls the faster the better its goal is."""
    fall = goal or 0.01
    return {
        "treatment": treatment, "stage": stage, "seed": seed, "steps": steps, "loss": 1 - fall,
        "metric": goal, "ended": "finished", "error": None, "seconds": 2.5, "goal": goal,
        "curve": [list(range(10)), [1 - fall * k / 10 for k in range(10)]],
    }  # fmt: skip


def arm(stage: str, treatment: str | None, steps: int, *values: float | None) -> Any:
    """Trials of one treatment in one stage."""
    known = [v for v in values if v is not None]
    mean = sum(known) / len(known) if len(known) == len(values) else None
    two = len(values) > 1 and mean is not None
    return {
        "stage": stage, "treatment": treatment, "whole": steps == 90, "values": list(values),
        "seeds": list(range(3, 3 + len(values))) if two else [0], "mean": mean,
        "low": mean - 0.02 if two and mean else None, "high": mean + 0.02 if two and mean else None,
        "loss": 0.4, "steps": steps, "seconds": 2.5, "ended": ["finished"],
    }  # fmt: skip


def record(**changed: Any) -> dict[str, Any]:
    """A proven cure."""
    before, after = [0.51, 0.5, 0.52], [0.97, 0.98, 0.99]
    proof = [trial("confirm", t, s, 90, v) for s, b, a in zip((3, 4, 5), before, after, strict=True)
             for t, v in ((None, b), ("rezero", a))]  # fmt: skip
    return {
        "schema": 1, "verdict": "cured", "chosen": "rezero", "script": "train.py",
        "written": 1.0, "goal": "acc", "larger": True, "wins": 3, "seeds": [3, 4, 5],
        "before": {"mean": 0.51, "low": 0.48, "high": 0.54, "per_seed": before},
        "after": {"mean": 0.98, "low": 0.95, "high": 1.0, "per_seed": after},
        "gain": {"mean": 0.47, "low": 0.44, "high": 0.5},
        "findings": ["EF101 vanishing-gradient"], "lines": ["train.py:6, 24 × Sigmoid"],
        "line": 'evenflow.treat_(model, optimizer, "rezero", batch)', "notes": ["a note"],
        "trials": [trial("watch", None, 0, 90, 0.5), trial("final", "rezero", 0, 90, 0.97), *proof],
        "arms": [
            arm("watch", None, 90, 0.5), arm("screen", "norm=batch", 12, None),
            arm("screen", "rezero", 12, None), arm("final", "norm=batch", 90, 0.8),
            arm("final", "rezero", 90, 0.97), arm("confirm", None, 90, *before),
            arm("confirm", "rezero", 90, *after),
        ],
        "refused": [{"treatment": "init=lsuv", "why": "no such layer"}],
        "edits": [{"treatment": "rezero", "why": "for EF101", "code": "x = x + a * f(x)"}],
        "proposed": [], "uncontrolled": ["the script ignores seeds"], **changed,
    }  # fmt: skip


def cure_file(folder: Path, name: str, told: Any) -> Path:
    path = folder / f"{name}.cure.json"
    path.write_text(told if isinstance(told, str) else json.dumps(told))
    return path


def model(**changed: Any) -> dict[str, Any]:
    """What model.json tells the page."""
    epochs = list(range(1, 41))
    fit = {
        "data": "houses.csv", "verdict": "healthy", "learned": True, "stopped": "patience",
        "epochs": 40, "steps": 400, "kept": 30, "seconds": 1.5, "baseline": 1.0,
        "training": [epochs, [1 / k for k in epochs]],
        "validation": [[0, *epochs], [1.0, *(1 / k + 0.1 for k in epochs)]],
        "rate": [epochs, [0.01 / k for k in epochs]], "cost": 0.2, "guess": 0.9, "spread": {},
        "findings": [], "treatments": [{"treatment": "lr=*0.3", "epoch": 4, "reason": "it left"}],
        "settings": {"hidden": "128, 128"}, "notes": ["Judged on 8 rows held out of 40."],
    }  # fmt: skip
    columns = [
        {"name": "size", "kind": "number", "used": True, "why": "a number"},
        {"name": "id", "kind": "id", "used": False, "why": "it counts the rows"},
    ]
    return {"format": 3, "kind": "NetworkRegressor", "target": "price", "task": "regression",
            "metrics": {"R²": 0.9}, "warnings": [], "columns": columns,
            "fit": {**fit, **changed}}  # fmt: skip


def model_folder(folder: Path, told: Any) -> Path:
    """As `evenflow fit` names its files; the weights are none."""
    folder.mkdir(parents=True)
    text = told if isinstance(told, str) else json.dumps(told)
    (folder / "model.json").write_text(text)
    for name in ("weights.safetensors", "preprocessing.skops"):
        (folder / name).write_bytes(b"")
    return folder / "model.json"
