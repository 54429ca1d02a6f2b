"""Where torch tells us that something happens: engine, optimizers, GradScaler, compiled calls.

One session listens at a time. Everything put on here is taken off again by `remove`, each hook
does nothing in a forked child, and every one passes the user's own result and errors through.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)


class Listener(Protocol):
    """What a session hears."""

    def backward(self, run: Callable[..., Any], outputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Run the engine; `run` is the original."""

    def before_update(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer is about to step."""

    def after_update(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer has stepped."""

    def scaled(self, scaler: Any, loss: Any, result: Any) -> None:
        """GradScaler.scale was called."""

    def scaler_stepped(self, step: Callable[[], Any]) -> Any:
        """Run GradScaler.step and see whether it skipped the update."""

    def compiled_call(self) -> bool:
        """A compiled function is entered; True to run it eagerly this time."""


_listener: Listener | None = None
_undo: list[Callable[[], None]] = []
_dynamo_patched = False
_compiled_seen = False


def compiled_seen() -> bool:
    """Has a compiled function been called since `listen`?"""
    return _compiled_seen


def listen(listener: Listener) -> None:
    """Put the hooks on."""
    global _listener
    assert _listener is None, "one session listens at a time"
    _listener = listener
    _engine()
    _optimizers()
    _scaler()
    watch_compiled()


def remove() -> None:
    """Take all hooks off."""
    global _listener, _dynamo_patched, _compiled_seen
    _listener, _compiled_seen = None, False
    while _undo:
        _undo.pop()()
    _dynamo_patched = False


def _in_child() -> None:
    # The child keeps the user's torch as it would be without us; files belong to the parent.
    remove()


os.register_at_fork(after_in_child=_in_child)


def _replace(owner: Any, name: str, new: Any) -> None:
    old = getattr(owner, name)
    setattr(owner, name, new)

    def back() -> None:
        # Somebody may have wrapped ours since: then leave theirs, ours only passes through.
        if getattr(owner, name) is new:
            setattr(owner, name, old)

    _undo.append(back)


def _hide(function: Callable[..., Any]) -> Callable[..., Any]:
    """Keep torch.compile from tracing a function of ours, without importing its machinery.

    The attribute is what `torch.compiler.disable` sets: a traced call breaks the graph. The code
    is marked too, since a frame that dynamo meets natively would be compiled on its own.
    """
    function._torchdynamo_disable = True  # type: ignore[attr-defined]
    frames: Any = torch._C._dynamo.eval_frame
    try:
        strategy = frames._FrameExecStrategy(frames._FrameAction.SKIP, frames._FrameAction.DEFAULT)
        frames.set_code_exec_strategy(function.__code__, strategy)
    except AttributeError:
        skip = getattr(frames, "skip_code", None)
        if skip is not None:
            skip(function.__code__)
    return function


def _engine() -> None:
    run = torch.autograd.graph._engine_run_backward

    def engine(outputs: Any, *args: Any, **kwargs: Any) -> Any:
        # Traced as part of a compiled step there is nothing to read: dynamo folds this away.
        if torch.compiler.is_compiling() or _listener is None:
            return run(outputs, *args, **kwargs)
        return _listener.backward(run, outputs, *args, **kwargs)

    _hide(engine)
    del engine._torchdynamo_disable  # type: ignore[attr-defined]  # must not break a full graph
    _replace(torch.autograd, "_engine_run_backward", engine)
    _replace(torch.autograd.graph, "_engine_run_backward", engine)


def _optimizers() -> None:
    def before(optimizer: Any, args: Any, kwargs: Any) -> None:
        if _listener is not None:
            _listener.before_update(optimizer)

    def after(optimizer: Any, args: Any, kwargs: Any) -> None:
        if _listener is not None:
            _listener.after_update(optimizer)

    _undo.append(register_optimizer_step_pre_hook(_hide(before)).remove)
    _undo.append(register_optimizer_step_post_hook(_hide(after)).remove)


def _scaler() -> None:
    scale, step = torch.amp.GradScaler.scale, torch.amp.GradScaler.step

    def scaled(self: Any, outputs: Any) -> Any:
        result = scale(self, outputs)
        if _listener is not None:
            _listener.scaled(self, outputs, result)
        return result

    def stepped(self: Any, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        if _listener is None:
            return step(self, optimizer, *args, **kwargs)
        return _listener.scaler_stepped(lambda: step(self, optimizer, *args, **kwargs))

    _replace(torch.amp.GradScaler, "scale", _hide(scaled))
    _replace(torch.amp.GradScaler, "step", _hide(stepped))


def watch_compiled() -> None:
    """Hear of calls of compiled functions, once torch's compiler has been imported at all.

    Every call of a compiled function asks `_callback_from_stance` what to do. That is the same
    question `torch.compiler.set_stance("force_eager")` answers, put for this one call: hooks and
    modes then see the call, and nothing is recompiled.
    """
    global _dynamo_patched
    frames = sys.modules.get("torch._dynamo.eval_frame")
    if _dynamo_patched or frames is None:
        return
    choose = getattr(frames, "_callback_from_stance", None)
    if choose is None:
        return
    _dynamo_patched = True

    def chosen(callback: Any) -> Any:
        real = callback is not None and callback is not False
        if real and _listener is not None:
            global _compiled_seen
            _compiled_seen = True
            if _listener.compiled_call():
                return None
        return choose(callback)

    _replace(frames, "_callback_from_stance", chosen)
