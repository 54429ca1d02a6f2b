"""The watch around a script: begun when torch arrives, ended with the findings on stderr."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..lang import _
from ..script import when_imported
from ..whose import strict
from .plan import Plan

if TYPE_CHECKING:
    from .live import LiveDisplay


class ScriptWatcher:
    """Fails open: whatever goes wrong in here is one line on stderr, never the script's end."""

    def __init__(self, plan: Plan, ours: list[str]) -> None:
        self.plan = plan
        self.ours = ours  # sys.path as it was: a script's folder must not shadow what we import
        self.pid = os.getpid()
        self.watch: Any = None
        self.display: LiveDisplay | None = None
        self.failed = False
        self.disabled = os.environ.get("EVENFLOW_DISABLE", "") not in ("", "0")

    def begin_with_torch(self) -> None:
        """Torch is left for the script to import: it may set OMP_NUM_THREADS first."""
        if not self.disabled:
            when_imported("torch", self._begin)

    def _begin(self) -> None:
        if os.getpid() != self.pid:  # a forked child imported torch: it is not watched
            return
        try:
            import evenflow

            self.watch = evenflow.watch(
                run=self._file(),
                every=self.plan.every,
                budget=self.plan.budget,
                on_nonfinite=self.plan.on_nonfinite,
                heal=self.plan.heal,
                resume=self.plan.resume,
                source=self.plan.source,
            )
            if not self.watch.active:  # it has said why
                self.watch, self.failed = None, True
            elif self.plan.live:
                self._show()
        except Exception as error:
            self._say_failed(_("could not watch ({error}); the script itself is untouched."), error)
        if self.plan.treatments:
            try:
                self._treat()
            except Exception as error:
                said = _("could not treat the script ({error}); it runs untreated.")
                self._say_failed(said, error)

    def _show(self) -> None:
        """Draw the run while it is written, if this process is the one that tells of it."""
        from ..monitor import ranks
        from .live import live_display

        if ranks()[0] != 0:
            return
        try:
            self.display = live_display(self.watch.path, self.plan.select, self.plan.ignore)
        except Exception as error:
            said = _("could not draw ({error}); the script itself is untouched.")
            self._say_failed(said, error)

    def _treat(self) -> None:
        """Apply what evenflow.toml says, at the first training forward."""
        from ..treatments import treat_
        from ..trial import Injection

        def refused(error: ValueError) -> None:
            _say(_("evenflow.toml: {error} The script runs untreated.").format(error=error))

        def told(*args: Any, **kwargs: Any) -> Any:
            undo = treat_(*args, **kwargs)
            if not self.plan.quiet:
                said, model = _("{model} treated with {treatments} (evenflow.toml)."), args[0]
                _say(said.format(model=type(model).__name__, treatments=self.plan.treatments))
            return undo

        alone = self.watch.alone if self.watch is not None else None
        Injection(self.plan.treatments, told, alone=alone, refused=refused)

    def _file(self) -> Path | str | None:
        """What `--out` says, with the rank where several processes train together; of a module
        named after it, as its script's name is __main__ for every package."""
        from ..monitor import default_path, with_rank

        if self.plan.out is not None:
            return with_rank(self.plan.out)
        if not self.plan.program.module:
            return None
        sys.argv[0], name = f"{self.plan.program.target}.py", sys.argv[0]
        try:
            return default_path()
        finally:
            sys.argv[0] = name

    def end(self, error: BaseException | None = None) -> None:
        """Close the run file, with what ended the script, and say what was found."""
        if self.disabled or os.getpid() != self.pid:
            return
        if self.display is not None:
            self.display.end()
        if self.watch is None:
            if not self.failed and not self.plan.quiet:
                _say(_("the script never imported torch; no training seen."))
            return
        path = sys.path
        sys.path = list(self.ours)
        try:
            with warnings.catch_warnings():
                if not strict():
                    warnings.simplefilter("ignore")  # ours, not the script's
                self._tell(error)
        except Exception as e:
            said = _("could not judge the run ({error}); the script itself is untouched.")
            self._say_failed(said, e)
        finally:
            sys.path = path

    def _tell(self, error: BaseException | None) -> None:
        from ..monitor import ranks
        from .after_run import tell_run

        mine = self.watch.active
        if error is None or isinstance(error, SystemExit):
            self.watch.close()
        else:
            self.watch.__exit__(type(error), error, None)
        if ranks()[0] != 0:
            return  # the first of several tells
        tell_run(Path(self.watch.path), self.plan, whole=mine)

    def _say_failed(self, what: str, error: Exception) -> None:
        self.failed = True
        if strict():
            traceback.print_exception(error, file=_err())
        _say(what.format(error=f"{type(error).__name__}: {error}"))


def _err() -> Any:
    return sys.stderr or sys.__stderr__


def _say(what: str) -> None:
    print(f"evenflow: {what}", file=_err())
