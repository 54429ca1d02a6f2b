"""Seeing module calls while a step is sampled, and keeping out of torch.compile's way."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import nn

from .room import room

_frames: Any = torch._C._dynamo.eval_frame


class Door(Protocol):
    """Told when a module is called and when the call ends, with a result or an error."""

    def enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...
    def leave(self, module: nn.Module, args: tuple[Any, ...], token: Any) -> None:
        """`token`: what `enter` returned."""


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

    @skip_frame
    def __enter__(self) -> None:
        self._prior = _frames.set_eval_frame(None)

    @skip_frame
    def __exit__(self, *_: object) -> None:
        _frames.set_eval_frame(self._prior)


def watch_calls(door: Door, special: bool = True) -> Callable[[], None]:
    """Replace the method of nn.Module that every call goes through until the returned function is
    called: `__call__` (special), or else `_call_impl`, which it calls.

    `_call_impl` costs less (python walks through all subclasses to change a special method: half
    a millisecond), but a module compiled in place goes by `__call__` alone.

    Not global module hooks: with one of those a compiled module warns at every script, and they
    neither see keyword arguments nor, in a module compiled in place, the call at all.
    """
    name = "__call__" if special else "_call_impl"
    _clear(name)
    call: Any = getattr(nn.Module, name)
    there = True

    def called(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if not there or torch.compiler.is_compiling():
            return call(self, *args, **kwargs)
        prior = _frames.set_eval_frame(None)  # as `untraced`, without its cost, twice a call
        try:
            room.open()
            try:
                token = door.enter(self, args, kwargs)
            except BaseException:
                room.close()
                raise
        finally:
            _frames.set_eval_frame(prior)
        try:
            return call(self, *args, **kwargs)
        finally:
            prior = _frames.set_eval_frame(None)
            try:
                door.leave(self, args, token)
            finally:
                room.close()
                _frames.set_eval_frame(prior)

    skip_frame(called)
    setattr(nn.Module, name, called)

    def undo() -> None:
        nonlocal there
        there = False  # somebody may have wrapped ours, or kept it to put it back
        called.evenflow_under = call  # type: ignore[attr-defined]
        _clear(name)

    return undo


def _clear(name: str) -> None:
    """Take off what is ours and serves no more, where it is on top: a script that had wrapped it
    has put it back."""
    there = call = getattr(nn.Module, name)
    while (under := getattr(call, "evenflow_under", None)) is not None:
        call = under
    if call is not there:
        setattr(nn.Module, name, call)


def any_in_place() -> bool:
    """Has a living module been compiled in place, or a way of its own to be called?"""
    modules = [o for o in gc.get_objects() if issubclass(type(o), nn.Module)]
    return any(["_compiled_call_impl" in vars(m) or "_call_impl" in vars(m) for m in modules])
