"""Dates in text, and what a network can read of them. U values, N rows.

A date is read by what it is made of, not by a list of formats: day, month (a number, or an English
name) and year between "-", "/", "." or blanks, in front of it perhaps the weekday, behind it the
time and the zone. Only the order of day and month is a question: a column answers it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from .scaling import Floats

#: This share of a column's values, at least, must read as dates; of that many when it is looked at.
MOSTLY, LOOK = 0.9, 100
#: Longer is no date.
LONGEST = 48
#: Two-digit years from here on are of the last century (POSIX strptime).
PIVOT = 69
#: Ordinary years: anything else is another thing made of three numbers.
YEARS = (1000, 2999)

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
_NAMED = {n: k for k, month in enumerate(_MONTHS, 1) for n in (month, month[:3])} | {"sept": 9}
_WHOLE = re.compile(
    r"(?:(?:mon|tue|tues|wed|wednes|thu|thur|thurs|fri|sat|satur|sun)(?:day)?\.?,?\s+)?"
    r"(?P<date>[0-9a-z][0-9a-z .,/-]*?)?"
    r"(?:(?:^|[t,\s])\s*(?P<h>\d{1,2}):(?P<m>\d{2})(?::(?P<s>\d{2}(?:[.,]\d{1,9})?))?"
    r"\s*(?P<half>[ap]\.?m\.?)?\s*(?P<zone>z|utc|gmt|[+-]\d{2}:?\d{2})?)?"
)
_ORDINAL = re.compile(r"(?<=\d)(?:st|nd|rd|th)\b")
_BETWEEN = re.compile(r"[-/.]|[\s,]+")


@dataclass(frozen=True, slots=True)
class _Read:
    """One value taken apart: numbers in the order they stand, or nothing where it is no date."""

    numbers: tuple[int, int, int]
    order: str  # "ymd", "dmy", "mdy", "" for a time alone, or "?/": to be asked of the column
    day_share: float  # the time as a share of a day, the zone taken off


def _read(text: str) -> _Read | None:
    if len(text) > LONGEST:
        return None
    found = _WHOLE.fullmatch(text.strip().lower())
    if found is None:
        return None
    share = _time(found)
    if share is None:
        return None
    written = _ORDINAL.sub("", (found["date"] or "").strip(" ,."))
    if not written:
        return _Read((0, 0, 0), "", share) if found["h"] else None
    if written.isdigit():
        if len(written) != 8:
            return None
        return _Read((int(written[:4]), int(written[4:6]), int(written[6:])), "ymd", share)
    marks = {mark.strip(" ,") or " " for mark in _BETWEEN.findall(written)}
    parts = [part for part in _BETWEEN.split(written) if part]
    if len(marks) > 2:
        return None
    named = [k for k, part in enumerate(parts) if part in _NAMED]
    if any(not part.isdigit() for k, part in enumerate(parts) if k not in named) or len(named) > 1:
        return None
    if named:
        return _with_name(parts, named[0], share)
    mark = min(marks)
    if len(parts) == 2:  # a month: 2021-03, 03/2021
        long = [len(part) == 4 for part in parts]
        if sum(long) != 1 or mark in (".", " "):
            return None
        year, month = (parts[0], parts[1]) if long[0] else (parts[1], parts[0])
        return _Read((int(year), int(month), 1), "ymd", share)
    if len(parts) != 3 or len(marks) > 1 or mark == " ":
        return None
    a, b, c = parts
    numbers = (int(a), int(b), int(c))
    if len(a) == 4 and len(b) <= 2 and len(c) <= 2:
        return _Read(numbers, "ymd", share)
    if len(c) == 4 and len(a) <= 2 and len(b) <= 2:
        return _Read(numbers, f"?{mark}", share)
    # a year of two digits: "1.2.30" may be anything
    if len(c) == 2 and (len(a) == len(b) == 2 or (mark == "/" and len(a) <= 2 and len(b) <= 2)):
        return _Read((int(a), int(b), _century(int(c))), f"?{mark}", share)
    return None


def _time(found: re.Match[str]) -> float | None:
    if not found["h"]:
        return 0.0
    hour, minute = int(found["h"]), int(found["m"])
    second = float((found["s"] or "0").replace(",", "."))
    if found["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if found["half"][0] == "p" else 0)
    if hour > 24 or minute > 59 or second >= 61:
        return None
    offset = 0
    zone = found["zone"] or ""
    if zone[:1] in ("+", "-"):
        digits = zone[1:].replace(":", "")
        offset = (int(digits[:2]) * 60 + int(digits[2:])) * (-1 if zone[0] == "-" else 1)
    return (hour * 60 + minute - offset + second / 60) / 1440


def _with_name(parts: Sequence[str], at: int, share: float) -> _Read | None:
    month, rest = _NAMED[parts[at]], [p for k, p in enumerate(parts) if k != at]
    if len(rest) == 1 and len(rest[0]) == 4:
        return _Read((int(rest[0]), month, 1), "ymd", share)
    if len(rest) != 2:
        return None
    long = [len(part) == 4 for part in rest]
    if long[0] and not long[1]:
        return _Read((int(rest[0]), month, int(rest[1])), "ymd", share)
    if len(rest[1]) not in (2, 4) or len(rest[0]) > 2:
        return None
    year = int(rest[1]) if long[1] else _century(int(rest[1]))
    return _Read((year, month, int(rest[0])), "ymd", share)


def _century(year: int) -> int:
    return year + (1900 if year >= PIVOT else 2000)


def _ordinal(numbers: tuple[int, int, int], order: str) -> float:
    """Days since 1 January 1970, NaN for what is in no calendar."""
    if not order:
        return 0.0
    year, month, day = (numbers[order.index(k)] for k in "ymd")
    if not YEARS[0] <= year <= YEARS[1]:
        return math.nan
    try:
        return float(date(year, month, day).toordinal() - 719163)
    except ValueError:
        return math.nan


def orders(values: Iterable[str]) -> tuple[str, ...] | None:
    """How day and month stand in a column of dates: "dmy/" or "mdy/" for each mark; None for none.

    Asked are all values: of "03/04/2021" alone nobody knows, of "25/12/2021" among them everybody.
    Where all could be either, "/" is read as month first, anything else as day first.
    """
    texts = list(values)
    if not texts or sum(_read(t) is not None for t in texts[:LOOK]) < MOSTLY * len(texts[:LOOK]):
        return None
    read = [_read(text) for text in texts]
    asked: dict[str, Counter[str]] = {}
    for r in read:
        if r is not None and r.order.startswith("?"):
            counts = asked.setdefault(r.order[1:], Counter())
            for order in ("dmy", "mdy"):
                counts[order] += not math.isnan(_ordinal(r.numbers, order))
    settled = tuple(
        max(("mdy", "dmy") if mark == "/" else ("dmy", "mdy"), key=lambda o: counts[o]) + mark
        for mark, counts in sorted(asked.items())
    )
    good = sum(not math.isnan(d) for d in days(texts, settled))
    return settled if good >= MOSTLY * len(texts) else None


def days(values: Iterable[str], settled: Sequence[str]) -> Floats:
    """Days since 1970 with the time as a fraction, [U]; NaN for what is no date.

    A day above 12 says by itself that it is one, whatever the column's order is.
    """
    known = {order[3:]: order[:3] for order in settled}
    found = []
    for text in values:
        r = _read(text)
        if r is None:
            found.append(math.nan)
            continue
        order = r.order
        if order.startswith("?"):
            mark = order[1:]
            order = known.get(mark, "mdy" if mark == "/" else "dmy")
            if math.isnan(_ordinal(r.numbers, order)):
                order = "mdy" if order == "dmy" else "dmy"
        found.append(_ordinal(r.numbers, order) + r.day_share)
    return np.array(found, dtype=np.float64)


def column_days(column: Any, settled: Sequence[str]) -> Floats:
    """Days since 1970 of a data frame's column of any kind, [N]; NaN where it holds no date."""
    if pd.api.types.is_datetime64_any_dtype(column):
        at = pd.to_datetime(column, utc=True).dt.tz_localize(None)
        return np.asarray((at - pd.Timestamp(0)) / pd.Timedelta(days=1), dtype=np.float64)
    found = np.full(len(column), math.nan)
    given = column.notna().to_numpy()
    texts = column[given].map(_text)
    codes, unique = pd.factorize(texts)
    if len(unique):
        found[given] = days(unique, settled)[codes]
    return found


