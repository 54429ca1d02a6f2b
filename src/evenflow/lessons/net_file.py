"""A small network as a TOML file, to be stepped by hand; what is wrong in it is one sentence."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from .. import miniature as m
from ..lang import _
from ..nearby import did_you_mean, there_are
from ..showing import visible

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: Bytes of a file, and weights, at most: it is for small numbers that a reader can follow.
LARGEST, WEIGHTS = 1 << 20, 1 << 16
_KEYS = ("x", "t", "loss", "eta", "alpha", "mode", "steps", "stop", "layer")
_LAYER = ("W", "b", "f")
_STOP = ("epochs", "error", "patience", "gradient")


def whole_squared(y: m.Floats, t: m.Floats) -> tuple[float, m.Floats]:
    """E = mean of |y - t|², without the ½: twice E, and twice every gradient."""
    error, slope = m.squared(y, t)
    return 2 * error, 2 * slope


#: By its name in a file: E and ∂E/∂y.
LOSSES: dict[str, m.Loss] = {
    "squared": m.squared,
    "squared-whole": whole_squared,
    "cross-entropy": m.cross_entropy,
}


def plain_layers(layers: Sequence[m.Layer]) -> list[dict[str, Any]]:
    """Layers as a file has them, in plain JSON types."""
    return [{"W": n.W.tolist(), "b": n.b.tolist(), "f": n.f} for n in layers]


@dataclass(frozen=True, slots=True)
class NetFile:
    """All that a training by hand needs.

    Attributes:
        x, t: [n_0, B] and [n_L, B], a sample a column.
        batch: samples of an update; None = all (epoch), 1 = online.
        steps: updates that are told in full.
        stop: when the training ends; None = after `steps` updates.
    """

    layers: tuple[m.Layer, ...]
    x: m.Floats
    t: m.Floats
    loss: str = "squared"
    eta: float = 0.1
    alpha: float = 0.0
    batch: int | None = 1
    steps: int = 1
    stop: m.Stop | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types, as a file has them."""
        return {
            "x": self.x.T.tolist(),
            "t": self.t.T.tolist(),
            "loss": self.loss,
            "eta": self.eta,
            "alpha": self.alpha,
            "layer": plain_layers(self.layers),
        }

    def changed(self, **numbers: Any) -> NetFile:
        """With some of x, t, eta, alpha, mode, steps as a file would have them, and w: of each
        layer, from the first, its W. ValueError."""
        told = {key: value for key, value in numbers.items() if value is not None}
        layers = self.layers
        if "w" in told:
            layers = _weighed(layers, told.pop("w"))
        return replace(self, layers=layers, **_settings(told, layers, self.loss))


def read(path: Path) -> NetFile:
    """A file. ValueError, OSError."""
    if path.stat().st_size > LARGEST:
        raise ValueError(_("{path}: it is larger than a small network").format(path=shown(path)))
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        said = _("{path} is no TOML file: {error}")
        raise ValueError(said.format(path=shown(path), error=visible(str(error)))) from None
    try:
        return parse(told)
    except ValueError as error:
        raise ValueError(f"{shown(path)}: {error}") from None


def shown(path: Path) -> str:
    """A path in a sentence."""
    return repr(visible(str(path)))


def parse(told: Mapping[str, Any]) -> NetFile:
    """What a file holds. ValueError: what is wrong, and what to write."""
    _known(told, _KEYS, "")
    given = told.get("layer")
    if not isinstance(given, list) or not given:
        raise ValueError(_("it has no layer; write [[layer]] with W = [[...]], b = [...], f"))
    layers = tuple(_layer(each, k) for k, each in enumerate(given, 1))
    if sum(n.W.size for n in layers) > WEIGHTS:
        raise ValueError(_("it has more than {most:,} weights").format(most=WEIGHTS))
    loss = told.get("loss", "squared")
    if not isinstance(loss, str) or loss not in LOSSES:
        said = _("loss must be one of {known}, not {loss!r}")
        raise ValueError(said.format(known=", ".join(LOSSES), loss=loss))
    for key in ("x", "t"):
        if key not in told:
            raise ValueError(
                _("it has no {key}; write {key} = [[...]], a sample a row").format(key=key)
            )
    settings = {key: value for key, value in told.items() if key not in ("layer", "loss")}
    return NetFile(layers, loss=loss, **_settings(settings, layers, loss))


def _weighed(layers: Sequence[m.Layer], told: Sequence[Any]) -> tuple[m.Layer, ...]:
    if len(told) > len(layers):
        said = _("w has weights of {given} layers, but the network has {count}")
        raise ValueError(said.format(given=len(told), count=len(layers)))
    out = list(layers)
    for k, rows in enumerate(told, 1):
        W, old = _matrix(rows, f"W_{k}"), layers[k - 1].W
        if W.shape != old.shape:
            said = _("W_{k} must be {rows} rows of {columns} numbers")
            raise ValueError(said.format(k=k, rows=old.shape[0], columns=old.shape[1]))
        out[k - 1] = layers[k - 1]._replace(W=W)
    return tuple(out)


