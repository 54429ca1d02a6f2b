"""Seeing module calls while a step is sampled, and keeping out of torch.compile's way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import nn

_frames: Any = torch._C._dynamo.eval_frame


class Door(Protocol):
    """Told when a module is called and when the call ends."""

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call begins; what is returned comes back to `leave`."""

    def leave(self, module: nn.Module, args: tuple[Any, ...], token: Any) -> None:
        """The call ended, with a result or an error."""


def traced() -> bool:
    """Is somebody tracing, transforming or counting? Our arithmetic must not be in it."""
    return (
        torch._C._get_tracing_state() is not None
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._functorch.peek_interpreter_stack() is not None
    )


def skip_frame(function: Callable[..., Any]) -> Callable[..., Any]:
    """Keep dynamo from compiling this function's own frame; callers may still trace through it."""
    try:
        strategy = _frames._FrameExecStrategy(
            _frames._FrameAction.SKIP, _frames._FrameAction.DEFAULT
        )
        _frames.set_code_exec_strategy(function.__code__, strategy)
    except AttributeError:  # torch 2.6
        skip = getattr(_frames, "skip_code", None)
        if skip is not None:
            skip(function.__code__)
    return function


class untraced:
    """Frames run in here are not taken for the user's by torch.compile, which may be listening."""

    __slots__ = ("_prior",)

    def __enter__(self) -> None:
        self._prior = _frames.set_eval_frame(None)

    def __exit__(self, *_: object) -> None:
        _frames.set_eval_frame(self._prior)


for _method in (untraced.__enter__, untraced.__exit__):
    skip_frame(_method)


def watch_calls(door: Door) -> Callable[[], None]:
    """Replace `nn.Module.__call__` until the returned function is called.

    Not global module hooks: with one of those a compiled module warns at every script, and they
    neither see keyword arguments nor, in a module compiled in place, the call at all.
    """
    call: Any = nn.Module.__call__

    def called(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():
            return call(self, *args, **kwargs)
        with untraced():
            token = door.enter(self, args, kwargs)
        try:
            return call(self, *args, **kwargs)
        finally:
            with untraced():
                door.leave(self, args, token)

    skip_frame(called)
    nn.Module.__call__ = called  # type: ignore[method-assign]

    def undo() -> None:
        if nn.Module.__call__ is called:
            nn.Module.__call__ = call  # type: ignore[method-assign]

    return undo
