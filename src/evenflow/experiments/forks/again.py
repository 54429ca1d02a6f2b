"""Where a process cannot be forked (an accelerator holds state that a fork does not have): each run
is the script from its start. Dear, so few are asked for.

`python -m evenflow.experiments.forks.again REQUEST JOB.json`.
"""

from __future__ import annotations

import pickle
import sys
import time
from base64 import b85decode, b85encode
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from ...trial import Attempt, Outcome
from ..bench import Change, Trace
from .child import host
from .found import LATE, NO_ANSWER, Beginning

_ANSWER = "answer.pickle"
#: module, request -> the folder of the run, and how it ended.
Run = Callable[[str, str], tuple[Path, Outcome]]


class RerunBench:
    """See `Bench`. The first run of all finds where the training begins."""

    streams = True
    most_runs = 4

    def __init__(self, run: Run, until: float) -> None:
        self._run, self.until = run, until
        self._found: Beginning | None = None

    def run(self, change: Change, steps: int, wants: Collection[str] = ()) -> Trace:
        if self._found is None:
            found = self._ask(None)
            if isinstance(found, Trace):
                return found
            self._found = replace(found, roots=())  # of another process
        if self._found.call < 0:
            return Trace("error", self._found.why)
        answer = self._ask((self._found, change, steps, tuple(wants)))
        return answer if isinstance(answer, Trace) else Trace("error", NO_ANSWER)

    def _ask(self, request: Any) -> Any:
        if time.monotonic() > self.until:
            return Trace("time", LATE)
        folder, outcome = self._run("again", b85encode(pickle.dumps(request)).decode())
        file = folder / _ANSWER
        if not file.exists():
            return Trace("error", outcome.error or NO_ANSWER)
        return pickle.loads(file.read_bytes())  # of a process of ours, in a folder of ours


class FilePipe:
    """The way back of a process that is no fork."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt

    def answer(self, value: Any) -> NoReturn:
        (self.attempt.folder / _ANSWER).write_bytes(pickle.dumps(value))
        self.attempt.finish("horizon", leave=True)
        raise AssertionError  # the process has ended


class Rerun:
    """A `Guest`: one run of the script, asked for by a request."""

    def __init__(self, attempt: Attempt, request: Any) -> None:
        self.attempt, self.request = attempt, request
        self.doors: Any = None

    def begin(self) -> None:
        from .doors import Doors
        from .examiner import Waiting
        from .scout import Scout

        self.doors, pipe = Doors(), FilePipe(self.attempt)
        if self.request is None:
            self.doors.role = Scout(self.doors, pipe)
        else:
            self.doors.role = Waiting(self.doors, pipe, *self.request)

    def ended(self, error: BaseException | None) -> None:
        if self.doors is not None:
            self.doors.role.ended(error)


def main(request: str, path: Path) -> int:
    return host(path, lambda attempt: Rerun(attempt, pickle.loads(b85decode(request))))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
