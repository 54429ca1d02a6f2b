"""The numbers of a picture as a table: a row each sampled step, a column each layer."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np

from ..lang import _
from .answers import spoilt
from .following import Followed

#: What a table can be written as, and how a browser is told.
FORMS = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}


def exported(run: Followed, picture: str, form: str) -> bytes:
    """All that was measured of a picture, unjoined. ValueError: it cannot be written so here."""
    if form not in FORMS:
        raise ValueError(f"form must be one of {', '.join(FORMS)}, not {form!r:.40}")
    found = spoilt(run, picture)
    rows = np.flatnonzero(~np.isnan(found).all(axis=1))
    columns: dict[str, Any] = {"step": np.array(run.steps, np.int64)}
    for row in rows:
        name = run.sites[row].name
        columns[name if name not in columns else f"{name} ({row})"] = found[row]
    return _parquet(columns) if form == "parquet" else _csv(columns)


def _csv(columns: dict[str, Any]) -> bytes:
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n")
    write.writerow([_inert(name) for name in columns])
    for values in zip(*columns.values(), strict=True):
        write.writerow(["" if v != v else f"{v:.7g}" for v in values])
    return text.getvalue().encode("utf-8", "backslashreplace")


def _inert(name: str) -> str:
    """A name that no spreadsheet takes for a formula."""
    return f"'{name}" if name[:1] in "=+-@\t\r" else name


def _parquet(columns: dict[str, Any]) -> bytes:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        said = _("{module} is not installed: pip install {module}")
        raise ValueError(said.format(module="pyarrow")) from None
    out = pyarrow.BufferOutputStream()
    named = {k.encode("utf-8", "backslashreplace").decode(): v for k, v in columns.items()}
    parquet.write_table(pyarrow.table(named), out)
    return bytes(out.getvalue())
