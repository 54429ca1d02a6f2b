"""Room on Python's stack: our frames come on top of the user's, and the limit moves with them."""

from __future__ import annotations

import os
import sys
import threading

#: Frames between the user's call and the place where we make room: `torch.overrides` takes five
#: to hand a function to a mode.
_SLACK = 8
#: The limit is moved for so many frames of ours at once.
_LOT = 16
#: Frames a reading may take.
_READING = 120
#: The stack may be nearly full where it holds one in so many of the limit's frames (up to 3.11
#: calls made by C count as well), or this session's open calls do (a module takes four and more).
_FULL, _NESTED = 2, 16

# Captured: a script may replace them to see what is set.
_get, _set = sys.getrecursionlimit, sys.setrecursionlimit


class _Room:
    """Raises the recursion limit by our frames while calls are open, and puts it back.

    By exactly as many where the stack may be nearly full (`near`); else by `_LOT` at a time, so
    that most calls find the room made. Python counts the frames of a whole process against one
    limit, so there is one of this. A limit that the script sets meanwhile is the script's: it
    stands, and what we added before is no longer taken away.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Nothing is open (in a forked child, whose lock another thread may have held)."""
        self._lock = threading.RLock()
        self._base = self._stands = 0  # the script's limit, and the one we have set
        self._frames = self._reserves = 0
        self.near = False

    def open(self) -> None:
        """A frame of ours lies under the user's from here on."""
        with self._lock:
            if self._frames % _LOT and not self.near:
                self._frames += 1
                return
            self._look()
            if not self._frames:
                self.near = _deeper_than(self._base // _FULL)
            self._frames += 1
            if (self._frames + _LOT) * _NESTED > self._base:
                self.near = True
            self._adjust()

    def close(self) -> None:
        """It is gone."""
        with self._lock:
            if self._frames % _LOT != 1 and not self.near:
                self._frames -= self._frames > 0
                return
            self._look()
            if self._frames:
                self._frames -= 1
                self._adjust()

    def empty(self) -> None:
        """Nothing is open any more, whatever was counted (an error struck in between)."""
        with self._lock:
            self._look()
            self._frames = self._reserves = 0
            self._adjust()

    def __enter__(self) -> None:
        """Room for a reading, where the stack is nearly full."""
        with self._lock:
            self._look()
            self._reserves += 1
            self._adjust()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._look()
            if self._reserves:
                self._reserves -= 1
                self._adjust()

    def _look(self) -> None:
        stands = _get()
        if stands != self._stands:
            self._base = self._stands = stands
            self._frames = self._reserves = 0

    def _adjust(self) -> None:
        ours = self._frames if self.near else -(-self._frames // _LOT) * _LOT
        wanted = self._base + ours + _READING * self._reserves
        wanted += _SLACK if self._frames or self._reserves else 0
        if wanted != self._stands:
            try:
                _set(wanted)
                self._stands = wanted
            except RecursionError:
                pass  # the stack is deeper than that just now: the next call puts it back


def _deeper_than(frames: int) -> bool:
    try:
        sys._getframe(frames)
    except ValueError:
        return False
    return True


room = _Room()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=room.reset)
