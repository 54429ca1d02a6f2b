"""Runs a case of the zoo with treatments, each run in a fork of a process that imported torch.

A fork starts in milliseconds where a fresh interpreter needs seconds. It is safe because the
parent has one thread and computes no gradient: call `alone()` once in each process that forks.
"""

from __future__ import annotations

import faulthandler
import json
import math
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

# pandas, which scikit-learn imports where it is installed, brings pyarrow, whose allocator starts
# a thread of its own: a process with threads does not fork well.
os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

import evenflow
from evenflow.treatments import treat_
from evenflow.trial.injection import Injection
from evenflow.trial.job import Job, Outcome, as_json, outcome_from, thinned
from zoo import data

#: The seeds of a proof lie this far apart, so that they meet none of the benchmark's own.
APART = 1000


def alone() -> None:
    """Make this process fit to fork: one thread, and what every child needs loaded once."""
    torch.set_num_threads(1)
    _ = evenflow.watch, evenflow.load, data.text(), data.wine(), data.breast_cancer()
    _ = data.digits(), data.iris(), data.diabetes()


class Forks:
    """An engine of `evenflow.trial` for one case and seed; files go to `folder`."""

    def __init__(self, case: Any, seed: int, folder: Path) -> None:
        self.case, self.seed, self.folder = case, seed, folder

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Outcome]]:
        """One after another: programs run side by side, not the runs of one."""
        for job in jobs:
            yield job, self.one(job)

    def one(self, job: Job) -> Outcome:
        """In a fork, killed when it has used `job.seconds` of processor time (a machine that is
        busy with other work must not decide what is cured), or hangs for ten times as long."""
        if threading.active_count() > 1:
            raise RuntimeError("a process with several threads must not fork: its locks stay shut")
        told = self.folder / f"{job.key}.json"
        began = time.monotonic()
        pid = os.fork()
        if pid == 0:
            _train(self.case, self.seed + APART * job.seed, job, told)
        while os.waitpid(pid, os.WNOHANG)[0] == 0:
            waited = time.monotonic() - began
            if waited > job.seconds and (_used(pid) > job.seconds or waited > 10 * job.seconds):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                return Outcome("time", _where(told), seconds=job.seconds)
            time.sleep(0.005)
        if not told.exists():
            return Outcome("killed", "the process ended without a word")
        return outcome_from(json.loads(told.read_text()))


def _used(pid: int) -> float:
    """Processor seconds of a child, from Linux's /proc; elsewhere infinity: wall time decides."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return math.inf
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _where(told: Path) -> str:
    """What a child that was killed was doing shortly before."""
    stack = told.with_suffix(".stack")
    return stack.read_text() if stack.exists() else ""


def _train(case: Any, seed: int, job: Job, told: Path) -> NoReturn:
    """In the fork: train, and leave by `os._exit`, whatever happens."""
    stack = told.with_suffix(".stack").open("w")
    faulthandler.dump_traceback_later(0.95 * job.seconds, file=stack)
    try:
        _trained(case, seed, job, told)
    except BaseException as error:
        told.with_suffix(".lost").write_text(f"{type(error).__name__}: {error}")
    os._exit(1)


def _trained(case: Any, seed: int, job: Job, told: Path) -> None:
    path = told.with_suffix(".evenflow")
    watch = evenflow.watch(run=path, every="auto" if job.watch else 0)
    began, first, updates = time.monotonic(), [0.0], [0]

    def end(how: str, error: str = "", score: float | None = None) -> NoReturn:
        seen = watch.step
        watch.close()
        run = evenflow.load(path)
        # The watch counts the updates of a treatment's own optimizer, too.
        numbers = [s * updates[0] // max(seen, 1) for s in run.curve_steps.tolist()]
        at, losses = thinned(numbers, run.curve_loss.tolist())
        outcome = Outcome(
            how,
            error,
            steps=updates[0],
            seconds=time.monotonic() - began,
            start=first[0],
            loss_steps=at,
            losses=losses,
            metric=score if score is not None and math.isfinite(score) else None,
            run=str(path),
        )
        told.write_text(json.dumps(as_json(outcome)))
        os._exit(0)

    def stepped(optimizer: Any, *_: object) -> None:
        if not injection.knows(optimizer):
            return
        updates[0] += 1
        first[0] = first[0] or time.monotonic() - began
        if job.steps and updates[0] >= job.steps:
            end("horizon")

    injection = Injection(
        job.treatments, treat_, alone=watch.alone, refused=lambda e: end("refused", str(e))
    )
    register_optimizer_step_post_hook(stepped)
    try:
        score = case.train(seed)
    except Exception as error:
        end("error", f"{type(error).__name__}: {error}")
    else:
        end("finished", score=score)
