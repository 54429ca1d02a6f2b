"""Opening a run file to read it: a snapshot of what is proven to be one of ours."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..lang import _
from ..showing import visible
from .budget import ReadingBudget, TooMuch
from .format import APPLICATION_ID, SUFFIX, TABLES, VERSION, StoreError

_MAGIC = b"SQLite format 3\0"
#: SQLite's steps between two looks at the budget: some milliseconds.
_LOOK = 50_000
#: What a flaw of a file shows itself by.
FLAWS = (ValueError, KeyError, TypeError, AttributeError, OverflowError, IndexError)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[sqlite3.Connection, ReadingBudget]]:
    """A read transaction on a file of ours; any flaw met within becomes a StoreError.

    Texts come as bytes, which may be anything.
    """
    _look(path)
    log = Path(f"{path.resolve()}-wal")
    budget = ReadingBudget(path.stat().st_size + (log.stat().st_size if log.exists() else 0))
    try:
        with _connect(path, budget) as db:
            db.text_factory = bytes
            db.execute("PRAGMA trusted_schema = OFF")
            db.execute("PRAGMA cell_size_check = ON")
            db.execute("BEGIN")
            _check_schema(path, db)
            yield db, budget
    except StoreError:
        raise
    except TooMuch as error:
        said = _("{path!r} is no run of ours to be read: {why}; take a copy from before")
        raise StoreError(said.format(path=str(path), why=error)) from None
    except MemoryError:
        said = _("{path!r} takes more memory than there is; read it on a larger machine")
        raise StoreError(said.format(path=str(path))) from None
    except (sqlite3.Error, *FLAWS) as error:
        # what it quotes may be the file's own
        lacks = isinstance(error, KeyError)
        why = _("it lacks {key}").format(key=error) if lacks else visible(str(error))
        if budget.late():
            why = _("it takes too long to read")
        said = _("{path!r} is damaged ({why}); take a copy from before, or run again")
        raise StoreError(said.format(path=str(path), why=why)) from error


def _look(path: Path) -> None:
    """What can be told without SQLite."""
    shown = {"path": str(path), "suffix": SUFFIX}
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            said = _("{path!r} is a folder; give the path of a run, a *{suffix} file")
            raise StoreError(said.format(**shown))
        beside = [Path(f"{path.resolve()}{end}") for end in ("-wal", "-shm", "-journal")]
        for each in (path, *beside):  # to open a pipe is to wait for who writes into it
            if each.exists() and not each.is_file():
                said = _("{path!r} is no regular file; give the path of a run, a *{suffix} file")
                raise StoreError(said.format(path=str(each), suffix=SUFFIX))
        with path.open("rb") as file:
            head = file.read(16)
    except FileNotFoundError:
        said = _("there is no file {path!r}; give the path of a run, a *{suffix} file")
        raise StoreError(said.format(**shown)) from None
    except StoreError:
        raise
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: links in a circle
        said = _("{path!r} cannot be read: {error}; give a file that can")
        raise StoreError(said.format(**shown, error=visible(str(error)))) from error
    if not head:
        said = _("{path!r} is empty: nothing was written to it yet; run again")
        raise StoreError(said.format(**shown))
    if head != _MAGIC:
        said = _(
            "{path!r} is not an Evenflow run; give a *{suffix} file as `evenflow run` writes it"
        )
        raise StoreError(said.format(**shown))


@contextlib.contextmanager
def _connect(path: Path, budget: ReadingBudget) -> Iterator[sqlite3.Connection]:
    """Read-only, without leaving anything behind that was not there.

    A log (-wal) beside the file holds its newest part. SQLite reads it only where it may write
    its index next to it; in a read-only folder both are copied elsewhere first.
    """
    address = path.resolve().as_uri()
    log = Path(f"{path.resolve()}-wal")
    with contextlib.ExitStack() as stack:
        db = _bounded(f"{address}?mode=ro", budget)
        stack.callback(lambda: db.close())
        try:
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            db.close()
            if budget.late():
                raise
            how = "immutable=1"
            if log.exists() and log.stat().st_size:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="evenflow-")))
                copy = folder / "run"
                shutil.copyfile(path, copy)
                shutil.copyfile(log, f"{copy}-wal")
                address, how = copy.as_uri(), "mode=rw"
            db = _bounded(f"{address}?{how}", budget)
            stack.callback(db.close)  # before the folder goes
        yield db


def _bounded(address: str, budget: ReadingBudget) -> sqlite3.Connection:
    db = sqlite3.connect(address, uri=True, timeout=10, isolation_level=None)
    db.set_progress_handler(budget.late, _LOOK)
    return db


def _check_schema(path: Path, db: sqlite3.Connection) -> None:
    """Ours, and nothing in it but our tables (a view could yield rows for ever)."""
    shown = {"path": str(path), "suffix": SUFFIX}
    if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        said = _("{path!r} is an SQLite database, but not an Evenflow run; give a *{suffix} file")
        raise StoreError(said.format(**shown))
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version != VERSION:
        newer = _(
            "{path!r} was written by a newer Evenflow (schema {version}, this one reads "
            "{known}); update Evenflow to read it"
        )
        older = _(
            "{path!r} was written by an older Evenflow (schema {version}, this one reads "
            "{known}); judge it with that one, or run again"
        )
        said = newer if version > VERSION else older
        raise StoreError(said.format(**shown, version=version, known=VERSION))
    found = db.execute("SELECT name, sql FROM sqlite_master").fetchmany(len(TABLES) + 1)
    wanted = {name.encode(): sql.encode() for name, sql in TABLES.items()}
    if len(found) != len(TABLES) or dict(found) != wanted:
        raise ValueError("its tables are not those of a run")
