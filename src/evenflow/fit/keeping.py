"""A trained model as a folder: weights in safetensors, the rest in JSON and skops; no pickle.

A folder may come from anybody. What its files say of sizes is believed only after it was held
against the bytes that are there, and what they hold is checked before anything is computed by it.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import tempfile
import warnings
import zipfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.lib import format as npy
from safetensors import safe_open
from safetensors.torch import load_file
from safetensors.torch import save as safe
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.pipeline import Pipeline
from skops.io import dump
from skops.io import load as load_skops
from skops.io.exceptions import UntrustedTypesFoundException

from ..lang import _
from ..showing import shown
from .columns import KINDS, Column
from .encoding import TOPICS, Encoder, categories_coder, numbers_coder, text_coders
from .estimators import NetworkClassifier, NetworkRegressor
from .network import NORMS, RESIDUALS, NetworkShape, build
from .reading import BadData
from .scaling import SCALES, Scaling
from .targets import Classes, Numbers

FORMAT = 3
#: What skops asks about, and what is harmless: a dtype holds no code.
TRUSTED = ["numpy.dtype"]
#: Bytes that model.json, and preprocessing.skops unpacked, may have.
LARGEST, UNPACKED = 1 << 24, 1 << 28
_FILES = ("model.json", "weights.safetensors", "preprocessing.skops")


class Damaged(Exception):
    """A model folder that is there and cannot be trusted; the message says what is wrong."""


def save(folder: Path, model: Any, encoder: Encoder, facts: dict[str, Any], page: str) -> None:
    """Write all of the folder, or nothing; `facts` go into model.json, `page` is the report.

    OSError where that fails, BadData if something else is in the way.
    """
    folder = folder.absolute()
    if folder.exists() and not (folder / "model.json").is_file():
        line = _("{path} exists and is no model: give another --out.")
        raise BadData(line.format(path=shown(folder)))
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        state = {name: t.contiguous().cpu() for name, t in model.network_.state_dict().items()}
        # not save_file: it makes a file that its owner alone can read
        (made / "weights.safetensors").write_bytes(safe(state))
        usual = {f.name: f.default for f in fields(Column)}  # what a column has anyway is not kept
        columns = [
            {name: v for name, v in asdict(column).items() if v != usual[name]}
            for column in encoder.columns
        ]
        data = {**_described(model), "columns": columns, **facts}
        text = json.dumps(data, indent=1, allow_nan=False)
        if len(text.encode()) > LARGEST:  # `load` would not read it
            raise BadData(_("the table has too many columns or categories for a model folder."))
        (made / "model.json").write_text(text, encoding="utf-8")
        parts = {"numbers": encoder.numbers, "categories": encoder.categories}
        dump({**parts, "texts": encoder.texts}, made / "preprocessing.skops")
        (made / "report.html").write_text(page, encoding="utf-8")
        made.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        os.rename(made, folder)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def load(folder: Path) -> tuple[Any, Encoder, dict[str, Any]]:
    """Model, encoder and facts of a folder.

    Raises:
        BadData: it is no model of `evenflow fit`.
        Damaged: it is one, or looks like one, and cannot be trusted.
    """
    if not (folder / "model.json").is_file():
        line = _("{path} is no model that `evenflow fit` wrote: no {file}.")
        raise BadData(line.format(path=shown(folder), file="model.json"))
    try:
        missing = [name for name in _FILES if not (folder / name).is_file()]
        if missing:
            raise Damaged(_("it has no {file}").format(file=missing[0]))
        facts = _facts(folder / "model.json")
        model = _undescribed(facts)
        _weigh_(model, folder / "weights.safetensors")
        encoder = Encoder(_columns(facts["columns"]), **_parts(folder / "preprocessing.skops"))
        _fits(encoder, model)
    except Exception as error:  # a foreign file: whatever it does, it is one thing to the user
        line = _("{path} is damaged, or no model that can be trusted: {error}.")
        text = str(error)
        if not isinstance(error, Damaged):
            text = shown(f"{type(error).__name__}: {error}", 200)[1:-1]
        raise Damaged(line.format(path=shown(folder), error=text)) from error
    return model, encoder, facts


def _need(holds: object, what: str) -> None:
    if not holds:
        raise Damaged(what)


def _frozen(told: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in told.items()}


# -- model.json -----------------------------------------------------------------------------------


def _described(model: Any) -> dict[str, Any]:
    targets = model.targets_
    data: dict[str, Any] = {
        "format": FORMAT,
        "kind": type(model).__name__,
        "shape": asdict(model.shape_),
        "scaling": _scaling(model.scaling_),
    }
    if isinstance(targets, Classes):
        values = [[c.dtype.str, c.tolist()] for c in targets.classes]
        return {**data, "classes": {"kind": targets.kind, "values": values}}
    return {**data, "numbers": {"scaling": _scaling(targets.scaled), "flat": targets.flat}}


def _scaling(s: Scaling) -> dict[str, Any]:
    bound = float(s.bound) if np.isfinite(s.bound) else None
    return {"kind": s.kind, "shift": s.shift.tolist(), "size": s.size.tolist(), "bound": bound}


def _facts(path: Path) -> dict[str, Any]:
    """The facts in model.json: of a known format, and checked where the model does not do so."""

    def refuse(constant: str) -> None:
        raise Damaged(_("model.json holds {value}").format(value=constant))

    _need(path.stat().st_size <= LARGEST, _("model.json is too large"))
    try:
        facts = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    except RecursionError:
        raise Damaged(_("model.json is nested too deeply")) from None
    except UnicodeDecodeError:
        raise Damaged(_("model.json is not UTF-8")) from None
    except ValueError as error:
        raise Damaged(_("model.json is no JSON ({error})").format(error=shown(error))) from None
    if not isinstance(facts, dict) or "format" not in facts:
        raise Damaged(_("model.json describes no model"))
    if facts["format"] != FORMAT:
        text = _("it has format {found}; this reads {known}: fit it again")
        raise Damaged(text.format(found=shown(facts["format"]), known=FORMAT))
    for name in ("shape", "scaling", "columns", "target", "task"):
        _need(name in facts, _("model.json has no {name}").format(name=name))
    _need(isinstance(facts["target"], str), _("its target is no name"))
    task = "classification" if "classes" in facts else "regression"
    _need(facts["task"] == task, _("its task does not fit its targets"))
    return facts


def _undescribed(facts: dict[str, Any]) -> Any:
    model: Any
    shape = _shape(facts["shape"])
    if facts["task"] == "classification":
        told = facts["classes"]
        _need(told["kind"] == "one" and len(told["values"]) == 1, _("its classes are no column"))
        known = _known(*told["values"][0])
        model = NetworkClassifier()
        model.targets_, model.classes_ = Classes("one", (known,)), known
    else:
        model = NetworkRegressor()
        told = facts["numbers"]
        scaled = _unscaling(told["scaling"], shape.outputs)
        _need(told["flat"] is True and math.isinf(scaled.bound), _("its target is no number"))
        model.targets_ = Numbers(scaled, True)
    _need(shape.outputs == model.targets_.outputs, _("its outputs are not its targets"))
    model.shape_ = shape
    model.scaling_ = _unscaling(facts["scaling"], shape.inputs)
    model.n_features_in_ = shape.inputs
    return model


def _shape(told: dict[str, Any]) -> NetworkShape:
    _need(set(told) == {f.name for f in fields(NetworkShape)}, _("its layers are not described"))
    shape = NetworkShape(**_frozen(told))
    sizes = (shape.inputs, shape.outputs, *shape.hidden)
    whole = all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in sizes)
    _need(whole and len(shape.hidden) == len(shape.activations), _("its layers make no network"))
    known = shape.norm in NORMS and shape.residual in RESIDUALS
    share = isinstance(shape.dropout, (int, float)) and 0 <= shape.dropout < 1
    _need(known and share, _("its layers are of no known kind"))
    return shape


def _known(kind: str, values: list[Any]) -> Any:
    """Classes as they were: text, whole numbers or numbers; sorted, each once, two at least."""
    want = np.dtype(kind).kind
    types: Any = {"U": str, "i": int, "u": int, "f": (int, float), "b": bool}.get(want, ())
    _need(all(isinstance(v, types) for v in values), _("its classes are not what they say"))
    # the length of a text comes from the texts, and not from the file's word for it
    found = np.array(values) if want == "U" else np.array(values, dtype=np.dtype(kind))
    distinct = found.ndim == 1 and len(found) > 1 and bool((found[1:] > found[:-1]).all())
    _need(distinct, _("it has no two classes in order"))
    return found


def _unscaling(told: dict[str, Any], columns: int) -> Scaling:
    shift, size = (np.array(told[name], dtype=np.float64) for name in ("shift", "size"))
    _need(shift.shape == size.shape == (columns,), _("its scaling is of another width"))
    bound = np.inf if told["bound"] is None else float(told["bound"])
    sound = np.isfinite(shift).all() and np.isfinite(size).all() and (size != 0).all() and bound > 0
    _need(sound and told["kind"] in SCALES, _("its scaling is no number"))
    return Scaling(told["kind"], shift, size, bound)


# -- weights.safetensors --------------------------------------------------------------------------


def _weigh_(model: Any, path: Path) -> None:
    """The network of the model's shape with the weights of a file; built once both agree."""
    with safe_open(path, framework="pt") as held:  # reads the header, which must fit the file
        sizes = {name: tuple(held.get_slice(name).get_shape()) for name in held.keys()}  # noqa: SIM118
    shape = model.shape_
    _need(len(shape.hidden) <= len(sizes), _("it has more layers than weights"))
    widths = {n for size in sizes.values() for n in size}
    _need(widths.issuperset((shape.inputs, shape.outputs, *shape.hidden)),
          _("its layers are not of its weights' sizes"))  # fmt: skip
    with torch.device("meta"):  # nothing is allocated
        meant = build(shape).state_dict()
    agree = {name: tuple(t.shape) for name, t in meant.items()} == sizes
    _need(agree, _("its weights are not of its layers' sizes"))
    state = load_file(path)
    for name, t in state.items():
        floats = t.is_floating_point()
        _need(floats == meant[name].is_floating_point(), _("its weights are of another type"))
        sound = not floats or bool(torch.isfinite(t).all())
        _need(sound, _("its weights {name} hold a NaN or infinity").format(name=shown(name)))
    kinds = [t.dtype for t in state.values() if t.is_floating_point()]
    _need(kinds[0] in (torch.float32, torch.float64), _("its weights are of another type"))
    network = build(shape).to(kinds[0])
    network.load_state_dict(state)
    model.network_ = network.eval()


