"""Run a script or a module as `python` does, watched.

Only the standard library is imported before the script runs: numpy and torch size their thread
pools by environment variables when they are imported, and a script may set those first.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import threading
import types

from ..lang import _
from .plan import Plan
from .script_watcher import ScriptWatcher
from .target import NoTarget, find
from .traces import without_us


class WrongFile(Exception):
    """evenflow.toml says something that cannot be done; the message says what."""


def launch(plan: Plan) -> int:
    """The script's exit code.

    Raises:
        NoTarget: there is nothing to run.
        WrongFile: evenflow.toml is wrong.
        KeyboardInterrupt: the script's own, already shown.
    """
    plan = _treated(plan)
    here = os.getpid()
    # The first entry is a folder of the user's, whose html.py or queue.py we would import.
    watcher = ScriptWatcher(
        plan, ours=sys.path[0 if getattr(sys.flags, "safe_path", False) else 1 :]
    )
    watcher.begin_with_torch()
    error = execute(plan)
    if os.getpid() != here:  # a fork of the script came back through us: it is not ours to judge
        if error is not None:
            raise error
        return 0
    code = tell(error)
    try:
        _end(watcher, error)
    except KeyboardInterrupt as again:
        said = _("interrupted before the diagnosis; `evenflow check` gives it later.")
        print(f"evenflow: {said}", file=sys.stderr)
        error = again
    if isinstance(error, KeyboardInterrupt):
        # Raised again so that Python ends by SIGINT, as it would have: the shell sees 130 and
        # stops its loop. The traceback has been shown.
        sys.excepthook = lambda *_: None
        raise error
    return code


def _treated(plan: Plan) -> Plan:
    """With what evenflow.toml in the plan's folder says of the script."""
    from ..trial import honour

    key = plan.target if plan.module else honour.script_key(plan.target, plan.folder)
    try:
        text = honour.read(plan.folder).get(key, "")
    except ValueError as error:
        raise WrongFile(str(error)) from None
    if not text:
        return plan
    ask = (
        "import sys; from evenflow.treatments import parse\n"
        "try: parse(sys.argv[1])\n"
        "except ValueError as error: sys.exit(str(error))"
    )
    # In a process of its own: the registry imports numpy, which is the script's to import first.
    done = subprocess.run([sys.executable, "-c", ask, text], capture_output=True, text=True)
    if done.returncode and "Traceback" not in done.stderr:
        raise WrongFile(f"{plan.folder / honour.NAME}: {done.stderr.strip()}")
    return dataclasses.replace(plan, treatments=text)


def execute(plan: Plan) -> BaseException | None:
    """Run it as `__main__`; return what it raised, its traceback free of our frames."""
    try:
        target = find(plan)
        module = types.ModuleType("__main__")
        module.__dict__.update(target.names)
        sys.modules["__main__"] = module
        sys.argv[:] = target.argv
        if target.folder is not None and not getattr(sys.flags, "safe_path", False):
            sys.path[0] = target.folder
        exec(target.code(), module.__dict__)
    except NoTarget:
        raise
    except BaseException as error:
        return without_us(error)
    return None


def tell(error: BaseException | None) -> int:
    """Show an error as Python would; the exit code."""
    _flush()
    if error is None:
        return 0
    if isinstance(error, SystemExit):
        if error.code is None or isinstance(error.code, int):
            return error.code or 0
        print(error.code, file=sys.stderr)
        return 1
    sys.last_type, sys.last_value = type(error), error
    sys.last_traceback = error.__traceback__
    sys.excepthook(type(error), error, error.__traceback__)
    _flush()
    return 130 if isinstance(error, KeyboardInterrupt) else 1


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # closed by the script, or a broken pipe: Python says so at exit
            pass


def _end(watcher: ScriptWatcher, error: BaseException | None) -> None:
    """End the watch, after the script's own threads if it left any: one of them may train."""
    others = [t for t in threading.enumerate() if not t.daemon and t is not threading.main_thread()]
    if not others:
        watcher.end(error)
        return
    import atexit

    # Not joined here: a thread pool's idle workers end only when the interpreter does.
    atexit.register(watcher.end, error)
