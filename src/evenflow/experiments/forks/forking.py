"""A fork that runs on in the script, and its answer, through a pipe.

    here = fork(seconds)     both processes return from it, as `os.fork` does
      in the fork            here is a `Pipe`: `answer(...)` sends it and ends the process
      in the parent          here is the `Answer`, which came or did not

The fork shares the parent's open files, and with them the place each is read at: the parent puts
those back when the fork has ended. Files are of the scratch copy.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import sys
import time
import warnings
from typing import Any, NoReturn, Protocol

import torch

#: Largest answer that is read, in bytes.
MOST = 256 << 20


class Answers(Protocol):
    """The way back from a run that is thrown away."""

    def answer(self, value: Any) -> NoReturn:
        """Send it and end the process."""


class Pipe:
    """The fork's end."""

    def __init__(self, end: int) -> None:
        self._end, self._owner = end, os.getpid()

    def answer(self, value: Any) -> NoReturn:
        """Send it and end the process: no `finally`, no `atexit`, nothing flushed."""
        if os.getpid() == self._owner:  # what the script itself forks has nothing to say
            sent = pickle.dumps(value)
            data = memoryview(len(sent).to_bytes(8, "little") + sent)
            with contextlib.suppress(OSError):  # the parent has gone
                while data:
                    data = data[os.write(self._end, data) :]
        os._exit(0)


def fork(seconds: float) -> Pipe | Answer:
    """Both processes return; the parent when the fork has ended, after so long at most."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    places = _places()
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the threads that a fork does not have
        pid = os.fork()
    if pid == 0:
        os.close(reading)
        _alone(seconds)
        return Pipe(writing)
    os.close(writing)
    try:
        data = _read(reading, seconds)
    finally:
        os.close(reading)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        for descriptor, place in places:
            with contextlib.suppress(OSError):
                os.lseek(descriptor, place, os.SEEK_SET)
    return Answer(None if data is None else pickle.loads(data), data is not None)


class Answer:
    """What a fork sent; `came` is False if it ended or hung without a word."""

    __slots__ = ("came", "value")

    def __init__(self, value: Any, came: bool) -> None:
        self.value, self.came = value, came


def _alone(seconds: float) -> None:
    """In the fork: one thread (a pool of the parent's is not there), no output, a limit."""
    torch.set_num_threads(1)
    for name in ("set_num_threads", "set_num_interop_threads"):
        setattr(torch, name, _ignored)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends it, whatever it is doing
    signal.setitimer(signal.ITIMER_REAL, seconds + 1)


def _ignored(*_: object) -> None:
    """In the place of what would start threads anew."""


def _read(end: int, seconds: float) -> bytes | None:
    """What was sent; None if that is nothing, too late or too much. Its length comes first: what
    the script has started in the fork may hold the other end open."""
    until, parts, whole = time.monotonic() + seconds, bytearray(), MOST
    while len(parts) < whole:
        left = until - time.monotonic()
        if left <= 0 or not select.select([end], [], [], left)[0]:
            return None
        part = os.read(end, 1 << 20)
        if not part:
            return None
        parts += part
        if whole == MOST and len(parts) >= 8:
            whole = 8 + int.from_bytes(parts[:8], "little")
            if whole > MOST:
                return None
    return bytes(parts[8:])


def _places() -> list[tuple[int, int]]:
    """Where each open file is being read."""
    folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    found = []
    for name in os.listdir(folder):
        with contextlib.suppress(OSError, ValueError):
            found.append((int(name), os.lseek(int(name), 0, os.SEEK_CUR)))
    return found
