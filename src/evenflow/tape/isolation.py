"""Reading where nobody hears it: the user's modes and tensor classes see the user's work only."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch.utils._python_dispatch import _pop_mode, _push_mode

from .room import room

_C: Any = torch._C
_unseen = _C.DisableTorchFunction  # the form without "Subclass": that one is heard by modes
_dispatch_modes = _C._len_torch_dispatch_stack
_KEYS = _C._TorchDispatchModeKey
#: Modes under which a tensor holds no numbers.
_EMPTY = (_KEYS.FAKE, _KEYS.PROXY, _KEYS.FUNCTIONAL)


def unheard() -> AbstractContextManager[Any]:
    """In here no mode and no `__torch_function__` of the user's hears what we compute, and there
    is room for it on the stack. (What a class with a `__torch_dispatch__` holds: `numbers.local`.)
    """
    return _Alone() if _dispatch_modes() or room.near else _unseen()


class _Alone:
    """`unheard` while dispatch modes are open: they are lifted off their stack, and put back; or
    while the stack is nearly full.

    `torch.utils._python_dispatch._disable_current_modes` does the same, but loads the compiler
    (a second), and loses the modes if a signal handler raises while it lifts them.
    """

    __slots__ = ("_function", "_lifted")

    def __enter__(self) -> None:
        self._lifted: list[Any] = []
        room.__enter__()
        self._function: Any = _unseen()
        self._function.__enter__()
        try:
            while _dispatch_modes():
                self._lifted.append(_pop_mode())
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(self, *_: object) -> None:
        try:
            while self._lifted:
                _push_mode(self._lifted[-1])
                self._lifted.pop()
        finally:
            self._function.__exit__(None, None, None)
            room.__exit__(None, None, None)


def heard() -> AbstractContextManager[Any]:
    """In here the user's code runs as ever, though we are `unheard`: a model that is run again."""
    return _C._EnableTorchFunction()  # type: ignore[no-any-return]


def traced() -> bool:
    """Is somebody tracing or transforming? Then tensors hold no numbers, and what we computed
    would become part of the result. A mode that only listens (`FlopCounterMode`) is no hindrance.
    """
    return (
        _C._get_tracing_state() is not None
        or _C._functorch.peek_interpreter_stack() is not None
        or (_dispatch_modes() > 0 and any([_C._get_dispatch_mode(k) is not None for k in _EMPTY]))
    )
