"""Which line of the user's code made a module, a parameter or an optimizer.

Kept beside them, by identity and weakly, never in them: `torch.save` and `deepcopy` take what an
object holds. A deep copy or what was read from a file was made by no line, and none is told of it.
"""

from __future__ import annotations

import functools
import itertools
import sys
import weakref
from collections.abc import Callable, Iterable, Mapping
from types import CodeType, FrameType, FunctionType
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from ..schema import Where
from ..whose import strict, theirs
from . import lines
from .calling import skip_frame, untraced
from .lines import Lines
from .room import room


class Made(NamedTuple):
    """The lines, and which of all that were made it was."""

    nth: int
    at: Lines


#: Where every module is given its parameters.
_MODULE = nn.Module.register_parameter.__code__.co_filename
_numbers = itertools.count()
_made: dict[int, tuple[weakref.ref[Any], Made]] = {}
_most = 1024  # then those that are gone are left out
_users = 0
_undo: list[Callable[[], None]] = []


def made(thing: Any) -> Made | None:
    """What is known of a module, parameter or optimizer."""
    entry = _made.get(id(thing))
    return entry[1] if entry is not None and entry[0]() is thing else None


def trace_made() -> Callable[[], None]:
    """Note from now on which lines make modules, parameters and optimizers, until the returned
    function is called as often as this one was."""
    global _users
    _users += 1
    if _users == 1:
        _note_init(nn.Module)
        _note_init(torch.optim.Optimizer)
        hook = register_module_parameter_registration_hook(_registered)
        _undo.append(hook.remove)
    there = [True]

    def undo() -> None:
        global _users
        if there:
            there.clear()
            _users -= 1
            while _undo and not _users:
                _undo.pop()()

    return undo


def _note_init(kind: Any) -> None:
    init = kind.__init__

    @functools.wraps(init)
    def noted(self: Any, *args: Any, **kwargs: Any) -> None:
        if torch.compiler.is_compiling() or not _users:
            init(self, *args, **kwargs)
            return
        room.open()  # for this frame
        try:
            init(self, *args, **kwargs)
            with untraced():
                _note(self, self)
        finally:
            room.close()

    skip_frame(noted)
    kind.__init__ = noted

    def back() -> None:
        if kind.__init__ is noted:  # else somebody has wrapped ours, which only passes through
            kind.__init__ = init

    _undo.append(back)


@skip_frame
def _registered(module: nn.Module, name: str, param: nn.Parameter | None) -> None:
    if param is None or torch.compiler.is_compiling():
        return
    try:
        with untraced():
            if made(param) is None:
                _note(param, None if _own(sys._getframe(1)) else module)
    except RecursionError:
        pass  # no room for us: nothing is told of it


def _own(frame: FrameType | None) -> bool:
    """Does a module's class that is not torch's register a parameter of its own?"""
    while frame is not None and frame.f_code.co_filename == _MODULE:
        frame = frame.f_back
    return frame is not None and lines.is_told(frame.f_code)


def _note(thing: Any, methods_of: Any) -> None:
    """`methods_of`: whose own methods are passed over."""
    global _most
    try:
        at = lines.calling(methods_of, depth=3)
        if at is None:
            return
        if len(_made) >= _most:
            for key in [k for k, (ref, _) in list(_made.items()) if ref() is None]:
                del _made[key]
            _most = max(1024, 2 * len(_made))
        _made[id(thing)] = weakref.ref(thing), Made(next(_numbers), at)
    except RecursionError:
        pass  # no room for us: nothing is told of it
    except BaseException as error:
        if theirs(error) or strict():
            raise


def made_as(twin: nn.Module, model: nn.Module) -> None:
    """A copy that we have made of a model is told the lines of the model itself."""
    pairs: list[tuple[Any, Any]] = list(zip(twin.modules(), model.modules(), strict=False))
    pairs += zip(twin.parameters(), model.parameters(), strict=False)
    for copied, original in pairs:
        known = made(original)
        if known is not None and type(copied) is type(original):
            _made[id(copied)] = weakref.ref(copied), known


def lines_of(modules: Iterable[tuple[str, nn.Module]], folder: str) -> dict[str, tuple[Where, ...]]:
    """By path: the lines that made those modules of a model whose class is a library's.

    What a class of the user's own does has lines of its own, which say more than the one that made
    it. Where one line made several of the same class, in a loop or in a list, each has its turn,
    and so have the parts of each.
    """
    known = {path: (m, at) for path, m in modules if (at := made(m)) is not None}
    whole = {path: _whole(path, known) for path in known}
    alike: dict[Any, list[str]] = {}
    for path in sorted(set(whole.values()), key=lambda path: known[path][1].nth):
        module, at = known[path]
        if at.at.library is None:
            alike.setdefault((at.at.user, id(type(module))), []).append(path)
    turns = {p: (i, len(ps)) for ps in alike.values() if len(ps) > 1 for i, p in enumerate(ps, 1)}
    return {
        path: lines.where(
            "made", at.at, folder, *turns.get(whole[path], (0, 0)), type(module).__name__
        )
        for path, (module, at) in known.items()
        if not lines.is_users(_forward(type(module)))
    }


def _forward(kind: type) -> CodeType | None:
    """The code of a class's forward, which is looked at and not asked for: TorchScript's fails."""
    held = [vars(base)["forward"] for base in kind.__mro__ if "forward" in vars(base)]
    return held[0].__code__ if held and type(held[0]) is FunctionType else None


def _whole(path: str, known: Mapping[str, tuple[nn.Module, Made]]) -> str:
    """The outermost module that the same call made: of a transformer's layer, not its parts."""
    call, out = known[path][1].at.user, path
    while path:
        path = path.rpartition(".")[0]
        if path in known and known[path][1].at.user == call:
            out = path
    return out
