"""Runs of programs in forked processes: surveyed, treated, patched; with losses and output."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from evenflow.patching import KnownTraining, Patch, known_training, patched, sources_of
from evenflow.script import Program
from evenflow.trial import Job
from evenflow.trial.child import Attempt
from evenflow.trial.survey import Survey, before
from patience import HANG

PROGRAMS = Path(__file__).parent / "programs"
_FORK = multiprocessing.get_context("fork")


@dataclass
class Ran:
    """Losses of each backward, what was printed, and how it ended."""

    losses: list[float]
    output: str
    ended: str
    error: str


class Bare:
    """A guest that does nothing: the script as plain `python` would run it, but for seeds."""

    def begin(self) -> None: ...

    def ended(self, error: BaseException | None) -> None: ...


def run(
    folder: Path,
    target: str,
    course: str = "",
    *,
    module: bool = False,
    args: tuple[str, ...] = (),
    treated: bool = False,
    survey: bool = False,
) -> tuple[Ran, dict[str, Any] | None]:
    """A run of a program in a process of its own, forked off this one."""
    job = Path(tempfile.mkdtemp())
    program = Program(target, str(folder), args, module)
    kept = job / "kept.json"
    process = _FORK.Process(target=_child, args=(program, job, course, treated, survey, kept))
    process.start()
    process.join(HANG)
    told = json.loads(kept.read_text()) if kept.exists() else {"losses": [], "ended": ["lost", ""]}
    outcome = job / "outcome.json"
    ended, error = told["ended"]
    if outcome.exists():
        said = json.loads(outcome.read_text())
        ended, error = said["ended"], said["error"]
    found = job / "survey.json"
    known = json.loads(found.read_text()) if found.exists() else None
    output = (job / "output.txt").read_text()
    shutil.rmtree(job)
    return Ran(told["losses"], output, ended, error), known


def _child(
    program: Program, job: Path, course: str, treated: bool, survey: bool, kept: Path
) -> None:
    losses: list[float] = []
    ended = ["lost", ""]
    out = os.open(job / "output.txt", os.O_WRONLY | os.O_CREAT)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.stdout = os.fdopen(1, "w")
    sys.stderr = os.fdopen(2, "w")
    try:
        os.environ.pop("EVENFLOW_STRICT", None)
        before(torch.Tensor, "backward", lambda loss: losses.append(float(loss.detach())))
        attempt = Attempt(program, Job(course, seconds=HANG), job, os.getppid())
        attempt.run(Survey(attempt) if survey else None if treated else Bare())
        ended = ["finished", ""]
    except BaseException:
        ended = ["error", traceback.format_exc()]
    sys.stdout.flush()
    kept.write_text(json.dumps({"losses": losses, "ended": ended}))
    os._exit(0)


def copied(name: str) -> tuple[Path, str]:
    """A program in a folder of its own, and its target."""
    folder = Path(tempfile.mkdtemp()).resolve() / "case"
    source = PROGRAMS / name
    if source.is_dir():
        shutil.copytree(source, folder)
        return folder, "pkg.train" if (folder / "pkg").exists() else "train.py"
    folder.mkdir()
    shutil.copy(source.with_suffix(".py"), folder / "train.py")
    return folder, "train.py"


def scripts(folder: Path) -> dict[str, bytes]:
    names = {str(p.relative_to(folder)) for p in folder.rglob("*.py")}
    return sources_of(folder, names)


def surveyed(folder: Path, target: str, course: str, **more: Any) -> KnownTraining:
    ran, plain = run(folder, target, course, survey=True, **more)
    assert plain is not None, ran
    return known_training(plain)


def patch_of(folder: Path, target: str, course: str, **more: Any) -> Patch:
    """What a survey and the sources make of a course."""
    return patched(scripts(folder), course, surveyed(folder, target, course, **more))