def _text(value: Any) -> str:
    """20210304, read as a number (as a float where some are missing), is the text 20210304."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def parts_of(days_N: Floats) -> tuple[str, ...]:
    """What of a date varies in a column: "day" (time itself), "year", "week", "hour"."""
    known = days_N[np.isfinite(days_N)]
    whole = np.floor(known)
    if not len(known) or known.min() == known.max():
        return ()
    parts = ["day"]
    moments = whole.astype("datetime64[D]")
    months = moments.astype("datetime64[M]")
    if whole.max() - whole.min() > 45 and len(np.unique(months.astype(int) % 12)) > 1:
        parts.append("year")
    of_month = (moments - months).astype(int)
    if len(np.unique(whole % 7)) > 1 and len(np.unique(of_month)) > 1:
        parts.append("week")
    if len(np.unique(known - whole)) > 1:
        parts.append("hour")
    return tuple(parts)


def features(days_N: Floats, parts: Sequence[str]) -> list[Floats]:
    """Columns [N]: time itself, and a sine and a cosine for each circle; a missing date is the
    circle's middle, and missing in time alone (one mark for it is enough)."""
    found = []
    for part in parts:
        if part == "day":
            found.append(days_N)
            continue
        period = {"year": 365.2425, "week": 7.0, "hour": 1.0}[part]
        angle = 2 * np.pi * (days_N % period) / period
        found += [np.nan_to_num(np.sin(angle)), np.nan_to_num(np.cos(angle))]
    return found
