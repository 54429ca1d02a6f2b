"""Records that anybody may have written, read as data: of the types they must have, or refused.

A shape is "text", "lines", "number", "whole", "flag", `[shape]`, `{key: shape}` or `{"*": shape}`,
which has any keys. What a record lacks comes back empty, what it has beside the shape is left out.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from ..showing import visible

#: Characters of a text, and entries of a list.
LONG, MANY = 20_000, 5_000


def plain(path: Path, largest: int) -> dict[str, Any]:
    """The object in a JSON file. ValueError: it is none, or larger than so many bytes."""
    with path.open("rb") as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise ValueError(f"{path.name} is larger than {largest} bytes")
    try:
        told = json.loads(content.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is no JSON that can be read ({error})") from None
    if not isinstance(told, dict):
        raise ValueError(f"{path.name} holds no record")
    return told


def _no_number(constant: str) -> None:
    raise ValueError(f"it holds {constant}")


def shaped(value: Any, shape: Any, where: str = "record") -> Any:
    """A copy of the value in this shape. ValueError where it is of another type."""
    if isinstance(shape, dict):
        if value is None:
            value = {}
        _need(isinstance(value, dict) and len(value) <= MANY, where, "a record")
        if "*" in shape:
            return {visible(k[:LONG]): shaped(v, shape["*"], where) for k, v in value.items()}
        return {k: shaped(value.get(k), of, f"{where}.{k}") for k, of in shape.items()}
    if isinstance(shape, list):
        if value is None:
            return []
        _need(isinstance(value, list) and len(value) <= MANY, where, f"a list of at most {MANY}")
        return [shaped(each, shape[0], f"{where}[{i}]") for i, each in enumerate(value)]
    return _single(value, shape, where)


def _single(value: Any, shape: str, where: str) -> Any:
    if shape in ("text", "lines"):
        _need(value is None or isinstance(value, str), where, "a text")
        return visible((value or "")[:LONG], lines=shape == "lines")
    if shape == "flag":
        _need(value is None or isinstance(value, bool), where, "true or false")
        return bool(value)
    if value is None:
        return None
    _need(isinstance(value, (int, float)) and not isinstance(value, bool), where, "a number")
    _need(abs(value) < 1e300 and math.isfinite(value), where, "a number of use")
    return int(value) if shape == "whole" else float(value)


def _need(holds: object, where: str, what: str) -> None:
    if not holds:
        raise ValueError(f"{where} is not {what}")
