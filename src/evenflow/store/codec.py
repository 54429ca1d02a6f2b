"""Records to JSON and bytes, and back. Decoding trusts nothing: a file may come from anyone."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..schema import Channel, Event, Parameter, Site, Where
from ..showing import visible
from .format import MAX_LAYOUT_BYTES

_SMALLEST = np.array([1], np.uint32)  # bits of float32's smallest subnormal
_LARGEST = np.float32(np.finfo(np.float32).max)
#: Whole numbers beyond are nobody's (steps, sizes): such as float64 holds exactly.
_FAR = 2**53
_DEEPEST = 40  # of a record's lists and tables, one within the other
_MOST_SIZES = 64


def pack(values: npt.NDArray[np.float64]) -> bytes:
    """float64 [C] to float32 little-endian bytes.

    A value too small for float32 becomes its smallest subnormal, never 0, because "exactly zero"
    is a finding of its own; a finite value too large becomes float32's largest, never inf. Tested
    on bits: with denormals flushed (`torch.set_flush_denormal`) comparisons with 0 lie.
    """
    with np.errstate(all="ignore"):
        out = np.ascontiguousarray(values, np.float64).astype("<f4")
    bits = out.view(np.uint32)
    wide = np.ascontiguousarray(values, np.float64).view(np.uint64)
    vanished = ((bits << 1) == 0) & ((wide << np.uint64(1)) != 0)
    if vanished.any():
        sign = (wide[vanished] >> np.uint64(63)).astype(np.uint32) << np.uint32(31)
        bits[vanished] = sign | _SMALLEST
    overflowed = np.isinf(out) & np.isfinite(values)
    if overflowed.any():
        out[overflowed] = np.copysign(_LARGEST, out[overflowed])
    return out.tobytes()


def _plain(value: Any) -> Any:
    """For `json`: numpy scalars and arrays as numbers and lists, anything else as its text."""
    if isinstance(value, Where):
        return value.as_dict()
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else str(value)


def dump(value: Any) -> str:
    """JSON in ASCII (so even lone surrogates in a user's names survive); NaN and Infinity kept."""
    if isinstance(value, Mapping):
        value = {str(k): v for k, v in value.items()}
    return json.dumps(value, default=_plain, separators=(",", ":"), skipkeys=True)


def parse(text: Any) -> Any:
    """Inverse of `dump`, with texts made visible. Raises ValueError on what is not JSON text."""
    if not isinstance(text, str):
        raise ValueError(f"a record is {type(text).__name__}, not text")
    try:
        return _shown(json.loads(text, parse_int=_near), _DEEPEST)
    except RecursionError:
        raise ValueError("a record is nested too deep") from None


def _near(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= (value := int(digits)) < 2**63:
        raise ValueError(f"a number of {len(digits)} digits")
    return value


def _shown(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return visible(value, lines=True)
    if not isinstance(value, (list, dict)):
        return value
    if not depth:
        raise ValueError("a record is nested too deep")
    if isinstance(value, list):
        return [_shown(item, depth - 1) for item in value]
    return {visible(key): _shown(item, depth - 1) for key, item in value.items()}


def _whole(value: Any) -> int:
    if type(value) is not int or not -_FAR <= value < _FAR:
        raise ValueError(f"not a whole number: {value!r:.60}")
    return value


def _count(value: Any) -> int:
    if _whole(value) < 0:
        raise ValueError(f"less than nothing: {value!r:.60}")
    return int(value)


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError(f"not a text: {value!r:.60}")
    return visible(value)


def _shape(value: Any) -> tuple[int, ...]:
    shape, size = tuple(_count(n) for n in value), 1
    for n in shape[:_MOST_SIZES]:
        size *= n
    if len(shape) > _MOST_SIZES or size >= _FAR:
        raise ValueError(f"not a shape: {value!r:.60}")
    return shape


def parse_table(text: Any) -> dict[str, Any]:
    """A record of names and values from its JSON."""
    value = parse(text)
    if type(value) is not dict:
        raise ValueError(f"not a record: {value!r:.60}")
    return value


def dump_record(record: Site | Parameter) -> str:
    """A site or a parameter as JSON; lines of code only where some are known."""
    names = [f.name for f in fields(record)]
    table = {name: getattr(record, name) for name in names}
    return dump({k: v for k, v in table.items() if v or k not in ("made", "called")})


def _lines(rows: Any) -> tuple[Where, ...]:
    found = tuple(Where.from_dict(row) for row in rows)
    return tuple(
        replace(w, file=visible(w.file), function=visible(w.function), what=visible(w.what))
        for w in found
    )


def parse_site(text: Any) -> Site:
    """A site from its JSON."""
    d = parse_table(text)
    values: dict[str, Any] = {key: _text(d[key]) for key in ("root", "path", "op", "kind", "dtype")}
    values |= {key: _count(d[key]) for key in ("index", "call")}
    return Site(
        **values,
        id=_whole(d["id"]),
        shape=_shape(d["shape"]),
        inputs=tuple(_whole(n) for n in d["inputs"]),
        params=tuple(_text(n) for n in d["params"]),
        takes=tuple(tuple(_whole(n) for n in shape) for shape in d.get("takes", ())),
        made=_lines(d.get("made", ())),
        called=_lines(d.get("called", ())),
    )


def parse_param(text: Any) -> Parameter:
    """A parameter from its JSON."""
    d = parse_table(text)
    return Parameter(
        id=_whole(d["id"]),
        name=_text(d["name"]),
        shape=_shape(d["shape"]),
        dtype=_text(d["dtype"]),
        trainable=bool(d["trainable"]),
        optimizer=_whole(d["optimizer"]),
        made=_lines(d.get("made", ())),
    )


#: What the facts are that others reckon with; all else in a run's meta is only shown.
_TEXTS = frozenset({"script", "folder", "ended", "torch", "python", "device", "heal", "note"})
_NUMBERS = frozenset({"started", "steps", "samples", "budget", "threads", "rank", "world_size"})


def is_fact(key: str, value: Any) -> bool:
    """Is the value of this key of meta of the kind that we write?"""
    if key in _TEXTS:
        return isinstance(value, str)
    if key in _NUMBERS:
        whole = isinstance(value, (int, float)) and not isinstance(value, bool)
        return whole and math.isfinite(value) and 0 <= value < _FAR
    if key == "every":
        return value == "auto" or (type(value) is int and value >= 0)
    if key == "optimizers":
        return isinstance(value, list) and all(_is_optimizer(each) for each in value)
    if key == "source":
        return isinstance(value, dict) and all(isinstance(v, dict) for v in value.values())
    return True


def _is_optimizer(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("class", ""), str):
        return False
    numbers = (value.get(key, 0) for key in ("lr", "momentum", "weight_decay", "params", "turn"))
    lines = (value.get(key, []) for key in ("made", "stepped"))
    return all(isinstance(n, (int, float)) for n in numbers) and all(map(_are_lines, lines))


def _are_lines(rows: Any) -> bool:
    try:
        return isinstance(rows, list) and all([Where.from_dict(row) for row in rows])
    except ValueError:
        return False


def parse_event(kind: Any, step: Any, detail: Any) -> Event:
    """An event from its row."""
    return Event(_text(kind), _whole(step), parse_table(detail))


def dump_layout(channels: tuple[Channel, ...]) -> tuple[bytes, int]:
    """A layout as packed JSON (channels are many and alike, so they shrink tenfold); its size
    unpacked."""
    text = dump([list(channel) for channel in channels]).encode()
    return zlib.compress(text, 6), len(text)


def unpack_layout(data: Any) -> bytes:
    """The JSON of a layout, of bounded size."""
    if not isinstance(data, bytes):
        raise ValueError("a layout is not bytes")
    try:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(data, MAX_LAYOUT_BYTES)
    except zlib.error as error:
        raise ValueError(f"a layout does not unpack ({error})") from None
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise ValueError("a layout is cut off or too large")
    return text


def parse_layout(text: bytes, known: dict[Any, Channel]) -> tuple[Channel, ...]:
    """The channels of a layout; `known` are those of others, which share them."""
    try:
        rows = json.loads(text.decode("ascii"))
    except RecursionError:
        raise ValueError("a layout is nested too deep") from None
    if type(rows) is not list:
        raise ValueError("a layout is not a list")
    out = []
    for row in rows:
        of, id, metric, edge = row
        channel = known.get((of, id, metric, edge))
        if channel is None:
            channel = Channel(_text(of), _whole(id), _text(metric), _whole(edge))
            known[of, id, metric, edge] = channel
        out.append(channel)
    return tuple(out)
