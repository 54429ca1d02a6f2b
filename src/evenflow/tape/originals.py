"""The function a script called, where torch hands a mode the one that bears its name by now.

A torch function looks itself up again when it tells a mode of a call: `F.relu` calls
`handle_torch_function(relu, ...)`, a method written in C asks `torch.Tensor` for its name. Where a
script (or a library) has put a wrapper there, the wrapper comes back, which is under way already:
called once more, it would do its work twice.
"""

from __future__ import annotations

import functools
import gc
import inspect
import os
import types
import weakref
from collections.abc import Callable
from types import CodeType, FrameType, FunctionType
from typing import Any

import torch
from torch.overrides import handle_torch_function

Function = Callable[..., Any]

_HANDLE: CodeType = handle_torch_function.__code__
#: Where torch lies.
FOLDER = os.path.join(os.path.dirname(torch.__file__), "")
_BASE: Any = torch._C.TensorBase
#: Written in C: nobody's wrappers.
PLAIN = frozenset(
    {
        types.BuiltinFunctionType,
        types.MethodDescriptorType,
        types.WrapperDescriptorType,
        types.ClassMethodDescriptorType,
    }
)
_by_code: dict[CodeType, Function | None] = {}
#: By id. (No `WeakKeyDictionary`: in its callback Python swallows what a signal handler raises.)
_by_wrapper: dict[int, tuple[weakref.ref[Any], CodeType | None, Function]] = {}
_MOST = 1 << 10  # wrappers remembered


def original(func: Function, handler: FrameType) -> Function:
    """What to call for `func`, which a mode was handed by the code of frame `handler`."""
    caller = handler.f_back
    code = caller.f_code if handler.f_code is _HANDLE and caller is not None else None
    if type(func) is FunctionType and func.__code__ is code:
        return func
    if type(func) is types.MethodWrapperType:
        return _getter(func)
    known = _by_wrapper.get(id(func))
    if known is not None and known[0]() is func and known[1] is code:
        return known[2]
    if code is None:
        found = _method(func)
    elif code.co_filename.startswith(FOLDER) and is_torchs(func):
        return func  # a public name for what does the work
    else:
        assert caller is not None
        found = _function(func, code, caller)
    found = func if found is None else found
    if code is None or not code.co_freevars:  # else the same code is that of many functions
        try:
            ref = weakref.ref(func)
        except TypeError:  # a class that allows none
            return found
        if len(_by_wrapper) >= _MOST:
            _by_wrapper.clear()
        _by_wrapper[id(func)] = ref, code, found
    return found


def name_of(handed: Function, original: Function) -> Function:
    """The one of both whose name says what is computed."""
    return handed if handed is original or is_torchs(handed) else original


def is_torchs(func: Function) -> bool:
    """Is it torch's own, and not a wrapper that a decorator of torch's has put round something?"""
    if hasattr(func, "__wrapped__") or isinstance(func, functools.partial):
        return False
    code = getattr(func, "__code__", None)
    if code is not None:
        return bool(code.co_filename.startswith(FOLDER))
    return (type(func).__module__ or "").partition(".")[0] in ("torch", "builtins")


# -- functions of Python ----------------------------------------------------------------------
def _function(func: Function, code: CodeType, caller: FrameType) -> Function | None:
    """The function whose code this is: what the wrapper holds, what bears its name, any living."""
    if not code.co_freevars and code in _by_code:
        return _by_code[code]

    def runs(f: Any) -> bool:
        return type(f) is FunctionType and f.__code__ is code and _encloses(f, code, caller)

    found: Function | None = _held_by(func, 4, runs)
    if found is None and runs(named := caller.f_globals.get(code.co_name)):
        found = named
    if found is None:
        living = [f for f in gc.get_referrers(code) if runs(f)]
        found = living[0] if living else None
    if not code.co_freevars:
        _by_code[code] = found
    return found


def _held_by(func: Any, depth: int, wanted: Callable[[Any], object]) -> Any:
    """The first `wanted` of a callable and those it wraps: by `functools`, in its closure, its
    defaults, its object; None if none is."""
    if not depth or not callable(func):
        return None
    if wanted(func):
        return func
    inner = [getattr(func, name, None) for name in ("__wrapped__", "func", "__func__")]
    inner += list(getattr(func, "__defaults__", None) or ())
    for cell in getattr(func, "__closure__", None) or ():
        try:
            inner.append(cell.cell_contents)
        except ValueError:  # empty as yet
            continue
    if type(func) is not FunctionType:
        inner += list(getattr(func, "__dict__", {}).values())
    for f in inner:
        found = _held_by(f, depth - 1, wanted)
        if found is not None:
            return found
    return None


def _encloses(f: FunctionType, code: CodeType, caller: FrameType) -> bool:
    """Of several functions made of one code: is it the one that runs in this frame?"""
    here = caller.f_locals if code.co_freevars else {}
    for name, cell in zip(code.co_freevars, f.__closure__ or (), strict=True):
        try:
            if here.get(name) is not cell.cell_contents:
                return False
        except ValueError:
            return False
    return True


# -- methods of C -----------------------------------------------------------------------------
def _method(func: Function) -> Function | None:
    """The method of C that `torch.Tensor` had before somebody put `func` in its place."""
    if is_torchs(func):
        return None  # torch's own, written in Python
    names = [name for name in vars(torch.Tensor) if hasattr(_BASE, name) and _stands(name, func)]
    if len(names) > 1:  # one wrapper under several names: take what it calls
        inside: list[Any] = []
        _held_by(func, 4, inside.append)
        held = [n for n in names if any([getattr(_BASE, n) == f for f in inside])]
        names = held or names
    return getattr(_BASE, names[0]) if names else None


def _stands(name: str, func: Function) -> bool:
    try:
        there = getattr(torch.Tensor, name)
        return there is func or bool(type(there) is type(func) and there == func)
    except Exception:
        return False


def _getter(func: Any) -> Function:
    """`Tensor.x.__get__` of an attribute that somebody has replaced by a property."""
    held = getattr(func, "__self__", None)
    for name, value in vars(torch.Tensor).items() if type(held) is property else ():
        base = inspect.getattr_static(_BASE, name, None) if value is held else None
        if base is not None:
            return getattr(base, func.__name__)  # type: ignore[no-any-return]
    return func  # type: ignore[no-any-return]
