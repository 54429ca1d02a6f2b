"""Tracebacks as the script's author would see them without Evenflow."""

from __future__ import annotations

import os
from types import TracebackType

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Layers that stand between a script and torch. A script of ours (the demo's) is not left out.
_OURS = tuple(os.path.join(_HERE, layer) + os.sep for layer in ("cli", "session", "tape"))


def without_us(error: BaseException) -> BaseException:
    """Take our frames out of an error's traceback and its causes', in place.

    An error raised by Evenflow itself keeps its innermost frames: they say where.
    """
    todo: list[BaseException | None] = [error]
    seen: set[int] = set()
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = _stripped(one.__traceback__)
        todo += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]
    return error


def _stripped(trace: TracebackType | None) -> TracebackType | None:
    frames: list[TracebackType] = []
    while trace is not None:
        frames.append(trace)
        trace = trace.tb_next
    last = len(frames)
    while last and _is_ours(frames[last - 1]):
        last -= 1
    kept = [f for f in frames[:last] if not _is_ours(f)]
    if kept:  # with no frame of the script's (a SyntaxError) ours would only confuse
        kept += frames[last:]
    head: TracebackType | None = None
    for frame in reversed(kept):
        head = TracebackType(head, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return head


def _is_ours(trace: TracebackType) -> bool:
    name = trace.tb_frame.f_code.co_filename
    # importlib's frames between ours and a module that was not found are ours as well.
    return name.startswith(_OURS)
