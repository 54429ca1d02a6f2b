"""A trained model as a folder: weights in safetensors, the rest in JSON and skops; no pickle."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ..lang import _
from .network import Shape, build
from .scaling import Scaling
from .table import BadData
from .targets import Classes, Numbers

FORMAT = 1
#: What skops asks about, and what is harmless: a dtype holds no code.
TRUSTED = ["numpy.dtype"]
_FILES = ("model.json", "weights.safetensors", "preprocessing.skops")


def save(folder: Path, model: Any, preprocessing: Any, facts: dict[str, Any], page: str) -> None:
    """Write all of the folder, or nothing. OSError where that fails, BadData if it is in the way.

    Args:
        facts: what else to keep in model.json (target, columns, metrics).
        page: the report.
    """
    from safetensors.torch import save as safe
    from skops.io import dump

    folder = folder.absolute()
    if folder.exists() and not (folder / "model.json").is_file():
        said = _("{path!r} exists and is no model: give another --out.")
        raise BadData(said.format(path=str(folder)))
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        state = {name: t.contiguous().cpu() for name, t in model.network_.state_dict().items()}
        # not save_file: it makes a file that its owner alone can read
        (made / "weights.safetensors").write_bytes(safe(state))
        text = json.dumps({**_described(model), **facts}, indent=1, allow_nan=False)
        (made / "model.json").write_text(text, encoding="utf-8")
        dump(preprocessing, made / "preprocessing.skops")
        (made / "report.html").write_text(page, encoding="utf-8")
        made.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        os.rename(made, folder)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def load(folder: Path) -> tuple[Any, Any, dict[str, Any]]:
    """Model, preprocessing and facts of a folder. BadData where it is no model."""
    from safetensors.torch import load_file
    from skops.io import load as load_skops

    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        said = _("{path!r} is no model that `evenflow fit` wrote: no {file}.")
        raise BadData(said.format(path=str(folder), file=missing[0]))
    try:
        facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        if facts["format"] != FORMAT:
            said = _("{path!r} has format {found}; this reads {known}.")
            raise BadData(said.format(path=str(folder), found=facts["format"], known=FORMAT))
        model = _undescribed(facts)
        state = load_file(folder / "weights.safetensors")
        model.network_ = build(model.shape_).to(next(iter(state.values())).dtype)
        model.network_.load_state_dict(state)
        model.network_.eval()
        preprocessing = load_skops(folder / "preprocessing.skops", trusted=TRUSTED)
    except BadData:
        raise
    except Exception as error:  # a foreign file: whatever it does, it is one thing to the user
        said = _("{path!r} cannot be read: {error}")
        text = f"{type(error).__name__}: {error}"
        raise BadData(said.format(path=str(folder), error=text)) from error
    return model, preprocessing, facts


def _described(model: Any) -> dict[str, Any]:
    shape, scaled, targets = model.shape_, model.scaling_, model.targets_
    told: dict[str, Any] = {
        "format": FORMAT,
        "kind": type(model).__name__,
        "shape": {name: getattr(shape, name) for name in Shape.__dataclass_fields__},
        "scaling": _scaling(scaled),
    }
    if isinstance(targets, Classes):
        told["classes"] = {
            "kind": targets.kind,
            "values": [[c.dtype.str, c.tolist()] for c in targets.classes],
        }
    else:
        told["numbers"] = {"scaling": _scaling(targets.scaled), "flat": targets.flat}
    return told


def _scaling(s: Scaling) -> dict[str, Any]:
    bound = float(s.bound) if np.isfinite(s.bound) else None
    return {"kind": s.kind, "shift": s.shift.tolist(), "size": s.size.tolist(), "bound": bound}


def _unscaling(d: dict[str, Any]) -> Scaling:
    bound = np.inf if d["bound"] is None else float(d["bound"])
    return Scaling(d["kind"], np.array(d["shift"], float), np.array(d["size"], float), bound)


def _undescribed(facts: dict[str, Any]) -> Any:
    from .classifying import NetworkClassifier
    from .regressing import NetworkRegressor

    model: Any
    if "classes" in facts:
        values = facts["classes"]["values"]
        found = tuple(np.array(v, dtype=np.dtype(dtype)) for dtype, v in values)
        model = NetworkClassifier()
        model.targets_ = Classes(facts["classes"]["kind"], found)
        model.classes_ = found[0] if len(found) == 1 else list(found)
    else:
        model = NetworkRegressor()
        told = facts["numbers"]
        model.targets_ = Numbers(_unscaling(told["scaling"]), bool(told["flat"]))
    lists: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in facts["shape"].items()
    }
    model.shape_ = Shape(**lists)
    model.scaling_ = _unscaling(facts["scaling"])
    model.n_features_in_ = model.shape_.inputs
    return model
