"""Records to JSON and bytes, and back. Decoding trusts nothing: a file may come from anyone."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from ..schema import Channel, Event, Finding, Parameter, Site
from .format import MAX_LAYOUT_BYTES

_SMALLEST = np.array([1], np.uint32)  # bits of float32's smallest subnormal
_LARGEST = np.float32(np.finfo(np.float32).max)


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
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else str(value)


def dump(value: Any) -> str:
    """JSON in ASCII (so even lone surrogates in a user's names survive); NaN and Infinity kept."""
    if isinstance(value, Mapping):
        value = {str(k): v for k, v in value.items()}
    return json.dumps(value, default=_plain, separators=(",", ":"), skipkeys=True)


def parse(text: Any) -> Any:
    """Inverse of `dump`. Raises ValueError on anything that is not JSON text."""
    if not isinstance(text, str):
        raise ValueError(f"a record is {type(text).__name__}, not text")
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("a record is nested too deep") from None


def _whole(value: Any) -> int:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise ValueError(f"not a whole number: {value!r:.60}")
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError(f"not a text: {value!r:.60}")
    return value


def _table(text: Any) -> dict[str, Any]:
    value = parse(text)
    if type(value) is not dict:
        raise ValueError(f"not a record: {value!r:.60}")
    return value


def dump_site(site: Site) -> str:
    """One site as JSON."""
    return dump(asdict(site))


def parse_site(text: Any) -> Site:
    """Inverse of `dump_site`."""
    d = _table(text)
    return Site(
        id=_whole(d["id"]),
        root=_text(d["root"]),
        path=_text(d["path"]),
        op=_text(d["op"]),
        kind=_text(d["kind"]),
        index=_whole(d["index"]),
        call=_whole(d["call"]),
        shape=tuple(_whole(n) for n in d["shape"]),
        dtype=_text(d["dtype"]),
        inputs=tuple(_whole(n) for n in d["inputs"]),
        params=tuple(_text(n) for n in d["params"]),
    )


def dump_param(param: Parameter) -> str:
    """One parameter as JSON."""
    return dump(asdict(param))


def parse_param(text: Any) -> Parameter:
    """Inverse of `dump_param`."""
    d = _table(text)
    return Parameter(
        id=_whole(d["id"]),
        name=_text(d["name"]),
        shape=tuple(_whole(n) for n in d["shape"]),
        dtype=_text(d["dtype"]),
        trainable=bool(d["trainable"]),
        optimizer=_whole(d["optimizer"]),
    )


def parse_event(kind: Any, step: Any, detail: Any) -> Event:
    """An event from its row."""
    return Event(_text(kind), _whole(step), _table(detail))


def parse_finding(text: Any) -> Finding:
    """A finding from its JSON."""
    return Finding.from_dict(_table(text))


def dump_layout(channels: tuple[Channel, ...]) -> bytes:
    """A layout as packed JSON: channels are many and alike, so they shrink tenfold."""
    return zlib.compress(dump([list(channel) for channel in channels]).encode(), 6)


def parse_layout(data: Any) -> tuple[Channel, ...]:
    """Inverse of `dump_layout`, of bounded size."""
    if not isinstance(data, bytes):
        raise ValueError("a layout is not bytes")
    try:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(data, MAX_LAYOUT_BYTES)
    except zlib.error as error:
        raise ValueError(f"a layout does not unpack ({error})") from None
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise ValueError("a layout is cut off or too large")
    rows = parse(text.decode("ascii"))
    if type(rows) is not list:
        raise ValueError("a layout is not a list")
    return tuple(
        Channel(_text(of), _whole(id), _text(metric), _whole(edge)) for of, id, metric, edge in rows
    )
