"""Reading a run file: a snapshot, whether it is finished, being written, or left by a kill."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..lang import _
from ..schema import Finding, Parameter, Run, Site
from . import codec
from .columns import Block, Columns
from .format import APPLICATION_ID, SUFFIX, TABLES, VERSION, StoreError

_MAGIC = b"SQLite format 3\0"
_ROWS = 256  # readings turned into columns at a time: their bytes stay in the cache


def load(path: str | os.PathLike[str]) -> Run:
    """The run as it stands now; safe while it is being written.

    Raises:
        StoreError: no such file, or not one of ours, or damaged, or of a newer Evenflow.
    """
    with _open(Path(path)) as db:
        meta = {key: codec.parse(value) for key, value in db.execute("SELECT * FROM meta")}
        sites = tuple(
            codec.parse_site(row[0]) for row in db.execute("SELECT record FROM site ORDER BY id")
        )
        params = tuple(
            codec.parse_param(row[0]) for row in db.execute("SELECT record FROM param ORDER BY id")
        )
        _check_ids(sites, params)
        source, steps, columns = _readings(db, len(sites), len(params))
        curve_steps, curve_loss = _curve(db)
        events = tuple(
            codec.parse_event(*row)
            for row in db.execute("SELECT kind, step, detail FROM event ORDER BY seq")
        )
    return Run(
        name=Path(path).stem,
        meta=meta,
        sites=sites,
        params=params,
        steps=steps,
        columns=columns,
        curve_steps=curve_steps,
        curve_loss=curve_loss,
        events=events,
        source=source,
    )


def load_findings(path: str | os.PathLike[str]) -> list[Finding]:
    """The findings the run was last judged to have, as its own session wrote them.

    Raises:
        StoreError: as `load`.
    """
    with _open(Path(path)) as db:
        rows = db.execute("SELECT record FROM finding ORDER BY seq").fetchall()
        count = int(db.execute("SELECT count(*) FROM site").fetchone()[0])
        findings = [codec.parse_finding(row[0]) for row in rows]
        if any(not 0 <= site < count for finding in findings for site in finding.sites):
            raise ValueError("a finding names a site that is not there")
    return findings


@contextlib.contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    """A read transaction on a file proven to be ours; any flaw met within becomes a StoreError."""
    _look(path)
    try:
        with _connect(path) as db:
            db.execute("PRAGMA trusted_schema = OFF")
            db.execute("PRAGMA cell_size_check = ON")
            db.execute("BEGIN")
            _check_schema(path, db)
            yield db
    except StoreError:
        raise
    except (sqlite3.Error, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        said = _("{path!r} is damaged ({why}); take a copy from before, or run again")
        raise StoreError(said.format(path=str(path), why=_why(error))) from error


def _why(error: Exception) -> str:
    return _("it lacks {key}").format(key=error) if isinstance(error, KeyError) else str(error)


def _look(path: Path) -> None:
    """What can be told without SQLite."""
    shown = {"path": str(path), "suffix": SUFFIX}
    try:
        if path.is_dir():
            said = _("{path!r} is a folder; give the path of a run, a *{suffix} file")
            raise StoreError(said.format(**shown))
        with path.open("rb") as file:
            head = file.read(16)
    except FileNotFoundError:
        said = _("there is no file {path!r}; give the path of a run, a *{suffix} file")
        raise StoreError(said.format(**shown)) from None
    except (OSError, ValueError) as error:
        said = _("{path!r} cannot be read: {error}; give a file that can")
        raise StoreError(said.format(**shown, error=error)) from error
    if not head:
        said = _("{path!r} is empty: nothing was written to it yet; run again")
        raise StoreError(said.format(**shown))
    if head != _MAGIC:
        said = _(
            "{path!r} is not an Evenflow run; give a *{suffix} file as `evenflow run` writes it"
        )
        raise StoreError(said.format(**shown))


@contextlib.contextmanager
def _connect(path: Path) -> Iterator[sqlite3.Connection]:
    """Read-only, without leaving anything behind that was not there.

    A log (-wal) beside the file holds its newest part. SQLite reads it only where it may write
    its index next to it; in a read-only folder both are copied elsewhere first.
    """
    address = path.resolve().as_uri()
    log = Path(f"{path.resolve()}-wal")
    with contextlib.ExitStack() as stack:
        db = sqlite3.connect(f"{address}?mode=ro", uri=True, timeout=10, isolation_level=None)
        stack.callback(lambda: db.close())
        try:
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            db.close()
            how = "immutable=1"
            if log.exists() and log.stat().st_size:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="evenflow-")))
                copy = folder / "run"
                shutil.copyfile(path, copy)
                shutil.copyfile(log, f"{copy}-wal")
                address, how = copy.as_uri(), "mode=rw"
            db = sqlite3.connect(f"{address}?{how}", uri=True, isolation_level=None)
            stack.callback(db.close)  # before the folder goes
        yield db


def _check_schema(path: Path, db: sqlite3.Connection) -> None:
    """Ours, not newer, and nothing in it but our tables (a view could yield rows for ever)."""
    shown = {"path": str(path), "suffix": SUFFIX}
    if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        said = _("{path!r} is an SQLite database, but not an Evenflow run; give a *{suffix} file")
        raise StoreError(said.format(**shown))
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        said = _(
            "{path!r} was written by a newer Evenflow (schema {version}, this one reads up to "
            "{known}); update Evenflow to read it"
        )
        raise StoreError(said.format(**shown, version=version, known=VERSION))
    found = dict(db.execute("SELECT name, sql FROM sqlite_master"))
    if found != TABLES:
        raise ValueError("its tables are not those of a run")


def _check_ids(sites: tuple[Site, ...], params: tuple[Parameter, ...]) -> None:
    """Ids are positions, and inputs are sites: whoever reads the run indexes by them."""
    for what, ids in (("site", [s.id for s in sites]), ("parameter", [p.id for p in params])):
        if ids != list(range(len(ids))):
            raise ValueError(f"the {what}s are not numbered from 0 without a gap")
    for site in sites:
        if any(not 0 <= other < len(sites) for other in site.inputs):
            raise ValueError(f"site {site.id} reads a site that is not there")


def _readings(
    db: sqlite3.Connection, sites: int, params: int
) -> tuple[str, npt.NDArray[np.int64], Columns]:
    """Source, steps [T] and columns. Of a step told twice the latest reading counts."""
    layouts = {
        number: (source, codec.parse_layout(data))
        for number, source, data in db.execute("SELECT id, source, channels FROM layout")
    }
    rows = db.execute("SELECT seq, step, layout FROM reading ORDER BY seq").fetchall()
    kinds = {layouts[layout][0] for _, _, layout in rows}
    if not kinds <= {"measured", "predicted"}:
        raise ValueError(f"readings of unknown source {sorted(kinds)}")
    source = "predicted" if kinds == {"predicted"} else "measured"
    last = {step: seq for seq, step, layout in rows if layouts[layout][0] == source}
    steps = np.array(sorted(last), np.int64)
    place = {last[step]: row for row, step in enumerate(sorted(last))}
    order: dict[int, list[int]] = {}
    for seq, _step, layout in rows:
        if seq in place:
            order.setdefault(layout, []).append(place[seq])
    limits = {"site": sites, "edge": sites, "param": params, "step": 1}
    blocks = {}
    for layout, at in order.items():
        channels = layouts[layout][1]
        for channel in channels:
            if not 0 <= channel.id < limits.get(channel.of, 0) or channel.edge >= sites:
                raise ValueError(f"a reading is about {channel}, which is not there")
        values_CN = np.empty((len(channels), len(at)), np.float32)
        blocks[layout] = Block(channels, np.array(at, np.int64), values_CN)
    _fill(db, blocks, place)
    return source, steps, Columns(list(blocks.values()), len(steps))


def _fill(db: sqlite3.Connection, blocks: dict[int, Block], place: dict[int, int]) -> None:
    """One pass over all readings, into their blocks."""
    done = dict.fromkeys(blocks, 0)
    cursor = db.execute("SELECT seq, layout, data FROM reading ORDER BY seq")
    while part := cursor.fetchmany(_ROWS):
        by_layout: dict[int, list[bytes]] = {}
        for seq, layout, data in part:
            if seq in place:
                by_layout.setdefault(layout, []).append(data)
        for layout, data in by_layout.items():
            width = len(blocks[layout].channels)
            if any(len(blob) != 4 * width for blob in data):
                raise ValueError("a reading does not fit its layout")
            values_NC = np.frombuffer(b"".join(data), "<f4").reshape(len(data), width)
            at = done[layout]
            blocks[layout].values_CN[:, at : at + len(data)] = values_NC.T
            done[layout] = at + len(data)


def _curve(db: sqlite3.Connection) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Loss at (nearly) every step: steps [N] rising, losses [N]; the latest of a step counts."""
    rows: list[tuple[Any, Any]] = db.execute(
        "SELECT steps, losses FROM curve ORDER BY seq"
    ).fetchall()
    steps = np.frombuffer(b"".join(row[0] for row in rows), "<i8").astype(np.int64)
    losses = np.frombuffer(b"".join(row[1] for row in rows), "<f8").astype(np.float64)
    if len(steps) != len(losses):
        raise ValueError("the loss curve has other steps than losses")
    if np.all(np.diff(steps) > 0):
        return steps, losses
    _, first = np.unique(steps[::-1], return_index=True)
    last = len(steps) - 1 - first
    return steps[last], losses[last]
