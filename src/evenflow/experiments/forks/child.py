"""The process of a check-up: a script run as `python` would, examined where its training begins.

`python -m evenflow.experiments.forks.child JOB.json`, started by `trial.LocalPool`. Writes
`outcome.json` and `checkup.json` beside the job.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from ...trial import Attempt, Guest, attempt_of
from .crossing import FOUND, as_plain
from .found import NO_FORWARD, reason

#: Of the time that there is, this share may pass before the first training forward.
START_SHARE = 0.5


class Examination:
    """What is done in the attempt's process, once torch has been imported."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.doors: Any = None

    def begin(self) -> None:
        from .doors import Doors
        from .examiner import Examiner

        self.doors = Doors()
        seconds = START_SHARE * self.attempt.job.seconds
        self.doors.role = Examiner(self.doors, seconds, self.examine, self.nothing)

    def examine(self, model: Any, found: Any) -> None:
        """Never returns but in a fork."""
        from ..conducting import conduct
        from .bench import ForkBench

        until = self.attempt.began + 0.95 * self.attempt.job.seconds
        bench = ForkBench(self.doors, model, found, until)
        name = Path(self.attempt.program.target).name
        try:
            checkup = conduct(bench, name, until - time.monotonic())
        except ValueError as error:
            self.nothing(str(error))
        except Exception as error:
            traceback.print_exc()
            self.nothing(f"evenflow: {type(error).__name__}: {error}")
        self._write(checkup)
        self.attempt.finish("horizon", leave=True)

    def nothing(self, why: str) -> NoReturn:
        self.attempt.finish("error", why, leave=True)
        raise AssertionError  # the process has ended

    def ended(self, error: BaseException | None) -> None:
        """The script is over: in a fork, whatever that is worth; or before any training."""
        if self.doors is None:  # torch was never imported
            self.nothing(reason(error) or NO_FORWARD)
        self.doors.role.ended(error)

    def _write(self, checkup: Any) -> None:
        told = json.dumps(as_plain(checkup))
        (self.attempt.folder / FOUND).write_text(told, encoding="utf-8")


def host(path: Path, guest: Callable[[Attempt], Guest]) -> int:
    """Run a job's script with a guest, without torch's compiler and a watch of its own."""
    os.environ |= {"TORCHDYNAMO_DISABLE": "1", "EVENFLOW_DISABLE": "1"}
    attempt = attempt_of(path)
    return attempt.run(guest(attempt))


def main(path: Path) -> int:
    return host(path, Examination)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
