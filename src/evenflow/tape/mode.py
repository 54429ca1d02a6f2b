"""The TorchFunctionMode of a sampled forward, and how it is put on and taken off the stack."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import torch
from torch._C import _len_torch_function_stack
from torch.overrides import TorchFunctionMode, _pop_mode, _push_mode
from torch.utils._device import DeviceContext

from ..network import of_function
from .isolation import unheard
from .originals import PLAIN, name_of, original


class Mode(TorchFunctionMode):
    """Shows every torch function of one thread to the forward reader; changes none of them."""

    def __init__(self, forward: Any) -> None:
        super().__init__()
        self._forward = forward  # a `ForwardReader`, which is made of what holds modes
        self.paused = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        named = func
        if type(func) not in PLAIN:
            func = original(func, sys._getframe(1))
            named = name_of(named, func)
        op = of_function(named)
        forward = self._forward
        recorder = forward.recorder
        recorder.heard += 1
        if op is None or self.paused or not recorder.recording:
            out = func(*args, **kwargs)
            if recorder.retrace.on and not self.paused:
                recorder.retrace.hear(func, args, kwargs, out)
            return out
        start = perf_counter()
        call = None
        try:
            with unheard():  # by a mode of the user's that lies below ours
                call = forward.before(op, args, kwargs)
        except BaseException as e:
            recorder.failed(e, f"reading the inputs of {op.name}", "forward")
        recorder.cost += perf_counter() - start
        if call is None:
            out = func(*args, **kwargs)
            recorder.retrace.hear(func, args, kwargs, out)
            return out
        if call.inner is None:
            out = func(*args, **kwargs)
        else:
            with call.inner:
                out = func(*args, **kwargs)
        start = perf_counter()
        try:
            with unheard():
                forward.after(call, out)
        except BaseException as e:
            recorder.failed(e, f"reading the output of {op.name}", "forward")
        recorder.cost += perf_counter() - start
        recorder.retrace.hear(func, args, kwargs, out)
        return out


def put_on(mode: TorchFunctionMode) -> bool:
    """Push the mode; True if it may also be taken off out of turn.

    A mode's __exit__ pops whatever lies on top, so a user's mode that is open now must be closed
    after ours is. Only with none open (torch.device contexts sort themselves in at the bottom)
    can ours stay on beyond the call it was put on for.
    """
    alone = not heard_by_modes()
    _push_mode(mode)  # type: ignore[no-untyped-call]
    return alone


def take_off(mode: TorchFunctionMode) -> bool:
    """Remove the mode wherever it lies; the others keep their order.

    False if it is not there to be removed: torch lifts a mode off the stack while it handles a
    function and puts it back afterwards, `loss.backward()` included, in which the engine runs.
    """
    above: list[Any] = []
    try:
        while _len_torch_function_stack() > 0:
            above.append(_pop_mode())  # type: ignore[no-untyped-call]
            if above[-1] is mode:
                above.pop()
                return True
        return False
    finally:  # whatever a signal handler raises, the user's modes are put back
        while above:
            _push_mode(above[-1])  # type: ignore[no-untyped-call]
            above.pop()


def heard_by_modes() -> bool:
    """Is a mode open that is somebody's (`torch.device` contexts are torch's own)?"""
    get = torch._C._get_function_stack_at
    return any([not isinstance(get(i), DeviceContext) for i in range(_len_torch_function_stack())])
