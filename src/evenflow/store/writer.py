"""The writer: takes records from the training thread, writes them in a thread of its own."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import math
import os
import sqlite3
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from ..lang import _
from ..schema import Event, Finding, Parameter, Reading, Site
from .format import MAX_BYTES
from .sink import Sink, copied, create, fill, free_name, is_locked, take

#: Seconds between transactions: what a kill can lose, plus the time of one write.
INTERVAL = 0.5
#: Readings that wait for a disk that is too slow may take this many bytes, then new ones are
#: left out: training goes on, and an event says how many are missing.
MAX_WAITING = 256_000_000
#: Seconds `close` waits for a disk that does not answer.
PATIENCE = 30.0
#: Seconds `close` and `flush` wait for another program that holds the file.
FOREIGN = 2.0


@final
class Writer:
    """Writes one run file; made and fed by the training, whose thread never waits for the disk.

        record -> queue -> thread: one transaction every half second -> file

    Every method but `flush` and `close` only queues. The first error of the thread is kept in
    `error`; from then on each method does nothing, so training goes on as without a writer. In a
    forked child (a DataLoader's worker) each method does nothing either.

    Args:
        path: of the new file; its folder is made if need be.
        meta: of the run, plain JSON types.
        max_bytes: old readings are thinned when the file would grow past this.
        overwrite: replace an older run of that path (never a file that is not a run).
        numbered: where the path is taken, take the next free one; `path` then says which.
        resume: go on with the run that is there. If another program has it open, or there is
            none, it is as `numbered`.
        say: is told, in the writer's thread, where the run goes on in another file: when its own
            has vanished or was replaced, or is held by another program as it is to be closed.

    Raises:
        FileExistsError: the file exists.
        OSError: the path cannot be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        meta: Mapping[str, Any],
        *,
        max_bytes: int = MAX_BYTES,
        overwrite: bool = False,
        numbered: bool = False,
        resume: bool = False,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        found = take(Path(path)) if resume and Path(path).exists() else None
        self.resumed = found is not None
        numbered = (numbered or resume) and found is None
        self.path = free_name(Path(path)) if numbered else Path(path)
        self.error: BaseException | None = None
        self._pid = os.getpid()
        self._queue: deque[tuple[Callable[..., None], tuple[Any, ...]] | threading.Event] = deque()
        self._waiting = 0
        self._left_out = 0
        self._source: Callable[[], tuple[Sequence[int], Sequence[float]]] | None = None
        self._closing = False
        self._wake = threading.Event()
        self._say, self._held, self._left = say, False, list[sqlite3.Connection]()
        self._until = math.inf  # closing, then the file of another program's is given up
        db = found or (fill(self.path) if numbered else create(self.path, overwrite))
        self._mark = _mark(self.path)
        self._sink = Sink(db, max_bytes)
        self._sink.db.execute("BEGIN IMMEDIATE")
        self._sink.meta(meta)
        self._sink.db.execute("COMMIT")
        self._log = _mark(f"{self.path}-wal")
        self._cpu = self._asked = 0.0  # seconds, of our thread
        thread = threading.Thread(target=self._work, name="evenflow-writer", daemon=True)
        self._thread: threading.Thread | None = thread
        thread.start()
        _alive[:] = [ref for ref in _alive if ref() is not None] + [weakref.ref(self)]
        atexit.register(self.close)

    def sites(self, sites: Sequence[Site]) -> None:
        """Add sites, or replace them by id."""
        self._put(self._sink.records, "site", tuple(sites))

    def params(self, params: Sequence[Parameter]) -> None:
        """Add parameters, or replace them by id."""
        self._put(self._sink.records, "param", tuple(params))

    def reading(self, reading: Reading) -> None:
        """Add a reading (its values are copied: the tape may reuse its buffer)."""
        values = np.array(reading.values, np.float64)
        if self._waiting + values.nbytes > MAX_WAITING:
            self._left_out += 1
            return
        self._waiting += values.nbytes
        self._put(self._reading, Reading(reading.step, reading.channels, values, reading.source))

    def curve(self, steps: Sequence[int], losses: Sequence[float]) -> None:
        """Add losses of steps; of passes before the first update as -1, -2, ... in order."""
        self._put(self._sink.curve, list(steps), list(losses))

    def fetch(self, source: Callable[[], tuple[Sequence[int], Sequence[float]]]) -> None:
        """Call `source` before each transaction, in the writer's thread, for (steps, losses)."""
        self._source = source

    def event(self, event: Event) -> None:
        """Add an event."""
        self._put(self._sink.event, event)

    def findings(self, findings: Sequence[Finding]) -> None:
        """Replace all findings."""
        self._put(self._sink.findings, tuple(findings))

    def meta(self, **changes: Any) -> None:
        """Add or change keys of the run's meta."""
        self._put(self._sink.meta, changes)

    def flush(self) -> None:
        """Wait until all that was given so far is on disk (or the writer has failed, or another
        program holds the file for longer than `FOREIGN`)."""
        if not self._open():
            return
        done = threading.Event()
        self._queue.append(done)
        self._wake.set()
        began, thread = time.monotonic(), self._thread
        while not done.wait(0.05) and thread is not None and thread.is_alive():
            if self._held and time.monotonic() - began > FOREIGN:
                return  # what is there can be read all the same

    def close(self) -> None:
        """Write what is left and close the file; may be called again, does nothing then."""
        if os.getpid() != self._pid:
            return
        atexit.unregister(self.close)
        self._until = min(self._until, time.monotonic() + FOREIGN)
        self._closing = True
        self._wake.set()
        thread = self._thread
        if thread is None or threading.current_thread() is thread:
            return
        thread.join(PATIENCE)
        if not thread.is_alive():
            # Let go of now, and not in a garbage collection some day, during whose callbacks Python
            # swallows what a signal handler raises.
            self._thread = None
        elif self.error is None:
            self.error = TimeoutError(
                f"{str(self.path)!r} was not written within {PATIENCE:.0f} s; is the disk full "
                "or away?"
            )

    def took(self) -> float:
        """Seconds of processor time that writing has taken since this was asked last."""
        before, self._asked = self._asked, self._cpu
        return self._asked - before

    def _put(self, write: Callable[..., None], *args: Any) -> None:
        if self._open():
            self._queue.append((write, args))

    def _open(self) -> bool:
        return self.error is None and not self._closing and os.getpid() == self._pid

    # The thread.

    def _work(self) -> None:
        try:
            last = False
            while not last:
                self._wake.wait(INTERVAL)
                self._wake.clear()
                closing = self._closing  # read before the queue is: nothing comes after it is set
                self._transact()
                if self._held and time.monotonic() > self._until:
                    self._move(
                        _(
                            "{path!r} is held by another program; the whole run, its end too, is "
                            "in {new!r}"
                        )
                    )
                self._cpu = time.thread_time()
                last = closing and not self._queue
        except BaseException as error:
            self.error = error
            self._confess(error)
        finally:
            self._queue.clear()
            with contextlib.suppress(sqlite3.Error):
                self._sink.close()

    def _transact(self) -> None:
        """One transaction of all that waits. Flush marks are set after it, not within."""
        if self._source is not None:
            steps, losses = self._source()
            if len(steps):  # before any flush mark that is waiting
                self._queue.appendleft((self._sink.curve, (steps, losses)))
        if not self._queue:
            return
        marks: list[threading.Event] = []
        if _mark(self.path) != self._mark:
            gone = not self.path.exists()
            self._move(
                _("{path!r} has vanished; the run goes on in {new!r}")
                if gone
                else _("{path!r} was replaced by another file; the run goes on in {new!r}")
            )
        if not self._begin():
            return
        try:
            self._drain(marks)
        finally:
            # Also after an error: what came before it is good. SQLite itself may have rolled back.
            if self._sink.db.in_transaction:
                self._sink.db.execute("COMMIT")
        try:
            self._sink.make_room()
        except sqlite3.OperationalError as error:
            if not is_locked(error):
                raise
        for mark in marks:
            mark.set()
        if self._queue:
            self._wake.set()

    def _begin(self) -> bool:
        """Open a transaction; False if another program holds the file, which may be over later."""
        try:
            self._sink.db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not is_locked(error):
                raise
            self._held = True
            return False
        self._held = False
        return True

    def _move(self, said: str) -> None:
        """Go on in a file of another name that holds all there was."""
        old, self.path = self.path, free_name(self.path)
        self._left.append(self._sink.db)
        # Never closed: SQLite would remove the log of that name, which is another's by now.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._sink.db))
        self._sink.db = copied(self._sink.db, self.path)
        if _mark(old) != self._mark and _mark(f"{old}-wal") == self._log:
            for end in ("-wal", "-shm"):  # what is there now would be read with our log
                Path(f"{old}{end}").unlink(missing_ok=True)
        self._mark, self._held = _mark(self.path), False
        self._log = _mark(f"{self.path}-wal")
        self._say(said.format(path=str(old), new=str(self.path)))

    def _drain(self, marks: list[threading.Event]) -> None:
        began = time.monotonic()
        # Not longer than an interval: a training faster than the disk must not keep one
        # transaction open for ever.
        while self._queue and time.monotonic() - began < INTERVAL:
            item = self._queue.popleft()
            if isinstance(item, threading.Event):
                marks.append(item)
            else:
                write, args = item
                write(*args)
        if self._left_out:
            count, self._left_out = self._left_out, 0
            detail = {"unwritten": count, "why": "the disk is slower than the readings come"}
            self._sink.event(Event("thinned", self._sink.last_step, detail))

    def _reading(self, reading: Reading) -> None:
        self._waiting -= reading.values.nbytes
        self._sink.reading(reading)

    def _confess(self, error: BaseException) -> None:
        """Say in the file itself why it ends here, if it can still be written."""
        try:
            if self._sink.db.in_transaction:
                self._sink.db.execute("ROLLBACK")
            what = f"{type(error).__name__}: {error}"
            self._sink.event(Event("stopped", self._sink.last_step, {"error": what}))
            self._sink.meta({"ended": f"error: {what}"})
        except BaseException:
            pass  # `error` is told to the owner, who warns


def _mark(path: Path | str) -> tuple[int, int] | None:
    """What tells this file from another of its name."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


#: Plain references: the callback of a `WeakSet` is a place where Python swallows what a signal
#: handler raises.
_alive: list[weakref.ref[Writer]] = []


def _disown() -> None:
    """In a forked child: never close the parent's connection.

    SQLite forbids a connection to cross a fork, and closing it there (as Python would do at the
    child's exit) may fold in a log the parent still writes. One reference too many keeps it open.
    """
    for writer in filter(None, [ref() for ref in _alive]):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(writer._sink.db))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown)
