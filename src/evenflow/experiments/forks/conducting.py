"""The way in: a check-up of a script, in a scratch copy of its folder."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...lang import _
from ...script import Program
from ...trial import CHILD, FolderSnapshot, Job, LocalPool, Outcome
from ..catalogue import EXPERIMENTS
from ..conducting import conduct
from ..result import Checkup, Tested
from .again import RerunBench
from .crossing import FOUND
from .found import AGAIN

#: Seconds, of all of it.
SECONDS = 60.0


class CannotExamine(Exception):
    """The script cannot be run, or does not train; the message says why."""


def examine(program: Program, seconds: float = SECONDS) -> Checkup:
    """Check a script up as it stands, within so many seconds.

    Raises:
        ValueError: there is no room for a scratch copy.
        CannotExamine: the script failed before its first update, or none was seen.
    """
    began = time.monotonic()
    name = Path(program.target).name
    with contextlib.ExitStack() as held:
        place = tempfile.TemporaryDirectory(prefix="evenflow-checkup-")
        folder = Path(held.enter_context(place))
        snapshot = held.enter_context(FolderSnapshot(Path(program.folder), folder / "snapshot"))

        def run(module: str, asked: str = "") -> tuple[Path, Outcome]:
            left = max(5.0, seconds - (time.monotonic() - began))
            child = (*CHILD[:-1], f"{__package__}.{module}", *filter(None, [asked]))
            pool = LocalPool(program, folder / "jobs", child, snapshot)
            with contextlib.closing(pool.run([Job(seconds=left)])) as running:  # type: ignore[type-var]
                ((job, outcome),) = running
            return folder / "jobs" / job.key, outcome

        where, outcome = run("child")
        if outcome.error == AGAIN:
            bench = RerunBench(run, began + seconds)
            try:
                found = conduct(bench, name, seconds)
            except ValueError as error:
                raise CannotExamine(_(str(error))) from None
        elif (where / FOUND).exists():
            found = from_plain(json.loads((where / FOUND).read_text(encoding="utf-8")))
        else:
            raise CannotExamine(_why(outcome))
    return replace(found, seconds=time.monotonic() - began)


def from_plain(told: dict[str, Any]) -> Checkup:
    """Inverse of `crossing.as_plain`."""
    tested = []
    for one in told["tested"]:
        given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in one.items()}
        given["experiment"] = EXPERIMENTS[one["experiment"]]
        tested.append(Tested(**given))
    return Checkup(told["name"], tuple(tested), told["seconds"])


def _why(outcome: Outcome) -> str:
    """Why nothing was found."""
    said = outcome.error or _("it ended without a word")
    if outcome.ended in ("time", "killed"):
        said = outcome.error or _("no update was seen in {n:.0f} s").format(n=outcome.seconds)
    if said.startswith("SystemExit") and outcome.output:  # a wrong argument: it has said why
        text = Path(outcome.output).read_text(encoding="utf-8", errors="replace")
        said = next((line for line in reversed(text.splitlines()) if line.strip()), said)
    return _(said)
