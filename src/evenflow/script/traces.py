"""Tracebacks as the script's author would see them without Evenflow."""

from __future__ import annotations

import os
from types import TracebackType

from ..whose import theirs

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Layers that stand between a script and torch. Ours that a script calls (activations) stay.
_OURS = tuple(
    os.path.join(_HERE, layer) + os.sep for layer in ("cli", "script", "trial", "monitor", "tape")
)


def without_us(error: BaseException) -> BaseException:
    """Take our frames out of an error's traceback and its causes', in place.

    An error raised by Evenflow itself keeps its innermost frames: they say where. What struck there
    by chance, as Ctrl-C does, does not.
    """
    todo: list[BaseException | None] = [error]
    seen: set[int] = set()
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.__traceback__ = _stripped(one.__traceback__, theirs(one))
        todo += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]
    return error


def _stripped(trace: TracebackType | None, struck: bool) -> TracebackType | None:
    frames: list[TracebackType] = []
    while trace is not None:
        frames.append(trace)
        trace = trace.tb_next
    last = len(frames)
    while last and _is_ours(frames[last - 1]):
        last -= 1
    kept = _without_detours(frames[:last])
    if kept and not struck and not _is_passage(frames[-1]):
        # Raised by us. With no frame of the script's (a SyntaxError) ours would only confuse.
        kept += frames[last:]
    head: TracebackType | None = None
    for frame in reversed(kept):
        head = TracebackType(head, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return head


def _without_detours(frames: list[TracebackType]) -> list[TracebackType]:
    """Drop our frames, and torch's where a mode of ours made torch call itself a second time."""
    kept: list[TracebackType] = []
    for frame in frames:
        if _is_ours(frame):
            while kept and kept[-1].tb_frame.f_code.co_name == "handle_torch_function":
                kept.pop()
        elif kept and _again(kept[-1], frame):
            kept[-1] = frame
        else:
            kept.append(frame)
    return kept


def _again(before: TracebackType, after: TracebackType) -> bool:
    """`after` is the call that `before` made of itself by way of our mode (not a recursion)."""
    code = before.tb_frame.f_code
    if code is not after.tb_frame.f_code or f"{os.sep}torch{os.sep}" not in code.co_filename:
        return False
    between = before.tb_next
    return between is not None and between.tb_frame.f_code.co_name == "handle_torch_function"


def _is_passage(trace: TracebackType) -> bool:
    """A frame of ours that only hands a call on: what it raises was raised in C, by the call."""
    return _is_ours(trace) and trace.tb_frame.f_code.co_name == "__torch_function__"


def _is_ours(trace: TracebackType) -> bool:
    return trace.tb_frame.f_code.co_filename.startswith(_OURS)
