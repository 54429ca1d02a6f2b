"""Run a program in a fresh `__main__`, and end as Python would."""

from __future__ import annotations

import sys
import types

from .program import Program
from .target import NoTarget, find
from .traces import without_us


def execute(program: Program) -> BaseException | None:
    """Run it as `__main__`; return what it raised, its traceback free of our frames."""
    try:
        target = find(program)
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


def show_error(error: BaseException | None) -> int:
    """Show an error as Python would; the exit code."""
    flush()
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
    flush()
    return 130 if isinstance(error, KeyboardInterrupt) else 1


def flush() -> None:
    """Both streams, as far as they can be."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # closed by the script, or a broken pipe: Python says so at exit
            pass
