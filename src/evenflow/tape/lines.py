"""Which line of the user's code is running: the innermost frame that is neither a library's nor
ours. Frames are read and never kept; what is kept is a code object and a place in it."""

from __future__ import annotations

import contextlib
import sys
import tokenize
from collections.abc import Iterable
from inspect import CO_VARARGS
from itertools import islice
from types import CodeType, FrameType, FunctionType
from typing import Any, NamedTuple

from ..schema import Where
from .places import ENGINE, LIBRARY, NONE, STRING, THEIRS, inside, kind_of, named
from .texts import met, text_of, texts_beside

#: Handlers of the user's that hear of each operation; the line is that of who called it.
_HEARERS = frozenset({"__torch_function__", "__torch_dispatch__"})
_COMPREHENSIONS = frozenset({"<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>"})
#: Decorators that are looked through.
_DECORATORS = 8
#: Lines of source that are kept with a run or a forecast.
MOST_TEXTS = 200
#: Functions that stand between a class and who calls it: its metaclass's, its own.
_MAKERS = frozenset({"__init__", "__new__", "__call__"})

_kinds: dict[str, int] = {}
#: By code object and place in it: (number, column, end), and the code itself, so that it stays.
_places: dict[tuple[int, int], tuple[CodeType, tuple[int, int, int]]] = {}


class Line(NamedTuple):
    """An instruction of a code object, by its offset, with the line and function it is of."""

    code: CodeType
    at: int
    number: int
    function: str
    file: str  # as it is known to Python: equal code may stand in two files

    @property
    def place(self) -> tuple[str, int]:
        """What is one line to a person."""
        return self.file, self.number


class Lines(NamedTuple):
    """The user's line, and the innermost one of a library between it and torch."""

    user: Line
    library: Line | None


def calling(made: Any = None, depth: int = 1) -> Lines | None:
    """The line that is running, seen from a function of ours; None where there is none that is
    sure: a backward works out forwards again whose lines have long been left, and what was made of
    a string by `exec` has no line.

    Args:
        made: an object that is being made: methods of its own are passed over.
        depth: frames to leave out.
    """
    user, library = _frames(sys._getframe(depth), made)
    if user is None:
        return None
    return Lines(_line(user), None if library is None else _line(library))


def calling_as(known: Lines | None) -> Lines | None:
    """`calling`, from a function of ours; `known` itself where it is that line still, which costs
    less."""
    user, library = _frames(sys._getframe(2), None)
    if user is None:
        return None
    if known is not None and known.user.code is user.f_code and known.user.at == user.f_lasti:
        return known
    return Lines(_line(user), None if library is None else _line(library))


def _frames(frame: FrameType | None, made: Any) -> tuple[FrameType | None, FrameType | None]:
    """The user's, and the innermost one of a library."""
    library, get = None, _kinds.get
    while frame is not None:
        code = frame.f_code
        kind = get(code.co_filename)
        if kind is None:
            kind = _kind(code)
        if kind != NONE and not _passed_over(frame, made):
            if kind == THEIRS:
                return frame, library
            if kind == ENGINE or (kind == STRING and not code.co_name.startswith("__")):
                break  # a string's own method is a dataclass's or a named tuple's
            library = library or (frame if kind == LIBRARY else None)
        frame = frame.f_back
    return None, None


def _kind(code: CodeType) -> int:
    found = _kinds.get(code.co_filename)
    if found is None:
        found = _kinds[code.co_filename] = kind_of(code.co_filename)
    return found


def is_users(code: CodeType | None) -> bool:
    """Is this function the user's own?"""
    return code is not None and _kind(code) == THEIRS


def is_told(code: CodeType) -> bool:
    """Is it the user's, or a library's between it and torch?"""
    return _kind(code) <= LIBRARY


def _passed_over(frame: FrameType, made: Any) -> bool:
    """Does it only hear of what others do, or is it at work on what is being made?

    Locals are read of methods alone: up to Python 3.12 a frame keeps what was read, and a
    training's main function would keep its tensors alive."""
    code = frame.f_code
    if code.co_name in _HEARERS:
        return True
    if made is None:
        return False
    if code.co_name not in _MAKERS and not _in_class(code, type(made)):
        return False
    if code.co_argcount:
        first = frame.f_locals.get(code.co_varnames[0])
    elif code.co_flags & CO_VARARGS:
        first = next(iter(frame.f_locals.get(code.co_varnames[code.co_kwonlyargcount], ())), None)
    else:
        return False
    return first is made or (first is type(made) and code.co_name in _MAKERS)


