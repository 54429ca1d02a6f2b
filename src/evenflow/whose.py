"""Whose error is it: the one question that decides whether to fail open or to get out of the way.

Errors of Evenflow's own never reach the user's loop. But what a signal handler raises (a time
limit, Ctrl-C), or what another thread throws into this one, strikes wherever the program happens
to be, and that may be our code: it is the user's, and swallowing it breaks the program.
"""

from __future__ import annotations

import os
import signal
import sys
import sysconfig
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any

#: Packages whose code and whose exceptions are not the user's.
_OURS = frozenset({"evenflow", "torch", "numpy"})
_SITE = ("site-packages", "dist-packages")


def strict() -> bool:
    """Are errors of ours to be raised? (EVENFLOW_STRICT is set, and not to 0.)"""
    return os.environ.get("EVENFLOW_STRICT", "") not in ("", "0")


def theirs(error: BaseException, called: bool = False) -> bool:
    """Is this error, caught in our code, the user's: must it go on?

    It is, if it is no `Exception` (KeyboardInterrupt, SystemExit); if its class is defined outside
    Evenflow, torch, NumPy and the standard library (what another thread sets leaves no frame, only
    its class tells); or if its traceback holds the frame of a signal handler, or of any function
    outside these that *interrupted* another. A function of the user's that we called ourselves (a
    `showwarning` that raises, a stream that is closed) did not interrupt: then it is our call
    that failed. `called`: we had the user's model run once more, and its own errors are ours too.
    """
    if not isinstance(error, Exception):
        return True
    handlers = _handlers()
    step, last = error.__traceback__, None
    while step is not None:
        last = step.tb_frame
        if last.f_code in handlers or (not known_file(last) and _interrupted(last)):
            return True
        step = step.tb_next
    if called and last is not None and not known_file(last):
        return False
    return not _known_package(str(getattr(type(error), "__module__", "")))


class CalledError(RuntimeError):
    """The user's model failed when we ran it once more."""


def known_file(frame: FrameType) -> bool:
    """Is this code of Evenflow, torch, NumPy or the standard library?"""
    name = frame.f_code.co_filename
    if not name.startswith("<"):
        return _known_path(name)
    module = str(frame.f_globals.get("__name__", ""))  # what was made from a string, or is frozen
    return module.startswith("namedtuple_") or _known_package(module)


def _interrupted(frame: FrameType) -> bool:
    """Was this function called on whatever its caller was doing? A signal handler and a trace
    function are given the frame they interrupt; no one else is given that of his caller."""
    caller = frame.f_back
    if caller is None:
        return False
    for given in list(frame.f_locals.values()):
        if given is caller or (type(given) is tuple and any([g is caller for g in given])):
            return True
    return False


def _handlers() -> frozenset[CodeType]:
    """The code of every Python signal handler that is installed."""
    return frozenset(c for n in signal.valid_signals() for c in _code(signal.getsignal(n)))


def _code(handler: Any, depth: int = 4) -> Iterator[CodeType]:
    """Of a function, a method, a partial of one, or an object that can be called."""
    if handler is None or isinstance(handler, int) or not depth:
        return
    for inner in (getattr(handler, "__func__", None), getattr(handler, "func", None)):
        if inner is not None:
            yield from _code(inner, depth - 1)
            return
    code = getattr(handler, "__code__", None)
    if code is None:
        code = getattr(vars(type(handler)).get("__call__"), "__code__", None)
    if isinstance(code, CodeType):
        yield code


def _known_package(module: str) -> bool:
    base = module.partition(".")[0]
    # `__main__` is in the list of the standard library's modules, and is the user's script.
    return base != "__main__" and (base in _OURS or base in sys.stdlib_module_names)


@lru_cache(maxsize=1 << 12)
def _known_path(name: str) -> bool:
    path = os.path.normcase(os.path.abspath(name))
    # of our packages those that are loaded: a file outside them cannot have raised
    files = [getattr(sys.modules.get(package), "__file__", None) for package in _OURS]
    if path.startswith(tuple([_within(os.path.dirname(file)) for file in files if file])):
        return True
    library = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    folders = tuple([_within(folder) for folder in library if folder])
    return path.startswith(folders) and not any([site in path for site in _SITE])


def _within(folder: str) -> str:
    return os.path.join(os.path.normcase(os.path.abspath(folder)), "")
