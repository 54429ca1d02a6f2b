"""One trial: a script run as `python` would, with treatments injected, stopped at its horizon.

`python -m evenflow.trial.child JOB.json`, started by `engine.LocalPool`. Writes `outcome.json` and
`run.evenflow` beside the job. Only the standard library is imported before the script runs.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, Protocol

from ..script import NoTarget, Program, execute, flush, show_error, when_imported
from .beside import own
from .job import Job, Outcome, as_json, thinned
from .seeding import Seeds

#: How often the wall time, and the steps of scripts that update by hand, are looked at.
_LOOK = 0.05


def main(path: Path) -> int:
    return attempt_of(path).run()


def attempt_of(path: Path) -> Attempt:
    """What a job's JSON file tells."""
    told = json.loads(path.read_text(encoding="utf-8"))
    told["program"]["args"] = tuple(told["program"]["args"])
    program, job = Program(**told["program"]), Job(**told["job"])
    return Attempt(program, job, path.parent, int(told["parent"]))


class Guest(Protocol):
    """What goes on in an attempt's process in the place of a watch and treatments."""

    def begin(self) -> None:
        """Torch has been imported, and is seeded."""

    def ended(self, error: BaseException | None) -> None:
        """The script is over; `error` is what it raised."""


class Attempt:
    """One run of the program. It ends in `finish`, from whichever thread comes first."""

    def __init__(self, program: Program, job: Job, folder: Path, parent: int) -> None:
        self.program, self.job, self.folder, self.parent = program, job, folder, parent
        self.began = time.monotonic()
        self.seeds = Seeds(job.seed)
        self.watch: Any = None
        self.injection: Any = None
        self.first: float | None = None  # seconds until the first update
        self.updates = 0
        self.outside: dict[str, None] = {}  # files written outside the scratch copy
        self.scratch = str(folder.resolve() / "scratch")
        self.lock = threading.Lock()
        self.guest: Guest | None = None

    def run(self, guest: Guest | None = None) -> int:
        """The script's exit code; at a horizon the process ends here and now."""
        self.guest = guest
        os.chdir(self.program.folder)
        sys.addaudithook(self._audit)
        self.seeds.python()
        when_imported("numpy", lambda: self.seeds.numpy(sys.modules["numpy"]))
        when_imported("torch", self._begin)
        threading.Thread(target=self._look, daemon=True, name="evenflow-horizon").start()
        try:
            error = execute(self.program)
        except NoTarget as missing:
            print(missing, file=sys.stderr)
            self.finish("error", str(missing))
            return 2
        if guest is not None:
            guest.ended(error)
        code = show_error(error)
        for thread in threading.enumerate():
            if thread is not threading.main_thread() and not thread.daemon:
                thread.join()  # the script's own: one of them may train
        last = "" if error is None else f"{type(error).__name__}: {error}".strip(": ")
        if code == 0:
            self.finish("finished")
        else:
            self.finish("error", last or f"exit code {code}")
        return code

    def _begin(self) -> None:
        """Torch has arrived: seeds, watch, treatments, horizon, in this order."""
        import torch

        self.seeds.torch(torch)
        self._save(torch)
        if self.guest is not None:
            self.guest.begin()
        else:
            self._watch()

    def _watch(self) -> None:
        from torch.optim.optimizer import register_optimizer_step_post_hook

        from ..monitor import watch
        from ..treatments import treat_
        from .injection import Injection

        self.watch = watch(run=self.folder / "run.evenflow", every="auto" if self.job.watch else 0)
        self.injection = Injection(
            self.job.treatments,
            treat_,
            alone=self.watch.alone,
            refused=lambda error: self.finish("refused", str(error), leave=True),
        )

        def stepped(optimizer: Any, *_: Any) -> None:
            if self.injection.knows(optimizer):
                self._updated()

        stepped._torchdynamo_disable = True  # type: ignore[attr-defined]
        register_optimizer_step_post_hook(stepped)

    def _save(self, torch: Any) -> None:
        """`torch.save` opens files by itself, which no audit hook hears of."""
        save = torch.save

        @functools.wraps(save)
        def saved(obj: Any, f: Any, *args: Any, **kwargs: Any) -> Any:
            self._written(f)
            return save(obj, f, *args, **kwargs)

        torch.save = torch.serialization.save = saved

    def _updated(self) -> None:
        self.updates += 1
        if self.first is None:
            self.first = time.monotonic() - self.began
        if self.job.steps and self.updates >= self.job.steps:
            self.finish("horizon", leave=True)

    def _look(self) -> None:
        """Ends what takes too long; and by-hand updates, which no hook tells of, at the horizon."""
        while True:
            time.sleep(_LOOK)
            if os.getppid() != self.parent:
                _end_all()  # `evenflow cure` was killed: nobody waits for us any more
            if time.monotonic() - self.began > self.job.seconds:
                self.finish("time", leave=True)
            steps = self.watch.step if self.watch is not None and not self.updates else 0
            if steps and self.first is None:
                self.first = time.monotonic() - self.began
            if self.job.steps and steps >= self.job.steps:
                self.finish("horizon", leave=True)

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = (*args, None, None)[:3]
            if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self._written(path)
        elif event in ("sqlite3.connect", "os.truncate") and args:
            self._written(args[0])

    def _written(self, path: Any) -> None:
        """The script is about to write a file: in the scratch copy a file of its own, or told."""
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        given = os.fsdecode(path)
        own(given, self.scratch)
        if len(self.outside) >= 5:
            return
        name = os.path.realpath(given)
        if not name.startswith(
            (self.program.folder, str(self.folder), "/dev/", "/proc/", "/tmp/")
        ) and not {"__pycache__", ".cache"} & set(name.split(os.sep)):
            self.outside[name] = None

    def finish(self, ended: str, error: str = "", leave: bool = False) -> None:
        """Write the outcome; `leave` ends the process at once."""
        with self.lock:
            if (self.folder / "outcome.json").exists():
                return
            flush()
            try:
                if self.watch is not None:
                    self.watch.close()
            except Exception as e:
                print(f"evenflow: {type(e).__name__}: {e}", file=sys.__stderr__)
            outcome = json.dumps(as_json(self._outcome(ended, error)))
            partial = self.folder / "outcome.partial"
            partial.write_text(outcome, encoding="utf-8")
            partial.rename(self.folder / "outcome.json")
            if leave:
                os._exit(0)

    def _outcome(self, ended: str, error: str) -> Outcome:
        seen = self.injection
        steps, losses, updates = self._curve()
        notes = [*self.seeds.told(), *(seen.notes if seen is not None else ())]
        for name in self.outside:
            notes.append(f"the script writes {name!r}, outside its scratch copy")
        if ended == "finished" and seen is None:
            notes.append("the script never imported torch")
        elif ended == "finished" and not updates:
            notes.append("no update was seen in the script's own process")
        return Outcome(
            ended=ended,
            error=error[:2000],
            steps=updates,
            start=self.first or 0.0,
            loss_steps=steps,
            losses=losses,
            applied=bool(seen is not None and seen.applied),
            uncontrolled=tuple(notes),
            memory=_memory(),
            device=",".join(sorted(seen.devices)) if seen is not None else "",
        )

    def _curve(self) -> tuple[tuple[int, ...], tuple[float, ...], int]:
        if self.watch is None:
            return (), (), 0
        from ..store import load

        try:
            run = load(self.watch.path)
        except (OSError, ValueError):
            return (), (), self.updates
        seen = self.watch.step
        updates = self.updates or seen
        # The watch counts the updates of a treatment's own optimizer, too.
        at = [s * updates // max(seen, 1) for s in run.curve_steps.tolist()]
        steps, losses = thinned(at, run.curve_loss.tolist())
        return steps, losses, updates


def _memory() -> int:
    """Most bytes that this process has held; 0 where the system does not tell (Windows)."""
    try:
        import resource
    except ImportError:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit


def _end_all() -> None:
    """End this process and all that the script has started: they share a session of their own."""
    try:
        os.killpg(0, signal.SIGKILL)
    except (AttributeError, OSError):  # not POSIX
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
