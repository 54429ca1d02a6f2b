"""A file as a data frame: separator, decimal mark and encoding are seen, not asked."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd

from ..lang import _
from ..nearby import did_you_mean
from ..showing import listed, shown

SEPARATORS = (",", ";", "\t", "|")
#: Rows and characters that are looked at; the first row is read whole, however long it is.
ROWS, CHARACTERS = 100, 1 << 17
#: A first line longer than this is no row of names.
WIDEST = 1 << 24
#: Beside pandas' own list of what stands for a missing value.
MISSING = ["?"]
_COMMA = re.compile(r"[-+]?\d{1,3}(\.\d{3})+,\d+|[-+]?\d*,\d+")
_POINT = re.compile(r"[-+]?\d{1,3}(,\d{3})+\.\d+|[-+]?\d*\.\d+")


class BadData(ValueError):
    """A table that cannot be learned from, or predicted for; the message says which and why."""


def read(path: Path, text: Collection[str] = ()) -> Any:
    """A data frame from CSV (.csv, .tsv, .txt) or Parquet (.parquet, .pq); BadData otherwise.

    Args:
        text: columns to be left as they are written ("007" and not 7), where there are such.

    `frame.attrs["read"]` says what was not a comma, a point and UTF-8.
    """
    if not path.is_file():
        raise BadData(_("there is no file {path}.").format(path=shown(path)))
    notes: list[str] = []
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            frame = pd.read_parquet(path)
        else:
            how, names = sniffed(path)
            _unique(names, path)
            notes = _told(**how)
            texts = dict.fromkeys((n for n in names if n in set(text)), str)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", pd.errors.ParserWarning)  # trailing separators
                frame = pd.read_csv(path, **how, na_values=MISSING, low_memory=False, dtype=texts)
    except BadData:
        raise
    except Exception as error:  # pandas and pyarrow each have errors of their own
        lines = str(error).strip().splitlines() or [type(error).__name__]
        sentence = _("{path} cannot be read as a table: {error}")
        raise BadData(sentence.format(path=shown(path), error=shown(lines[0])[1:-1])) from error
    if not isinstance(frame.index, pd.RangeIndex) and frame.index.name is None:
        named = frame.index.rename("row name")  # R writes names of rows without a name of theirs
        if path.suffix.lower() not in (".parquet", ".pq") and "row name" not in frame.columns:
            frame = frame.set_index(named).reset_index()
    frame.columns = [str(name) for name in frame.columns]
    _unique(list(frame.columns), path)
    if not len(frame):
        raise BadData(_("{path} has no rows.").format(path=shown(path)))
    frame = frame.reset_index(drop=True)
    frame.attrs["read"] = notes
    return frame


def _unique(names: list[str], path: Path) -> None:
    """BadData where there are no names, or one stands twice; empty ones pandas numbers."""
    if not names:
        raise BadData(_("{path} is empty.").format(path=shown(path)))
    twice = [name for name, count in Counter(names).items() if count > 1 and name.strip()]
    if twice:
        text = _("{path} has several columns named {name}: rename them.")
        raise BadData(text.format(path=shown(path), name=shown(min(twice))))


def sniffed(path: Path) -> tuple[dict[str, Any], list[str]]:
    """What the first rows of a file say: how pandas is to read it, and the names as they stand."""
    with path.open("rb") as raw:
        start = raw.read(4)
    encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    if encoding == "utf-8-sig" and not _is_utf8(path):
        encoding = "cp1252"  # what Excel writes in Western Europe
    with path.open(newline="", encoding=encoding, errors="replace") as lines:
        first = lines.readline(WIDEST)
        skip, forced = 0, ""
        if found := re.fullmatch(r"\"?sep=(.)\"?\s*", first):
            skip, forced = 1, found[1]
            first = lines.readline(WIDEST)
        sample = first + lines.read(CHARACTERS)
    candidates = [forced] if forced else list(SEPARATORS)
    if path.suffix.lower() == ".tsv":
        candidates.sort(key=lambda mark: mark != "\t")
    best, separator, rows = -1.0, candidates[0], _rows(sample, candidates[0])
    for mark in candidates:
        seen = _rows(sample, mark)
        width = len(seen[0]) if seen else 0
        if width < 2:
            continue
        # as many cells as names, or one more: a trailing separator, or R's names of rows
        alike = sum(len(row) in (width, width + 1) for row in seen[1:]) / max(len(seen) - 1, 1)
        if alike + width * 1e-7 > best:
            best, separator, rows = alike + width * 1e-7, mark, seen
    names = rows[0] if rows else []
    body = [row for row in rows[1:] if row]
    cells = [cell.strip() for row in body for cell in row]
    commas = sum(_COMMA.fullmatch(cell) is not None for cell in cells)
    points = sum(_POINT.fullmatch(cell) is not None for cell in cells)
    decimal = "," if separator != "," and commas > points else "."
    how = {"sep": separator, "decimal": decimal, "encoding": encoding, "skiprows": skip}
    # each row ends with a separator: its last cell is no column
    trailing = bool(body) and all(len(row) == len(names) + 1 and not row[-1] for row in body)
    return {**how, "index_col": False if trailing else None}, names


def _is_utf8(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8") as text:
            while text.read(1 << 20):
                pass
    except UnicodeDecodeError:
        return False
    return True


def _rows(sample: str, mark: str) -> list[list[str]]:
    """The first rows with this separator; up to one that csv cannot read, or that is cut off."""
    found: list[list[str]] = []
    limit = csv.field_size_limit(WIDEST)
    try:
        for row in csv.reader(io.StringIO(sample), delimiter=mark):
            if not row and not found:
                continue
            found.append(row)
            if len(found) > ROWS:
                break
    except csv.Error:
        pass
    finally:
        csv.field_size_limit(limit)
    whole = len(found) > ROWS or sample.endswith("\n") or len(sample) < CHARACTERS
    return found if whole or len(found) < 3 else found[:-1]


def _told(sep: str, decimal: str, encoding: str, **more: object) -> list[str]:
    notes = []
    if sep != ",":
        mark = {"\t": _("tabs"), ";": "';'", "|": "'|'"}.get(sep, shown(sep))
        notes.append(_("Cells are separated by {mark}.").format(mark=mark))
    if decimal != ".":
        notes.append(_("Numbers are read with a decimal comma."))
    if encoding == "cp1252":
        notes.append(_("The file is not UTF-8: it was read as Windows-1252."))
    return notes


def lacking(names: list[str], known: Collection[str]) -> BadData:
    """The error for a column that is asked for and is not there."""
    name = names[0]
    near = did_you_mean(name, list(known)[:2000], write=shown)
    hint = near or _("it has {known}.").format(known=listed(known))
    text = _("the table has no column {name}; {hint}")
    return BadData(text.format(name=shown(name), hint=hint))