# -- columns and preprocessing.skops --------------------------------------------------------------


def _columns(told: Any) -> tuple[Column, ...]:
    types = {f.name: f.type for f in fields(Column)}
    found = []
    for entry in told:
        _need(isinstance(entry, dict) and set(entry) <= set(types), _("its columns are no columns"))
        column = Column(**_frozen(entry))
        for name, kind in types.items():
            value = getattr(column, name)
            want = {"str": str, "bool": bool}.get(str(kind), tuple)
            words = not isinstance(value, tuple) or all(isinstance(v, str) for v in value)
            _need(isinstance(value, want) and words, _("its columns are no columns"))
        _need(column.kind in (*KINDS, "constant", "empty"), _("its columns are of no known kind"))
        found.append(column)
    return tuple(found)


def _parts(path: Path) -> dict[str, Any]:
    """What scikit-learn fitted: these classes with their settings, and nothing else."""
    _unpackable(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        try:
            made = load_skops(path, trusted=TRUSTED)
        except RecursionError:
            raise Damaged(_("preprocessing.skops is nested too deeply")) from None
        except UntrustedTypesFoundException:
            raise Damaged(_("preprocessing.skops holds what is not to be trusted")) from None
    foreign = _("preprocessing.skops holds another thing")
    if type(made) is not dict or set(made) != {"numbers", "categories", "texts"}:
        raise Damaged(foreign)
    _need(type(made["texts"]) is dict, foreign)
    coders = ((made["numbers"], numbers_coder()), (made["categories"], categories_coder()))
    meant = [(found, like) for found, like in coders if found is not None]
    for name, pipe in made["texts"].items():
        _need(type(name) is str and type(pipe) is Pipeline and len(pipe.steps) == 2, foreign)
        words, reduced = (step for __, step in pipe.steps)
        size: Any = getattr(reduced, "n_components", None)
        _need(type(size) is int and 0 < size <= TOPICS, foreign)
        meant += zip((words, reduced), text_coders(size), strict=True)
    for found, like in meant:
        # settings, too: a pattern of words may be one that never ends
        _need(type(found) is type(like) and _settings(found) == _settings(like), foreign)
    return made


def _settings(coder: Any) -> str:
    return repr(sorted(coder.get_params(deep=False).items()))  # as text: NaN is not itself


def _unpackable(path: Path) -> None:
    """Damaged for an archive of other things, or of sizes that its bytes do not bear out."""
    with zipfile.ZipFile(path) as packed:
        held = packed.infolist()
        names = [e.filename for e in held]
        plain = all(name == "schema.json" or name.endswith(".npy") for name in names)
        _need(plain and len(set(names)) == len(names), _("preprocessing.skops holds other files"))
        sizes = {e.filename: e.file_size for e in held}
        _need(sum(sizes.values()) <= UNPACKED, _("preprocessing.skops is too large"))
        described = 0 < sizes.get("schema.json", 0) <= LARGEST
        _need(described, _("preprocessing.skops does not say what it holds"))
        for name in names:
            if name != "schema.json":
                with packed.open(name) as array:
                    shape, kind = _header(array)
                    bytes_ = math.prod(shape) * max(kind.itemsize, 1)
                    _need(
                        0 <= bytes_ <= sizes[name] - array.tell(),
                        _("an array is larger than its bytes"),
                    )


def _header(array: Any) -> tuple[tuple[int, ...], Any]:
    version = npy.read_magic(array)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    _need(version in read, _("an array is of no known kind"))
    shape, __, kind = read[version](array)
    return shape, kind


def _fits(encoder: Encoder, model: Any) -> None:
    """Do columns, what was fitted on them and the network belong together? One row is tried."""
    foreign = _("its columns are not those of preprocessing.skops")
    numbers, categories, wide = encoder.numbers, encoder.categories, encoder.wide()
    _need((numbers is not None) == (wide > 0), foreign)
    if numbers is not None:
        middle = numbers.statistics_
        _need(middle.shape == (wide,) and np.isfinite(middle).all(), foreign)
    wanted = encoder.of("category")
    _need((categories is not None) == bool(wanted), foreign)
    _need(categories is None or len(categories.categories_) == len(wanted), foreign)
    _need(list(encoder.texts) == [c.name for c in encoder.of("text")], foreign)
    plain = {c.name: c.kind == "number" and not c.text for c in encoder.columns}
    row = pd.DataFrame({name: [0.0 if number else "0"] for name, number in plain.items()})
    made = encoder.transform(row)[0]
    _need(made.shape == (1, model.shape_.inputs), _("its columns are not the network's inputs"))
    _need(np.isfinite(made).all(), _("preprocessing.skops makes no numbers"))
