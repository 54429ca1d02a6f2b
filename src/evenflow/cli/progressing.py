"""How far a training is: a bar on a terminal, a line now and then in a file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from ..lang import _

#: Seconds before the first line and between lines where no terminal shows a bar.
FIRST, BETWEEN = 5.0, 30.0


class Progress:
    """Tells epochs on stderr; a context, so that a bar is taken away however it ends.

    Args:
        write: takes a line, where stderr is no terminal; None prints it.
        clock: seconds.
    """

    def __init__(
        self,
        write: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bar: Any = None
        self._job: Any = None
        self._write, self._clock = write, clock
        self._last = clock() + FIRST - BETWEEN

    def __enter__(self) -> Progress:
        if self._write is None and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TimeRemainingColumn

            share, left = "{task.percentage:3.0f}%", TimeRemainingColumn()
            columns = "{task.description}", BarColumn(), share, left
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def job(self, name: str) -> Callable[[int, int], None]:
        """A new training; what is returned is told (epoch, epochs)."""
        first: list[tuple[int, float]] = []
        if self._bar is not None:
            if self._job is not None:
                self._bar.remove_task(self._job)
            self._job = self._bar.add_task(name, total=None)

        def told(epoch: int, epochs: int) -> None:
            if self._bar is not None:
                self._bar.update(self._job, completed=epoch, total=epochs)
                return
            if not first:
                first.append((epoch, self._clock()))
            if self._clock() - self._last >= BETWEEN:
                self._last = self._clock()
                begun, since = first[0]
                self._line(name, epoch, epochs, epoch - begun, self._last - since)

        return told

    def _line(self, name: str, epoch: int, epochs: int, done: int, passed: float) -> None:
        """`done` epochs took `passed` seconds; of the first alone nobody knows what it took."""
        said = _("{name}: epoch {epoch} of {epochs}")
        if done:
            said = _("{name}: epoch {epoch} of {epochs}, at most {left} left")
        left = _span(passed / max(done, 1) * (epochs - epoch))
        said = said.format(name=name, epoch=epoch, epochs=epochs, left=left)
        if self._write is not None:
            self._write(said)
        else:
            print(said, file=sys.stderr, flush=True)


def _span(seconds: float) -> str:
    """1 s, 59 s, 2 min, 3 h."""
    if seconds < 60:
        return _("{n} s").format(n=max(1, round(seconds)))
    if seconds < 5400:
        return _("{n} min").format(n=round(seconds / 60))
    return _("{n} h").format(n=round(seconds / 3600))
