"""The sink: turns records into rows of one run file. Knows nothing of threads."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from ..schema import Channel, Event, Finding, Parameter, Reading, Site
from . import codec, thin
from .format import (
    APPLICATION_ID,
    FOLDER,
    MAX_EVENTS,
    MAX_LAYOUTS_BYTES,
    PARTS,
    TABLES,
    VERSION,
    row_sum,
)

_KEPT_LAYOUTS = 64
#: Seconds that one try to write waits for another program which holds the file.
WAIT = 0.5
#: Seconds that a file to be continued may be held by another program.
TAKING = 2.0
_NAMED = ("meta", "site", "param")  # keyed by their own ids; rows of the others are numbered


def _digest(data: bytes, source: str) -> bytes:
    return hashlib.blake2b(data + source.encode(), digest_size=16).digest()


def _one(db: sqlite3.Connection) -> Callable[[str, Any], object]:
    """`executemany` for one row: `execute` is twice as fast."""
    return lambda statement, rows: db.execute(statement, rows[0])


def is_run(path: Path) -> bool:
    """Whether the file carries our mark (not whether it is whole)."""
    with path.open("rb") as file:
        head = file.read(72)
    return head[:16] == b"SQLite format 3\0" and head[68:72] == APPLICATION_ID.to_bytes(4, "big")


def made_folder(folder: Path) -> None:
    """Make a folder for runs; where it is ours alone, git is told to pass it over. OSError."""
    if folder.name == FOLDER and not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")  # runs are large, and no source
    folder.mkdir(parents=True, exist_ok=True)


def stem_of(name: str, otherwise: str) -> str:
    """A name that every system takes for a file's.

    >>> from evenflow.store import stem_of
    >>> stem_of("my train (2)", "python")
    'my-train-2'
    """
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or otherwise


def free_name(path: Path) -> Path:
    """The path, or with -2, -3, ... before its suffix the first that was free: an empty file.

    Made in the asking (O_EXCL), so that no two processes are given the same.

    Raises:
        OSError: the folder cannot be made or written.
    """
    name, n = path, 1
    made_folder(path.parent)
    # A log that a run left behind would be taken for the new one's.
    while Path(f"{name}-wal").exists() or not _make(name):
        n += 1
        name = path.with_name(f"{path.stem}-{n}{path.suffix}")
    return name


def _make(path: Path) -> bool:
    """Make an empty file; False if there is one."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
    except FileExistsError:
        return False
    return True


