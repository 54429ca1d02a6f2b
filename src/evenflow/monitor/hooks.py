"""Where torch tells us that something happens: engine, optimizers, GradScaler, compiled calls.

One session listens at a time. Everything put on here is taken off again by `remove`, each hook
does nothing in a forked child, and every one passes the user's own result and errors through.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from ..tape import room, skip_frame, trace_made, untraced
from .quiet import Quiet
from .unscaling import Unscaling


class Listener(Protocol):
    """What a session hears. No method raises but where the user asked for it (`Guard`).

    In a quiet stretch only `quiet` is asked. `healing`: are gradients to be looked at as soon as a
    closure has made them?
    """

    quiet: Quiet
    healing: bool
    unscaling: Unscaling

    def before_backward(
        self, outputs: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Callable[[Any], None] | None:
        """The engine is about to run; what is returned is called with its result."""

    def before_update(self, optimizer: torch.optim.Optimizer, closure: bool) -> None:
        """An optimizer is about to step; with a closure its gradients are yet to come."""

    def within_update(self, optimizer: torch.optim.Optimizer) -> None:
        """The closure of a step has run."""

    def after_update(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer has stepped."""

    def scaled(self, scaler: Any, loss: Any, result: Any) -> None:
        """GradScaler.scale was called."""

    def scaler_stepping(self, optimizer: torch.optim.Optimizer) -> Callable[[], None]:
        """GradScaler.step is about to run; what is returned is called afterwards."""

    def abandon(self) -> None:
        """Take everything off (in a forked child: its copy of everything)."""

    def compiled_call(self) -> bool:
        """A compiled function is entered; True to run it eagerly this time."""

    def compiles_in_place(self) -> None:
        """A module is about to be compiled in place."""


#: Note of a run in which compiled functions were called.
COMPILED = (
    "compiled training: sampled steps run eagerly; where the model draws random numbers "
    "(dropout), sampling changes the random stream (every=0 restores equality)"
)

_listener: Listener | None = None
_undo: list[Callable[[], None]] = []
_dynamo_patched = False
_compiled_seen = False


def compiled_seen() -> bool:
    """Has a compiled function been called since `listen`?"""
    return _compiled_seen


def within_compiled_call() -> bool:
    """Is a function that was given to torch.compile on the stack?"""
    at: Any = sys._getframe()
    while at is not None and at.f_code.co_name != "compile_wrapper":
        at = at.f_back
    return at is not None


def listen(listener: Listener) -> None:
    global _listener
    assert _listener is None, "one session listens at a time"
    _listener = listener
    _undo.append(trace_made())
    _engine()
    _optimizers()
    _scaler()
    _compiler()
    watch_compiled()


def remove() -> None:
    global _listener, _dynamo_patched, _compiled_seen
    _listener, _compiled_seen = None, False
    while _undo:
        _undo.pop()()
    _dynamo_patched = False


def _in_child() -> None:
    # The child keeps the user's torch as it would be without us; files belong to the parent.
    if _listener is not None:
        _listener.abandon()
    remove()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_in_child)


def _replace(owner: Any, name: str, new: Any) -> None:
    old = getattr(owner, name)
    setattr(owner, name, new)

    def back() -> None:
        # Somebody may have wrapped ours since: then leave theirs, ours only passes through.
        if getattr(owner, name) is new:
            setattr(owner, name, old)

    _undo.append(back)


def _disable(function: Callable[..., Any]) -> Callable[..., Any]:
    """What `torch.compiler.disable` does, without importing torch's compiler for it."""
    function._torchdynamo_disable = True  # type: ignore[attr-defined]
    return skip_frame(function)


def _engine() -> None:
    run = torch.autograd.graph._engine_run_backward

    def engine(outputs: Any, *args: Any, **kwargs: Any) -> Any:
        # Traced as part of a compiled step there is nothing to read: dynamo folds this away. The
        # engine itself runs outside `untraced`: a user's own backward is compiled as ever.
        if _listener is None or torch.compiler.is_compiling():
            return run(outputs, *args, **kwargs)
        if _listener.quiet.backward(outputs, kwargs):
            return run(outputs, *args, **kwargs)
        with untraced():
            after = _listener.before_backward(outputs, args, kwargs)
        room.open()  # for this frame
        try:
            result = run(outputs, *args, **kwargs)
        finally:
            room.close()
        if after is not None:
            with untraced():
                after(result)
        return result

    skip_frame(engine)
    _replace(torch.autograd, "_engine_run_backward", engine)
    _replace(torch.autograd.graph, "_engine_run_backward", engine)


