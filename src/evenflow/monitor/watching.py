"""`evenflow.watch`: the public face of a session. It fails open: training never notices."""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import nn

from ..lang import _
from ..schema import Event, Finding, Run, allowed
from ..store import Writer, load, refuse_others
from ..tape import unheard
from ..whose import strict, theirs
from . import hooks
from .cadence import Cadence
from .conductor import Conductor
from .guard import Guard
from .notebooks import pictures
from .observer import Observer, checked
from .observing import Observing
from .price import pace
from .processes import facts
from .runfile import Proposed, default_path, first_meta
from .saying import say, warn

_current: Watch | None = None


class Watch:
    """One watched training. A context manager, or a plain object to be closed.

    Attributes:
        active: False once closed, stopped by an error, switched off by EVENFLOW_DISABLE=1, or
            where the default folder cannot be written (a warning says so).

    >>> import tempfile, torch, evenflow
    >>> folder, model = tempfile.TemporaryDirectory(), torch.nn.Linear(2, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> watch = evenflow.watch(model, optimizer, run=f"{folder.name}/run.evenflow", every=1)
    >>> for _ in range(3):
    ...     model(torch.ones(4, 2)).square().mean().backward()
    ...     optimizer.step()
    >>> watch.close()
    >>> watch.step, watch.run().steps.tolist(), watch.active
    (3, [0, 1, 2], False)
    >>> watch.report(f"{folder.name}/report.html").name
    'report.html'
    >>> folder.cleanup()
    """

    def __init__(
        self,
        model: nn.Module | None,
        optimizer: torch.optim.Optimizer | None,
        run: str | os.PathLike[str] | None,
        every: str | int,
        budget: float,
        on_nonfinite: str | None,
        keep_batch: bool,
        heal: bool | str | Sequence[str],
        resume: bool = False,
        observers: Sequence[Observer] = (),
        source: bool = True,
        live: bool = True,
    ) -> None:
        if resume and run is None:
            raise ValueError("resume=True continues a run: say which, run=PATH")
        if model is not None and not isinstance(model, nn.Module):
            raise TypeError(f"model must be a torch.nn.Module or None, not {type(model).__name__}")
        if optimizer is not None and not isinstance(optimizer, torch.optim.Optimizer):
            raise TypeError(
                f"optimizer must be a torch.optim.Optimizer or None, not {type(optimizer).__name__}"
            )
        observers = checked(observers)
        cadence = Cadence(every, budget, pace())
        chosen = run is not None and not isinstance(run, Proposed)
        self._path = Path(run if run is not None else default_path())
        kinds = [k for k in allowed(heal) if on_nonfinite is None or k != "skip"]
        guard = Guard(on_nonfinite) if on_nonfinite is not None else None
        self.active = False
        self._conductor: Conductor | None = None
        self._writer: Writer | None = None
        self._observing: Observing | None = None
        self._failed = False
        self._why = "EVENFLOW_DISABLE is set"
        if os.environ.get("EVENFLOW_DISABLE", "") not in ("", "0"):
            return
        if _current is not None:
            _current.close()  # a notebook cell run again, or a watch left open
        self._pid = os.getpid()
        before = self._before() if resume else None
        if not self._make_file(first_meta(every, budget, heal), chosen, before):
            return
        try:
            self._open(cadence, model, optimizer, guard, kinds, keep_batch, before, source)
            self._observe([*observers, *pictures(self.path, live)], budget)
        except BaseException as e:  # whatever it is, nothing of ours stays behind in torch
            self._take_off()
            if not isinstance(e, Exception):
                raise
            self._fail(e, "opening")

    @property
    def path(self) -> Path:
        """The run file; it may be another than was asked for, which is then said."""
        return self._path if self._writer is None else self._writer.path

    def _before(self) -> Run | None:
        """The run to be continued; None, and said, where there is none that can be."""
        if not self._path.exists():
            return None
        try:
            return load(self._path, partial=True)
        except ValueError as e:
            warn(_("It cannot be continued: {why}.").format(why=e))
            return None

    def _make_file(self, meta: dict[str, Any], chosen: bool, before: Run | None) -> bool:
        """Make the run file. Where nobody chose its place and it cannot be made, say so: a
        training does not end for want of a folder that it never asked for."""
        try:
            if chosen:
                refuse_others(self._path)
            started = meta.pop("started")
            self._writer = Writer(
                self._path, meta, numbered=True, resume=before is not None, say=say
            )
            if not self._writer.resumed:
                self._writer.meta(started=started)
        except OSError as e:
            if chosen:
                raise
            self._why = f"{str(self._path.parent)!r} cannot be written ({e})"
            said = _(
                "Evenflow is not watching: {folder!r} cannot be written ({error}); training goes "
                "on. Choose another place with run=PATH, or --out PATH for evenflow run."
            )
            warn(said.format(folder=str(self._path.parent.absolute()), error=e.strerror or e))
            return False
        if chosen and self.path != self._path:
            said = _(
                "{path!r} is there already, so this run goes to {new!r} (resume=True, or --resume, "
                "continues a run that no other program has open)"
            )
            say(said.format(path=str(self._path), new=str(self.path)))
        return True

    def _open(
        self,
        cadence: Cadence,
        model: nn.Module | None,
        optimizer: torch.optim.Optimizer | None,
        guard: Guard | None,
        kinds: list[str],
        keep_batch: bool,
        before: Run | None,
        source: bool,
    ) -> None:
        global _current
        assert self._writer is not None
        batch = self.path.with_suffix(".batch.pt") if keep_batch else None
        healer = None
        if guard is not None:
            guard.keep_batch = batch
        if kinds:
            from .healing import Healer  # it brings the treatments: only who heals pays for them

            healer = Healer(kinds, batch if guard is None else None)
        self._conductor = Conductor(self._writer, cadence, self._fail, model, guard, healer)
        self._conductor.flush.sources.keep = source
        if not self._writer.resumed:
            before = None
        if before is not None:
            self._conductor.resume(before)
        self._conductor.open()
        # A continued run's parameters are known by names, which the first forward tells.
        if optimizer is not None and before is None:
            self._conductor.optimizers.index(optimizer)
        hooks.listen(self._conductor)
        self.active = True
        _current = self

    def _observe(self, observers: Sequence[Observer], budget: float) -> None:
        if not observers:
            return
        assert self._conductor is not None and self._writer is not None
        self._observing = Observing(self._writer, observers, budget, self._conductor.step)
        self._conductor.updates.beside.append(self._observing.took)
        self._observing.start()

    def _take_off(self) -> None:
        """Leave torch as it was found."""
        hooks.remove()
        if self._conductor is not None:
            with contextlib.suppress(Exception):  # half open: what it has not got it cannot close
                self._conductor.abandon()

    def findings(self, select: Sequence[str] = (), ignore: Sequence[str] = ()) -> list[Finding]:
        """Judge what was seen so far, worst first; may be called at any time."""
        from ..diagnosis import diagnose  # late: a script that only records pays for no rules

        return diagnose(self.run(), select, ignore)

    def run(self) -> Run:
        """What was seen so far.

        Raises:
            ValueError: nothing was watched (switched off, or no file could be made).
        """
        if self._writer is None:
            raise ValueError(f"{self._why}: nothing was watched, there is no run")
        if self.active and self._conductor is not None:
            self._conductor.settle()
        self._writer.flush()
        return load(self.path, partial=True)

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write the HTML report (one self-contained file) and return its path."""
        from ..diagnosis import diagnose
        from ..views import html  # only who asks for a page pays for its import

        run = self.run()
        target = Path(path)
        if target.exists() and target.samefile(self.path):
            raise FileExistsError(f"{str(path)!r} is the run itself; give another path")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(html(run, diagnose(run)), encoding="utf-8")
        return target

    def _repr_html_(self) -> str | None:
        """What was seen so far, in a notebook; None where nothing was watched."""
        from ..views import run_html

        return None if self._writer is None else run_html(self.run())

    def alone(self, call: Callable[..., Any], *args: Any) -> Any:
        """Run something that calls the model, unseen by this watch; its result."""
        if self._conductor is None:
            return call(*args)
        return self._conductor.apart.unseen(call, *args)

    @property
    def step(self) -> int:
        """Completed updates."""
        if self._conductor is None:
            return 0
        # The latest is made; it is over only when the next backward begins.
        return self._conductor.step + bool(self._conductor.quiet.stepped)

    def close(self) -> None:
        """Stop watching, write what is left. May be called again."""
        self._end("closed")

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._end("closed" if kind is None else f"error: {kind.__name__}: {e}"[:500])

    def _end(self, how: str) -> None:
        global _current
        if _current is self:
            _current = None
        if not self.active or os.getpid() != self._pid:
            return
        assert self._conductor is not None and self._writer is not None
        self.active = False
        hooks.remove()
        struck: BaseException | None = None
        try:
            with unheard():
                self._conductor.close()
        except BaseException as e:
            if theirs(e):
                struck = e
            else:
                assert isinstance(e, Exception)
                self._fail(e, "closing")
        self._writer.meta(ended=how, **facts())  # ranks may be known only since
        self._writer.close()
        if self._observing is not None:
            self._observing.close()
        if isinstance(self._writer.error, Exception):
            self._fail(self._writer.error, "writing the run file")
        if struck is not None:
            raise struck

    def _fail(self, error: Exception, where: str) -> None:
        """An error of ours: stop watching, say so once, never reach the user's loop."""
        if strict():
            raise error
        if self._failed:
            return
        self._failed = True
        self.active = False
        hooks.remove()
        text = f"{type(error).__name__}: {error}"
        trace = "".join(traceback.format_exception(error))
        if self._conductor is not None and not self._conductor.flush.sources.keep:
            trace = "".join([row for row in trace.splitlines(True) if not row.startswith("    ")])
        step = self._conductor.step if self._conductor is not None else 0
        try:
            if self._conductor is not None:
                self._conductor.abandon()
            if self._writer is not None:
                detail = {"where": where, "error": text, "trace": trace[-4000:]}
                self._writer.event(Event("stopped", step, detail))
                self._writer.meta(ended=f"stopped: {text}"[:500])
                self._writer.close()
            if self._observing is not None:
                self._observing.close(wait=False)
        except Exception:
            pass  # the first error is the one to tell
        said = _(
            "Evenflow stopped watching at step {step} ({where}: {error}); training goes on. "
            "What was seen until then is in {path}."
        ).format(step=step, where=where, error=text, path=self.path)
        warn(said)