def _settings(told: Mapping[str, Any], layers: Sequence[m.Layer], loss: str) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if "x" in told:
        out["x"] = _samples(told["x"], "x", layers[0].W.shape[1])
    if "t" in told:
        out["t"] = _targets(told["t"], len(layers[-1].W), loss)
    for key in ("eta", "alpha"):
        if key in told:
            out[key] = _number(told[key], key)
    if "steps" in told:
        out["steps"] = _count(told["steps"], "steps", 0)
    if "mode" in told:
        named: dict[Any, int | None] = {"online": 1, "epoch": None}
        mode = (
            named.get(told["mode"], told["mode"]) if isinstance(told["mode"], str) else told["mode"]
        )
        out["batch"] = mode if mode is None else _count(mode, "mode", 1)
    if "stop" in told:
        _known(told["stop"], _STOP, "stop.")
        out["stop"] = _stop(told["stop"])
    return out


def _stop(told: Mapping[str, Any]) -> m.Stop:
    read: dict[str, Any] = {}
    for key, value in told.items():
        whole = key in ("epochs", "patience")
        read[key] = _count(value, f"stop.{key}", 0) if whole else _number(value, f"stop.{key}")
    return m.Stop(**read)


def _known(told: Any, keys: Sequence[str], where: str) -> None:
    if not isinstance(told, Mapping):
        raise ValueError(_("{name} must be a table").format(name=where.rstrip(".") or "it"))
    for key in told:
        if key not in keys:
            said = _("it has no {key!r}")
            hint = did_you_mean(key, keys, 1) or there_are(keys)
            raise ValueError(f"{said.format(key=where + str(key))}; {hint}")


def _layer(told: Any, k: int) -> m.Layer:
    _known(told, _LAYER, f"layer {k}.")
    if "W" not in told:
        raise ValueError(_("layer {k} has no W; write W = [[...]], a row a unit").format(k=k))
    W = _matrix(told["W"], f"W_{k}")
    b = _matrix([told.get("b", [0.0] * len(W))], f"b_{k}")[0]
    if len(b) != len(W):
        said = _("b_{k} has {b} numbers, but W_{k} has {W} rows")
        raise ValueError(said.format(k=k, b=len(b), W=len(W)))
    f = told.get("f", "identity")
    try:
        m.activation(f if isinstance(f, str) else repr(f))
    except ValueError as error:
        said = _("no activation {name!r}; there are {known}")
        known = str(error).partition("; there are ")[2]
        raise ValueError(said.format(name=f, known=known)) from None
    return m.Layer(W, b, f)


def meet(layers: Sequence[m.Layer]) -> None:
    """ValueError, in the language spoken, where a layer reads more or fewer than the one before
    gives."""
    for k, (before, layer) in enumerate(pairwise(layers), 2):
        if layer.W.shape[1] != len(before.W):
            said = _("W_{k} is {shape}, but layer {before} gives {size} rows")
            shape = "×".join(map(str, layer.W.shape))
            raise ValueError(said.format(k=k, shape=shape, before=k - 1, size=len(before.W)))


def _matrix(told: Any, name: str) -> m.Floats:
    rows = (
        told if isinstance(told, list) and told and all(isinstance(r, list) for r in told) else None
    )
    if rows is None or not rows[0]:
        raise ValueError(_("{name} must be rows of numbers, as [[1, 2], [3, 4]]").format(name=name))
    for i, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            said = _("{name} has {first} numbers in its first row and {other} in row {i}")
            raise ValueError(said.format(name=name, first=len(rows[0]), other=len(row), i=i))
    return np.array([[_number(v, name) for v in row] for row in rows])


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        said = _("{name} must be a finite number, not {value!r}")
        raise ValueError(said.format(name=name, value=value))
    return float(value)


def _count(value: Any, name: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        said = _("{name} must be a whole number from {least}, not {value!r}")
        if name == "mode":
            said = _("mode must be online, epoch, or the samples of a mini-batch, not {value!r}")
        raise ValueError(said.format(name=name, least=least, value=value))
    return value


def _samples(told: Any, name: str, size: int) -> m.Floats:
    """[size, B]; a single row of numbers is one sample."""
    if isinstance(told, list) and told and not any(isinstance(row, list) for row in told):
        told = [told]
    rows = _matrix(told, name)
    if rows.shape[1] != size:
        said = _("a sample of {name} has {given} numbers, but the network has {size} there")
        raise ValueError(said.format(name=name, given=rows.shape[1], size=size))
    return rows.T


def _targets(told: Any, size: int, loss: str) -> m.Floats:
    """As `_samples`; of a cross-entropy also the class of each sample, from 0."""
    whole = isinstance(told, list) and all(
        isinstance(v, int) and not isinstance(v, bool) for v in told
    )
    if loss != "cross-entropy":
        return _samples(told, "t", size)
    if whole and told and (size == 1 or len(told) != size or max(told) > 1 or sum(told) != 1):
        if min(told) < 0 or max(told) >= size:
            said = _("t names class {worst}, but the network has {size} outputs, 0 to {last}")
            raise ValueError(said.format(worst=max(told, key=abs), size=size, last=size - 1))
        return np.eye(size)[:, told]
    t = _samples(told, "t", size)
    if not np.allclose(t.sum(0), 1) or (t < 0).any():
        raise ValueError(_("of a cross-entropy each sample's t must be shares that add up to 1"))
    return t
