"""What of an output is frozen, and how a later one is held against it.

Weights differ between processors from the first rounding on, and so do all numbers measured on
them. So keys, codes, sites and words are kept exactly, numbers to two significant digits, and
numbers within sentences not at all.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

#: Whole numbers under these keys are names, not quantities.
NAMES = {"sites", "site", "schema", "seed", "call", "index"}
#: Never frozen: they tell of the machine, or where the zoo's own lines stand.
UNFROZEN = {"seconds", "where", "lines"}
#: A float below this size may as well be the rounding noise of a zero.
NOISE = 1e-6
#: What is left of a spread below this is rounding: it is a difference of numbers next to one.
COLLAPSED = 1e-12
_MEASURED = re.compile(r"(?<!\d)(?<!arXiv:)\d+\.\d{3,}")
_NUMBER = re.compile(r"(?<![\w.#])[-+−]?\d(?:[\d,]*\d)?(?:\.\d+)?(?:[eE][-+]?\d+)?")


def template(text: str) -> str:
    """A sentence with its numbers masked. What is no sentence (a site, a code, a treatment) has at
    most three words and is kept, but for what was measured: numbers of many decimals."""
    return (_NUMBER if text.count(" ") >= 3 else _MEASURED).sub("#", text)


def thinned(values: Sequence[Any]) -> Sequence[Any]:
    """Of a long curve, or of many layers, the length and some nine; lists of names stay whole."""
    if len(values) <= 24 or isinstance(values[0], (int, str)):
        return values
    return [len(values), *values[:: len(values) // 8]]


def freeze(value: Any, key: str = "") -> Any:
    """The value as it is stored."""
    if isinstance(value, Mapping):
        return {k: freeze(v, k) for k, v in value.items() if k not in UNFROZEN}
    if isinstance(value, (list, tuple)):
        return [freeze(v, key) for v in thinned(value)]
    if isinstance(value, str):
        return template(value)
    if isinstance(value, bool) or value is None or key in NAMES:
        return value
    if isinstance(value, int):
        return int(float(f"{value:.2g}"))
    return float(f"{value:.2g}")


def near(stored: float, now: float) -> bool:
    """Is it the same to two digits, the last of them give or take one?"""
    if 0 in (stored, now):
        return max(abs(stored), abs(now)) < NOISE
    if not math.isfinite(now):
        return False
    unit = 10.0 ** (math.floor(math.log10(abs(stored))) - 1)
    return abs(now - stored) <= 1.5 * unit * (1 + 1e-9)


def differences(stored: Any, now: Any, path: str = "", key: str = "") -> Iterator[str]:
    """Paths at which an output (not frozen) is no longer what was stored, with both."""
    if isinstance(stored, Mapping) and isinstance(now, Mapping):
        now = {k: v for k, v in now.items() if k not in UNFROZEN}
        for k in [*stored, *(k for k in now if k not in stored)]:
            where = f"{path}/{k}"
            if k not in now or k not in stored:
                yield f"{where}: {'gone' if k in stored else 'new'}"
            else:
                yield from differences(stored[k], now[k], where, k)
    elif isinstance(stored, list) and isinstance(now, (list, tuple)):
        now = thinned(now)
        if len(stored) != len(now):
            yield f"{path}: {len(stored)} items -> {len(now)}: {short(stored)} -> {short(now)}"
            return
        for i, (a, b) in enumerate(zip(stored, now, strict=True)):
            yield from differences(a, b, f"{path}/{i}", key)
    elif _quantity(stored, key) and _quantity(now, key):
        alike = "spread" in key and max(abs(stored), abs(now)) < COLLAPSED
        if not alike and not near(stored, now):
            yield f"{path}: {stored} -> {now:.3g}"
    elif (after := freeze(now, key)) != stored or type(after) is not type(stored):
        yield f"{path}: {short(stored)} -> {short(after)}"


def exact(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Paths at which two outputs of one machine differ at all, times left out."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for k in sorted({*old, *new} - UNFROZEN):
            if k not in new or k not in old:
                yield f"{path}/{k}: {'gone' if k in old else 'new'}"
            else:
                yield from exact(old[k], new[k], f"{path}/{k}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from exact(a, b, f"{path}/{i}")
    elif old != new:
        yield f"{path}: {short(old)} -> {short(new)}"


def written(value: Any, indent: int = 0) -> str:
    """JSON, with what fits on a line on one."""
    line = json.dumps(value, ensure_ascii=False, sort_keys=True)
    if len(line) + indent <= 100 or not value or not isinstance(value, (dict, list)):
        return line
    if isinstance(value, dict):
        parts = [f"{json.dumps(k)}: {written(v, indent + 1)}" for k, v in sorted(value.items())]
    else:
        parts = [written(v, indent + 1) for v in value]
    start, end = "{}" if isinstance(value, dict) else "[]"
    between = ",\n" + " " * (indent + 1)
    return f"{start}\n{' ' * (indent + 1)}{between.join(parts)}\n{' ' * indent}{end}"


def short(value: Any) -> str:
    """On one line."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]} ..."


def _quantity(value: Any, key: str) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and key not in NAMES