def watch(
    model: nn.Module | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    *,
    run: str | os.PathLike[str] | None = None,
    every: str | int = "auto",
    budget: float = 0.01,
    on_nonfinite: str | None = None,
    keep_batch: bool = False,
    heal: bool | str | Sequence[str] = False,
    resume: bool = False,
    observers: Sequence[Observer] = (),
    source: bool = True,
    live: bool = True,
) -> Watch:
    """Watch a training from here on.

    Unless `heal` is given, nothing about the training changes: on sampled steps autograd's graph
    is read, on all others nothing is attached to the model. A watch open already is closed first.

    Args:
        model: watch this model only; None watches every root module that takes part in a backward.
        optimizer: its parameters are known from the start; None learns them at its first step.
        run: the run file to write; None makes one in evenflow-runs/. Where there is a run already,
            it is left as it is: the new one's name is numbered, and said.
        every: "auto" samples densely at birth, then as `budget` allows, densely again while
            something looks wrong; N: every N-th step, whatever it costs; 0: only losses are kept.
        budget: share of wall time that sampling may add after the first minute. Under "auto",
            after t seconds of training it has taken no more than 2 s + 0.1 min(t, 60 s) + budget
            max(0, t - 60 s), at birth and in trouble too. A sample that would take more than 2 s
            is given up, and later ones read fewer sites; the run says so.
        on_nonfinite: what to do before an update with a NaN or Inf gradient: None (nothing),
            "report", "skip" the update, or "stop" with `NonFiniteError`.
        keep_batch: save the first offending batch (of `on_nonfinite`, `heal`) beside the run.
        heal: what may be done to the training while it runs: True, or names of "clip" (outlier
            gradients scaled down), "skip" (updates with NaN or Inf left out), "rollback" (to the
            last healthy weights, on divergence), "revive" (dead units drawn anew), "lr" (the rate
            lowered then). Each time is an event in the run; without one, weights are as without
            heal, to the bit. `on_nonfinite` takes the place of "skip".
        observers: who hears of each sampled step, of findings and of the end: see `Observer`.
        resume: continue the file `run` at its step; made if not there, numbered if it is in use.
        source: keep the texts of the lines told of, 200 at most, of the script's own folder.
        live: in a notebook, draw below the cell while it runs (EVENFLOW_LIVE=0: no).

    Returns:
        A `Watch`: a context manager with `.findings()`, `.report(path)`, `.close()`, `.path`.

    Raises:
        ValueError, TypeError: an argument makes no sense. OSError: `run` cannot be made (where
        none is given, a warning says so and nothing is watched).
        Nothing is raised later on (but with EVENFLOW_STRICT=1, or on_nonfinite="stop").

    >>> import tempfile, torch, evenflow
    >>> with evenflow.watch(run=f"{tempfile.mkdtemp()}/run.evenflow", every=1) as watch:
    ...     torch.nn.Linear(2, 1)(torch.full((4, 2), torch.nan)).sum().backward()
    >>> watch.findings()[0].name
    'non-finite-input'
    """
    asked = on_nonfinite, keep_batch, heal, resume, observers, source, live
    return Watch(model, optimizer, run, every, budget, *asked)


def current() -> Watch | None:
    """The open watch, if there is one."""
    return _current
