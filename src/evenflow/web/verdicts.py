"""Judging in a process of its own: an answer never waits for a diagnosis of another run."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import queue
import signal
import threading
from concurrent.futures import Future
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import numpy as np

from ..diagnosis import diagnose
from ..lang import speaking
from ..report import as_json
from ..schema import Run, verdict
from ..showing import visible
from ..store import StoreError, load
from ..views import CURE_SUFFIX, cure_line, fit_line

#: Points of a small picture of the loss.
_POINTS = 60
#: What a file that makes no sense can raise when it is read or judged.
SENSELESS = (StoreError, OSError, ValueError, ArithmeticError, LookupError, TypeError)


def findings(path: Path, code: str) -> dict[str, Any]:
    """As `check --json` gives them, in a language."""
    run = load(path, partial=True)
    with speaking(code):
        return as_json(run, diagnose(run))


def line(path: Path) -> dict[str, Any]:
    """What the list says of a run, a cure or a model."""
    try:
        if path.name.endswith(CURE_SUFFIX):
            return cure_line(path)
        if path.name == "model.json":
            return fit_line(path)
        run = load(path, partial=True)
        found = diagnose(run)
        first = f"{found[0].code} {found[0].name}" if found else ""
        return _line(run) | {"verdict": verdict(found, run), "finding": first}
    except SENSELESS as error:
        return {"verdict": "unreadable", "why": visible(str(error))[:300]}


def _line(run: Run) -> dict[str, Any]:
    loss = run.curve_loss[np.isfinite(run.curve_loss)]
    at = np.linspace(0, len(loss) - 1, min(_POINTS, len(loss))).round().astype(int)
    return {
        "source": run.source,
        "script": str(run.meta.get("script", "")),
        "started": run.meta.get("started"),
        "ended": str(run.meta.get("ended", "")),
        "steps": run.counted,
        "loss": [float(f"{v:.4g}") for v in loss[at]] if len(loss) else [],
    }


#: Does nobody wait for it, its number, what is asked, and where the answer goes.
_Asked = tuple[bool, int, Any, tuple[Any, ...], "Future[dict[str, Any]]"]


class Judge:
    """The process; it is begun when it is first needed, and anew if it was killed."""

    def __init__(self) -> None:
        self._asked: queue.PriorityQueue[_Asked] = queue.PriorityQueue()
        self._count = itertools.count()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._process: SpawnProcess | None = None

    def ask(self, what: Any, *args: Any, first: bool = False) -> Future[dict[str, Any]]:
        """One of the functions above; an error of theirs, or an OSError if it was killed.

        Args:
            first: before all that somebody does not wait for.
        """
        future: Future[dict[str, Any]] = Future()
        self._asked.put((not first, next(self._count), what, args, future))
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, daemon=True)
                self._thread.start()
        return future

    def _serve(self) -> None:
        ours: Connection | None = None
        while True:
            _, _, what, args, future = self._asked.get()
            good = False
            told: Any = None
            for _again in range(2):  # if it was killed, once more
                try:
                    ours = ours or self._begun()
                    ours.send((what, args))
                    good, told = ours.recv()
                    break
                except (EOFError, OSError):
                    ours, told = None, OSError("it was killed while it was judged")
            (future.set_result if good else future.set_exception)(told)

    def _begun(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(target=_answer, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()  # so that its end is heard of
        return ours

    def close(self) -> None:
        """End it, whatever it is at."""
        if self._process is not None:
            self._process.kill()


def _answer(asked: Connection) -> None:
    """Until the server is gone. Behind a training on the same machine; Ctrl-C is not for us."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(10)
    while True:
        try:
            what, args = asked.recv()
        except (EOFError, OSError):
            return
        try:
            told: tuple[bool, Any] = True, what(*args)
        except SENSELESS as error:
            told = False, error
        try:
            asked.send(told)
        except OSError:  # the server is gone
            return
