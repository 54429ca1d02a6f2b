"""Who runs jobs: here processes of this machine; a cluster may stand behind the same interface."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from ..script import Program
from . import metric as metrics
from .job import Job, Outcome, as_json, outcome_from
from .scratch import translated

#: A process that neither ended nor wrote its outcome so long after its time is killed.
GRACE = 15.0
#: No script needs to print more than that; one in an endless loop would fill the disk.
MOST_OUTPUT = 64 << 20


#: What runs one job: this interpreter with its own flags.
CHILD: tuple[str, ...] = (
    *(sys.executable, *subprocess._args_from_interpreter_flags()),  # type: ignore[attr-defined]
    *("-m", "evenflow.trial.child"),
)
#: Hears of a job, its outcome, and whether that was remembered.
OnOutcome = Callable[[Job, Outcome, bool], None]
_POOLS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Engine(Protocol):
    """Runs jobs. Outcomes come in any order; an engine never raises for what a script does."""

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Outcome]]:
        """Each job once. Closing the iterator stops what is still running."""


class ScratchSource(Protocol):
    """What scratch copies are made from; `scratch.FolderSnapshot` is one."""

    def copy(self, where: Path) -> Path:
        """A scratch copy below `where`; its root."""

    def damaged(self) -> list[str]:
        """Files shared by copies that a trial has written into."""


@dataclass(slots=True)
class _Running:
    job: Job
    process: subprocess.Popen[bytes]
    folder: Path
    began: float = field(default_factory=time.monotonic)


@dataclass(slots=True, eq=False)
class LocalPool:
    """At most `size` processes at a time, each in its own scratch copy of the program's folder.

    `child` is the command that runs one job; it is given the path of the job's JSON file, and
    writes `outcome.json` beside it. `snapshot` None runs in the folder itself.
    """

    program: Program
    folder: Path
    child: Sequence[str]
    snapshot: ScratchSource | None
    pattern: re.Pattern[str] | None = None
    size: int = 1
    threads: int = 1

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Outcome]]:
        waiting, running = list(reversed(jobs)), list[_Running]()
        try:
            while waiting or running:
                while waiting and len(running) < self.size:
                    running.append(self._start(waiting.pop()))
                time.sleep(0.02)
                for one in list(running):
                    if self._over(one):
                        outcome = self._finish(one)
                        running.remove(one)  # only now: Ctrl-C may strike in between
                        yield one.job, outcome
        finally:
            for one in running:
                _kill(one.process)
                self._clear(one.folder)

    def _start(self, job: Job) -> _Running:
        folder = self.folder / job.key
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            return _Running(job, self._launch(job, folder), folder)
        except BaseException:  # Ctrl-C, no room: what was copied is in the way of nobody
            self._clear(folder)
            raise

    def _launch(self, job: Job, folder: Path) -> subprocess.Popen[bytes]:
        original = Path(self.program.folder)
        program, where = self.program, original
        if self.snapshot is not None:
            where = self.snapshot.copy(folder / "scratch")
            target, *args = (
                translated(a, original, where) for a in (program.target, *program.args)
            )
            program = replace(program, target=target, folder=str(where), args=tuple(args))
        told = {"program": as_json(program), "job": as_json(job), "parent": os.getpid()}
        (folder / "job.json").write_text(json.dumps(told), encoding="utf-8")
        with open(folder / "output.txt", "wb") as output:
            return subprocess.Popen(
                [*self.child, str(folder / "job.json")],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment(original, where, folder),
                start_new_session=True,
            )

    def _environment(self, original: Path, where: Path, folder: Path) -> dict[str, str]:
        ours = {k for k in os.environ if k.startswith("EVENFLOW_")} - {"EVENFLOW_STRICT"}
        kept = {k: v for k, v in os.environ.items() if k not in ours}
        temporary = folder / "tmp"
        temporary.mkdir()
        kept.setdefault("PYTHONHASHSEED", "0")
        kept["TMPDIR"] = str(temporary)
        if "PYTHONPATH" in kept:  # what is relative to the folder must be found from the copy
            paths = [os.path.join(original, p) for p in kept["PYTHONPATH"].split(os.pathsep) if p]
            kept["PYTHONPATH"] = os.pathsep.join(translated(p, original, where) for p in paths)
        if not kept.keys() & set(_POOLS):  # else the user knows better
            kept.update(dict.fromkeys(_POOLS, str(self.threads)))
        return kept

    def _over(self, one: _Running) -> bool:
        """Has it ended? If it is past its time, it is made to."""
        if one.process.poll() is not None:
            return True
        output = one.folder / "output.txt"
        late = time.monotonic() - one.began > one.job.seconds + GRACE
        if late or output.stat().st_size > MOST_OUTPUT:
            _kill(one.process)
            return True
        return False

    def _finish(self, one: _Running) -> Outcome:
        seconds = time.monotonic() - one.began
        _kill(one.process)  # what the script left behind: workers, servers
        output = one.folder / "output.txt"
        outcome = _read(one.folder / "outcome.json") or self._unsaid(one, seconds, output)
        self._clear(one.folder)
        run = one.folder / "run.evenflow"
        notes = outcome.uncontrolled
        if self.snapshot is not None and (damaged := self.snapshot.damaged()):
            shared = (
                f"the script writes into {damaged[0]!r} in place: runs at the same time share it"
            )
            notes = (*notes, shared)
        return replace(
            outcome,
            seconds=seconds,
            metric=metrics.read(self.pattern, output),
            run=str(run) if run.exists() else "",
            output=str(output),
            uncontrolled=notes,
        )

    def _unsaid(self, one: _Running, seconds: float, output: Path) -> Outcome:
        """It ended without a word: by a signal, `os._exit`, or because it hung."""
        code = one.process.returncode
        if seconds > one.job.seconds + GRACE - 0.5:
            return Outcome("killed", f"it answered no more and was stopped after {seconds:.0f} s")
        if output.stat().st_size > MOST_OUTPUT:
            return Outcome("killed", f"it printed more than {MOST_OUTPUT >> 20} MB")
        if code is not None and code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
            return Outcome("error", f"it was ended by {name}")
        return Outcome("error", f"it left with exit code {code} and without a word")

    def _clear(self, folder: Path) -> None:
        for name in ("scratch", "tmp"):
            shutil.rmtree(folder / name, ignore_errors=True)


class Remembered:
    """An engine that asks another one only for what has not been run before.

    Outcomes are appended to a journal of one JSON line each, so that whoever asks the same
    questions again after an interruption gets the answers without running anything.
    """

    def __init__(
        self, engine: Engine, journal: Path, on_outcome: OnOutcome = lambda *_: None
    ) -> None:
        self.engine, self.journal, self.on_outcome = engine, journal, on_outcome
        self.known = _journal(journal)

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Outcome]]:
        fresh = []
        for job in jobs:
            if job.key in self.known and not _cut_short(self.known[job.key], job):
                self.on_outcome(job, self.known[job.key], True)
                yield job, self.known[job.key]
            else:
                fresh.append(job)
        with contextlib.closing(self.engine.run(fresh)) as running:  # type: ignore[type-var]
            for job, outcome in running:
                self.known[job.key] = outcome
                self._write(job, outcome)
                self.on_outcome(job, outcome, False)
                yield job, outcome

    def _write(self, job: Job, outcome: Outcome) -> None:
        line = json.dumps({"key": job.key, "job": as_json(job), "outcome": as_json(outcome)})
        with open(self.journal, "a", encoding="utf-8") as file:
            # First a newline: it ends the line that was being written when we were killed.
            file.write(f"\n{line}\n")
            file.flush()
            os.fsync(file.fileno())


def _journal(path: Path) -> dict[str, Outcome]:
    if not path.is_file():
        return {}
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
            found[str(entry["key"])] = outcome_from(entry["outcome"])
        except (ValueError, KeyError, TypeError):
            continue  # the line that was being written when the power went
    return found


def _cut_short(outcome: Outcome, job: Job) -> bool:
    """It ran out of a time much shorter than what it would have now."""
    return outcome.ended in ("time", "killed") and job.seconds > 1.5 * outcome.seconds


def _read(path: Path) -> Outcome | None:
    try:
        return outcome_from(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The process and all that it started (they share a session of their own)."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:  # not POSIX: its own children it has to end itself
            process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=10)
