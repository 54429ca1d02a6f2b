"""A check-up of a script in a fork of this process: torch need not be imported once more."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from evenflow.experiments import Checkup
from evenflow.experiments.forks import child
from evenflow.experiments.forks.conducting import from_plain
from evenflow.experiments.forks.crossing import FOUND
from evenflow.script import Program
from evenflow.trial import Job


def checkup_of(folder: Path, text: str, seconds: float = 60.0) -> Checkup | str:
    """What was found, or why nothing was. The script runs in the folder itself, as `train.py`."""
    (folder / "train.py").write_text(text)
    where = folder / "job"
    in_fork(folder, where, child.main, seconds)
    if (where / FOUND).exists():
        return from_plain(json.loads((where / FOUND).read_text()))
    outcome = where / "outcome.json"
    if not outcome.exists():
        return (where / "output.txt").read_text()
    return str(json.loads(outcome.read_text())["error"])


def in_fork(folder: Path, where: Path, main: Callable[[Path], int], seconds: float = 60.0) -> None:
    """Run `main` on a job for the folder's script, in a fork whose output goes to a file."""
    where.mkdir()
    program = {**asdict(Program("train.py", str(folder))), "args": []}
    told = {"program": program, "job": asdict(Job(seconds=seconds)), "parent": os.getpid()}
    (where / "job.json").write_text(json.dumps(told))
    pid = os.fork()
    if pid == 0:
        try:
            output = os.open(where / "output.txt", os.O_WRONLY | os.O_CREAT)
            for stream in (1, 2):
                os.dup2(output, stream)
            sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
            main(where / "job.json")
        finally:
            os._exit(1)
    os.waitpid(pid, 0)