def create(path: Path, overwrite: bool) -> sqlite3.Connection:
    """A new run file with its tables, ready to write.

    Raises:
        FileExistsError: the file exists and `overwrite` is false, or it is not a run.
        OSError: the folder cannot be made or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if overwrite and path.is_file():
        refuse_others(path)
        for end in ("", "-wal", "-shm", "-journal"):
            Path(f"{path}{end}").unlink(missing_ok=True)
    if not _make(path):
        raise FileExistsError(
            f"{str(path)!r} exists already; give another path, delete it, or pass overwrite=True"
        )
    return fill(path)


def refuse_others(path: Path) -> None:
    """Raises FileExistsError for what is there and is no run: a mistyped path must never cost a
    user another file, nor put a run beside it that nobody looks for there."""
    if path.exists() and not (path.is_file() and (not path.stat().st_size or is_run(path))):
        raise FileExistsError(
            f"{str(path)!r} exists and is not an Evenflow run, so it is not overwritten; "
            "give another path"
        )


def take(path: Path) -> sqlite3.Connection | None:
    """A run file that is there, to be written on; None if another program has it open.

    Raises:
        OSError: it cannot be written.
    """
    db = _connect(path)
    try:
        db.execute(f"PRAGMA busy_timeout = {round(1000 * TAKING)}")
        # Only who is alone may leave write-ahead logging: whoever else writes or reads forbids it.
        mode = db.execute("PRAGMA journal_mode = DELETE").fetchone()[0]
        if mode != "delete":
            db.close()
            return None
        _prepare(db)
    except sqlite3.Error as error:
        db.close()
        if is_locked(error):
            return None
        raise OSError(f"cannot write a run to {str(path)!r}: {error}") from error
    return db


def copied(db: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """All that `db` holds in an empty file of ours, ready to write on."""
    new = _connect(path)
    db.backup(new)
    _prepare(new)
    return new


def is_locked(error: BaseException) -> bool:
    """Is it only that another program holds the file?"""
    return isinstance(error, sqlite3.OperationalError) and (
        "locked" in str(error) or "busy" in str(error)
    )


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=WAIT, isolation_level=None, check_same_thread=False)


def _prepare(db: sqlite3.Connection) -> None:
    db.execute(f"PRAGMA busy_timeout = {round(1000 * WAIT)}")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")  # a kill loses nothing committed, a power cut may


def fill(path: Path) -> sqlite3.Connection:
    """Make an empty file of ours a run with its tables, ready to write.

    Raises:
        OSError: it cannot be written.
    """
    db = _connect(path)
    try:
        # Before the switch to WAL, so that the mark and the tables are in the file itself at once.
        db.execute("BEGIN IMMEDIATE")
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {VERSION}")
        for statement in TABLES.values():
            db.execute(statement)
        db.execute("COMMIT")
        _prepare(db)
    except sqlite3.Error as error:
        db.close()
        raise OSError(f"cannot write a run to {str(path)!r}: {error}") from error
    return db


@final
class Sink:
    """Rows of one run file; each method writes within the transaction that is open."""

    def __init__(self, db: sqlite3.Connection, max_bytes: int) -> None:
        self.db = db
        self._max_bytes = max_bytes
        self._limit = max_bytes
        # The tape reuses one tuple while its layout holds, so identity is the fast path; the
        # tuple is kept beside its number because an id is only unique while its object lives.
        self._known: dict[int, tuple[tuple[Channel, ...], str, int]] = {}
        self._stored: dict[bytes, int] = {}
        self._findings = ""
        self._narrow = False
        self._unpacked = 0  # bytes of all layouts
        for number, source, data in db.execute("SELECT id, source, channels FROM layout"):
            self._stored[_digest(data, source)] = number
            self._unpacked += len(codec.unpack_layout(data))
        self._next = {name: self._last(name) + 1 for name in PARTS if name not in _NAMED}
        self._events = self._next["event"] - 1
        self.last_step = int(db.execute("SELECT coalesce(max(step), 0) FROM reading").fetchone()[0])

    def _last(self, table: str) -> int:
        key = "id" if table == "layout" else "seq"
        return int(self.db.execute(f"SELECT coalesce(max({key}), 0) FROM {table}").fetchone()[0])

    def _put(self, table: str, *rows: tuple[int | str | bytes, ...]) -> None:
        """Rows with their checksums, the key first; one of the same key is replaced."""
        if not rows:
            return
        many = self.db.executemany if len(rows) != 1 else _one(self.db)
        holes = ", ".join("?" * len(rows[0]))
        many(f"INSERT OR REPLACE INTO {table} VALUES ({holes})", rows)
        part = PARTS[table]
        sums = [(part, row[0], row_sum(table, *row)) for row in rows]
        many("INSERT OR REPLACE INTO checksum VALUES (?, ?, ?)", sums)

    def _add(self, table: str, *values: int | str | bytes) -> None:
        """A row under the next number."""
        key = self._next[table]
        self._next[table] += 1
        self._put(table, (key, *values))

    def meta(self, changes: Mapping[str, Any]) -> None:
        """New or changed keys."""
        self._put("meta", *((str(key), codec.dump(v)) for key, v in changes.items()))

    def records(self, table: str, records: Sequence[Site | Parameter]) -> None:
        """New sites or parameters, or known ones replaced by id."""
        self._put(table, *((record.id, codec.dump_record(record)) for record in records))

    def reading(self, reading: Reading) -> None:
        """One reading as one row."""
        if reading.values.shape != (len(reading.channels),):
            raise ValueError(
                f"the reading of step {reading.step} has {len(reading.channels)} channels "
                f"but values of shape {reading.values.shape}"
            )
        layout = self._layout(reading)
        if layout is not None:
            self._add("reading", int(reading.step), layout, codec.pack(reading.values))
        elif not self._narrow:
            self._narrow = True
            text = "readings that differ from all before are no longer kept: there are too many"
            self.event(Event("note", int(reading.step), {"text": text}))
        self.last_step = int(reading.step)

    def _layout(self, reading: Reading) -> int | None:
        """Its number; None if the file holds as much of layouts as a reader takes."""
        known = self._known.get(id(reading.channels))
        if known and known[0] is reading.channels and known[1] == reading.source:
            return known[2]
        data, size = codec.dump_layout(reading.channels)
        digest = _digest(data, reading.source)
        number = self._stored.get(digest)
        if number is None:
            if self._unpacked + size > MAX_LAYOUTS_BYTES:
                return None
            self._unpacked += size
            number = self._next["layout"]
            self._add("layout", reading.source, data)
            self._stored[digest] = number
        if len(self._known) >= _KEPT_LAYOUTS:
            self._known.clear()
        self._known[id(reading.channels)] = (reading.channels, reading.source, number)
        return number

    def curve(self, steps: Sequence[int], losses: Sequence[float]) -> None:
        """Losses of steps, one row for all that came together."""
        if len(steps) != len(losses):
            raise ValueError(f"a curve of {len(steps)} steps but {len(losses)} losses")
        self._add("curve", np.asarray(steps, "<i8").tobytes(), np.asarray(losses, "<f8").tobytes())

    def event(self, event: Event) -> None:
        """One event; past `MAX_EVENTS` one note says that no more are kept."""
        self._events += 1
        if self._events > MAX_EVENTS + 1:
            return
        if self._events == MAX_EVENTS + 1:
            event = Event(
                "note", event.step, {"text": f"only the first {MAX_EVENTS} events are kept"}
            )
        self._add("event", event.kind, int(event.step), codec.dump(dict(event.detail)))

    def findings(self, findings: Sequence[Finding]) -> None:
        """All findings so far, in place of those before."""
        rows = [codec.dump(finding.as_dict()) for finding in findings]
        if (now := "\n".join(rows)) == self._findings:
            return  # judged each second, changed seldom
        self.db.execute("DELETE FROM finding")
        self.db.execute("DELETE FROM checksum WHERE part = ?", (PARTS["finding"],))
        for row in rows:
            self._add("finding", row)
        self._findings = now

    def make_room(self) -> None:
        """Thin the file if it is full; call between transactions."""
        if thin.used_bytes(self.db) <= self._limit:
            return
        self.db.execute("BEGIN IMMEDIATE")
        dropped = thin.thin(self.db, self._max_bytes)
        if dropped:
            self.event(Event("thinned", self.last_step, dropped))
        self.db.execute("COMMIT")
        self._known.clear()  # layouts may have gone with their last reading
        self._stored.clear()
        kept = self.db.execute("SELECT channels FROM layout").fetchall()
        self._unpacked = sum(len(codec.unpack_layout(row[0])) for row in kept)
        self._narrow = False
        # What is left may not be thinned: look again only once there is clearly more.
        self._limit = max(self._max_bytes, int(1.1 * thin.used_bytes(self.db)))

    def close(self) -> None:
        """Fold the log into the file, so that a finished run is one file that stands alone."""
        try:
            self.db.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.Error:
            pass  # someone is reading: the log stays beside the file, and any reader folds it in
        self.db.close()