def _in_class(code: CodeType, kind: type) -> bool:
    """Is it that of a method, or of what a decorator made of `__init__`?"""
    for base in kind.__mro__:
        for name in (code.co_name, "__init__"):
            held = vars(base).get(name)
            for _ in range(_DECORATORS):
                if type(held) is not FunctionType:
                    break
                if held.__code__ is code:
                    return True
                held = vars(held).get("__wrapped__")
    return False


def _line(frame: FrameType) -> Line:
    code, holder = frame.f_code, frame
    while holder.f_code.co_name in _COMPREHENSIONS and holder.f_back is not None:
        holder = holder.f_back
    inner = holder.f_code
    name = str(getattr(inner, "co_qualname", inner.co_name)).replace("<locals>.", "")
    function = "" if name == "<module>" else name
    if _kinds.get(code.co_filename) == THEIRS:
        met(code.co_filename)
    return Line(code, frame.f_lasti, frame.f_lineno, function, code.co_filename)


# -- for a person ---------------------------------------------------------------------------------


def where(
    how: str, lines: Lines | None, folder: str, turn: int = 0, turns: int = 0, what: str = ""
) -> tuple[Where, ...]:
    """The user's line, and the library's after it. `folder`: that of the training, from which
    files are named."""
    if lines is None:
        return ()
    out = [_where(how, lines.user, folder, turn, turns, what)]
    if lines.library is not None:
        out.append(_where(how, lines.library, folder, library=True))
    return tuple(out)


def _where(
    how: str,
    line: Line,
    folder: str,
    turn: int = 0,
    turns: int = 0,
    what: str = "",
    library: bool = False,
) -> Where:
    number, column, end = _columns(line)
    file = named(line.file, folder, library)
    return Where(how, file, number, line.function, column, end, turn, turns, what, library)


def _columns(line: Line) -> tuple[int, int, int]:
    known = _places.get((id(line.code), line.at))
    if known is None or known[0] is not line.code:
        known = _places[id(line.code), line.at] = line.code, _columns_of(line)
    return known[1]


def _columns_of(line: Line) -> tuple[int, int, int]:
    """(number, column, end) of the call, from 1; columns are 0 where Python (3.10) has none.

    An end in another line is the first line's own: as far as the text goes.
    """
    positions = getattr(line.code, "co_positions", None)
    found = next(islice(positions(), line.at // 2, None), None) if positions is not None else None
    if found is None or None in found[:3] or found[0] is None:
        return line.number, 0, 0
    first, last, start, stop = found
    said = text_of(line.code, first)
    # Python counts bytes
    begin = len(said.encode()[:start].decode(errors="ignore")) if said else start
    if last != first:
        return first, begin + 1, begin + _code(said[begin:]) + 1
    close = len(said.encode()[:stop].decode(errors="ignore")) if said else stop
    return first, begin + 1, close + 1


def _code(text: str) -> int:
    """Characters of a line up to its comment."""
    with contextlib.suppress(tokenize.TokenError, SyntaxError):  # the call goes on below
        for token in tokenize.generate_tokens(iter([text]).__next__):
            if token.type == tokenize.COMMENT:
                text = text[: token.start[1]]
    return len(text.rstrip())


def texts_of(lines: Lines, folder: str) -> dict[int, str]:
    """The user's line and those beside it, by number; none where its file lies outside of `folder`
    or is no longer what is running."""
    user = lines.user
    return texts_beside(user.code, _columns(user)[0]) if inside(user.file, folder) else {}


def keep_texts(
    seen: Iterable[Lines], own: str, folder: str, told: dict[str, dict[str, str]]
) -> bool:
    """Put lines and those beside them into `told`, by file and number, as long as it then holds
    `MOST_TEXTS` at most; was there anything new? `own`: the script's folder, `folder` the
    training's."""
    held = before = sum(map(len, told.values()))
    for at in dict.fromkeys(seen):
        texts = texts_of(at, own)
        known = told.setdefault(named(at.user.file, folder, False), {}) if texts else {}
        new = {str(n): text for n, text in texts.items() if str(n) not in known}
        if held + len(new) <= MOST_TEXTS:
            held += len(new)
            known.update(new)
    return held > before