def _optimizers() -> None:
    def before(optimizer: Any, args: Any, kwargs: Any) -> Any:
        if _listener is None or _listener.quiet.on:
            return None
        closure = args[1] if len(args) > 1 else kwargs.get("closure")
        with untraced():
            _listener.before_update(optimizer, closure is not None)
        if not callable(closure) or not _listener.healing:
            return None

        def watched() -> Any:
            result = closure()
            if _listener is not None:
                with untraced():
                    _listener.within_update(optimizer)
            return result

        if len(args) > 1:
            return (args[0], watched, *args[2:]), kwargs
        return args, {**kwargs, "closure": watched}

    def after(optimizer: Any, args: Any, kwargs: Any) -> None:
        if _listener is not None and not _listener.quiet.update(optimizer):
            with untraced():
                _listener.after_update(optimizer)

    _undo.append(register_optimizer_step_pre_hook(_disable(before)).remove)
    _undo.append(register_optimizer_step_post_hook(_disable(after)).remove)


def _scaler() -> None:
    kind = torch.amp.GradScaler
    scale, step, unscale_ = kind.scale, kind.step, kind.unscale_

    def scaled(self: Any, outputs: Any) -> Any:
        result = scale(self, outputs)
        if _listener is not None:
            with untraced():
                _listener.scaled(self, outputs, result)
        return result

    def stepped(self: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        if _listener is None:
            return step(self, optimizer, *args, **kwargs)
        after = _listener.scaler_stepping(optimizer)
        try:
            result = step(self, optimizer, *args, **kwargs)
        except BaseException:
            if _listener is not None:
                _listener.unscaling.over(optimizer)
            raise
        with untraced():
            after()
        return result

    def unscaled(self: Any, optimizer: Any) -> None:
        if _listener is not None:
            _listener.unscaling.heard(optimizer)
        unscale_(self, optimizer)

    _replace(kind, "scale", _disable(scaled))
    _replace(kind, "step", _disable(stepped))
    _replace(kind, "unscale_", _disable(unscaled))


def _compiler() -> None:
    """Importing torch's compiler takes a second, so it is left to the script that wants it."""
    make: Any = torch.compile

    @functools.wraps(make)
    def compile(*args: Any, **kwargs: Any) -> Any:
        if _listener is not None:
            importlib.import_module("torch._dynamo.eval_frame")  # as torch.compile itself does
            watch_compiled()
        return make(*args, **kwargs)

    _replace(torch, "compile", compile)

    in_place: Any = torch.nn.Module.compile

    @functools.wraps(in_place)
    def compile_in_place(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _listener is not None:
            _listener.compiles_in_place()
        return in_place(self, *args, **kwargs)

    _replace(torch.nn.Module, "compile", compile_in_place)


def watch_compiled() -> None:
    """Hear of calls of compiled functions, once torch's compiler has been imported at all.

    Every call of a compiled function asks `_callback_from_stance` what to do. That is where we
    set the stance "force_eager" for sampled training calls, and set it back for all others: a
    public switch, at the last moment before it is read, so that evaluation between two training
    steps stays compiled, nothing is recompiled and a full graph is no error.
    """
    global _dynamo_patched
    frames = sys.modules.get("torch._dynamo.eval_frame")
    if _dynamo_patched or frames is None or not hasattr(frames, "_callback_from_stance"):
        return
    choose = frames._callback_from_stance
    _dynamo_patched = True

    def chosen(callback: Any) -> Any:
        if callback is not None and callback is not False and _listener is not None:
            global _compiled_seen
            _compiled_seen = True
            if _ours is not None or not _listener.quiet.on:
                _stance(frames, _listener.compiled_call())
        return choose(callback)

    _replace(frames, "_callback_from_stance", chosen)
    _undo.append(lambda: _stance(frames, False))


_ours: Any = None  # the stance object we set
_theirs: Any = None  # the one that stood there


def _stance(frames: Any, eager: bool) -> None:
    """Set "force_eager", or put back what stood there, unless the user has set one since."""
    global _ours, _theirs
    standing = frames._stance is _ours and _ours is not None
    if eager and not standing:
        _theirs = frames._stance
        torch.compiler.set_stance("force_eager")
        _ours = frames._stance
    elif not eager and standing:
        frames._set_stance(_theirs)
        _ours = _theirs = None
