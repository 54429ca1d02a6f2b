"""Which line of the user's code is running: the innermost frame that is neither a library's nor
ours. Frames are read and never kept; what is kept is a code object and a place in it."""

from __future__ import annotations

import contextlib
import linecache
import os
import sys
import sysconfig
import time
import tokenize
from collections.abc import Iterator
from itertools import islice
from types import CodeType, FrameType
from typing import Any, NamedTuple

from ..schema import Where

#: Kinds of files: the user's, an installed package's, and what no line is told of.
_THEIRS, _LIBRARY, _NONE, _ENGINE = range(4)
_SITE = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
#: Handlers of the user's that hear of each operation; the line is that of who called it.
_HEARERS = frozenset({"__torch_function__", "__torch_dispatch__"})
_COMPREHENSIONS = frozenset({"<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>"})
#: Characters of a line that are kept.
_LONG = 300

_kinds: dict[str, int] = {}
_texts: dict[str, tuple[str, ...]] = {}  # of a file, as it was when a line of it was met first
_began = time.time()


class Line(NamedTuple):
    """An instruction of a code object, by its offset, with the line and function it is of."""

    code: CodeType
    at: int
    number: int
    function: str


class Lines(NamedTuple):
    """The user's line, and the innermost one of a library between it and torch."""

    user: Line
    library: Line | None


def calling(made: Any = None, depth: int = 1) -> Lines | None:
    """The line that is running, seen from a function of ours; None where there is none that is
    sure: a backward works out forwards again whose lines have long been left.

    Args:
        made: an object that is being made: methods of its own are passed over.
        depth: frames to leave out.
    """
    frame: FrameType | None = sys._getframe(depth)
    library: Line | None = None
    while frame is not None:
        code = frame.f_code
        kind = _kinds.get(code.co_filename)
        if kind is None:
            kind = _kinds[code.co_filename] = _kind(code.co_filename)
        if kind == _ENGINE:
            return None
        if kind <= _LIBRARY and code.co_name not in _HEARERS and not _method_of(made, frame):
            if kind == _THEIRS:
                return Lines(_line(frame), library)
            library = library or _line(frame)
        frame = frame.f_back
    return None


def is_users(code: CodeType | None) -> bool:
    """Is this function the user's own?"""
    return code is not None and _kind(code.co_filename) == _THEIRS


def _method_of(made: Any, frame: FrameType) -> bool:
    code = frame.f_code
    if made is None or not code.co_argcount:
        return False
    return frame.f_locals.get(code.co_varnames[0]) is made


def _line(frame: FrameType) -> Line:
    code, holder = frame.f_code, frame
    while holder.f_code.co_name in _COMPREHENSIONS and holder.f_back is not None:
        holder = holder.f_back
    inner = holder.f_code
    name = str(getattr(inner, "co_qualname", inner.co_name)).replace("<locals>.", "")
    if code.co_filename not in _texts and _kind(code.co_filename) == _THEIRS:
        _texts[code.co_filename] = _read(code)
    return Line(code, frame.f_lasti, frame.f_lineno, "" if name == "<module>" else name)


def _kind(file: str) -> int:
    if file.startswith("<"):
        return _THEIRS if file == "<stdin>" or file.startswith("<ipython-input") else _NONE
    path = os.path.normcase(os.path.abspath(file))
    if path.startswith(_main_package()):
        return _THEIRS
    if path.endswith(os.path.join("torch", "autograd", "graph.py")):
        return _ENGINE
    if path.startswith(_ours()):
        return _NONE
    if any([site in path for site in _SITE]):
        return _LIBRARY
    library = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    return _NONE if path.startswith(tuple(_within(p) for p in library if p)) else _THEIRS


def _ours() -> tuple[str, ...]:
    """Folders of Evenflow and of torch."""
    files = [getattr(sys.modules.get(name), "__file__", None) for name in ("evenflow", "torch")]
    return tuple(_within(os.path.dirname(file)) for file in files if file)


def _within(folder: str) -> str:
    return os.path.join(os.path.normcase(os.path.abspath(folder)), "")


def _main_package() -> tuple[str, ...]:
    """The folder of the package that is run by `python -m`, wherever it is installed."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    package, inside, _ = str(getattr(spec, "name", "")).partition(".")
    file = getattr(sys.modules.get(package), "__file__", None) if inside else None
    launches = package in sys.stdlib_module_names or package in ("torch", "evenflow", "pytest")
    return () if not file or launches else (_within(os.path.dirname(file)),)


def home() -> str:
    """The folder whose sources may be kept with a run: the script's own, or its package's."""
    package = _main_package()
    if package:
        return package[0]
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    if file and _kind(file) == _THEIRS:
        return _within(os.path.dirname(os.path.abspath(file)))
    return _within(os.getcwd())


# -- for a person ---------------------------------------------------------------------------------


def where(
    how: str, lines: Lines | None, folder: str, turn: int = 0, turns: int = 0
) -> tuple[Where, ...]:
    """The user's line, and the library's after it. `folder`: that of the training, from which
    files are named."""
    if lines is None:
        return ()
    out = [_where(how, lines.user, folder, turn, turns, False)]
    if lines.library is not None:
        out.append(_where(how, lines.library, folder, 0, 0, True))
    return tuple(out)


def _where(how: str, line: Line, folder: str, turn: int, turns: int, library: bool) -> Where:
    number, column, end = _columns(line)
    name = _name(line.code.co_filename, folder, library)
    return Where(how, name, number, line.function, column, end, turn, turns, library)


def _columns(line: Line) -> tuple[int, int, int]:
    """(number, column, end) of the call, from 1; columns are 0 where Python (3.10) has none.

    An end in another line is the first line's own: as far as the text goes.
    """
    positions = getattr(line.code, "co_positions", None)
    found = next(islice(positions(), line.at // 2, None), None) if positions is not None else None
    if found is None or None in found[:3] or found[0] is None:
        return line.number, 0, 0
    first, last, start, stop = found
    text = _texts.get(line.code.co_filename, ())
    said = text[first - 1] if first <= len(text) else ""
    # Python counts bytes
    begin = len(said.encode()[:start].decode(errors="ignore")) if said else start
    if last != first:
        return first, begin + 1, max(len(said.rstrip()), begin) + 1
    close = len(said.encode()[:stop].decode(errors="ignore")) if said else stop
    return first, begin + 1, close + 1


def _name(file: str, folder: str, library: bool) -> str:
    cell = _cell(file)
    if cell:
        return f"cell {cell}"
    path = os.path.abspath(file)
    if library:
        for site in _SITE:
            path = path.rpartition(site)[2]
        return path.replace(os.sep, "/")
    inside = path.startswith(os.path.join(folder, ""))
    return (os.path.relpath(path, folder) if inside else path).replace(os.sep, "/")


def _cell(file: str) -> str:
    """The number of the notebook's cell that a file name stands for; "" of other files."""
    get = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = get() if callable(get) else None
    name = getattr(getattr(shell, "compile", None), "format_code_name", None)
    if not callable(name):
        return ""
    found = name(file)  # ("Cell", "In[4]")
    if not found or found[0] != "Cell":
        return ""
    return str(found[1]).partition("[")[2].rstrip("]")


# -- texts ----------------------------------------------------------------------------------------


def texts_of(lines: Lines, folder: str) -> dict[int, str]:
    """The user's line and those beside it, by number; none where its file lies outside of `folder`
    or is no longer what is running."""
    file, number = lines.user.code.co_filename, _columns(lines.user)[0]
    inside = _cell(file) or os.path.normcase(os.path.abspath(file)).startswith(folder)
    said = _texts.get(file, ()) if inside else ()
    around = range(max(number - 2, 1), min(number + 1, len(said)) + 1)
    return {n: said[n - 1][:_LONG] for n in around}


def _read(code: CodeType) -> tuple[str, ...]:
    """A file's lines, if they are still those that were compiled."""
    file = code.co_filename
    if file.startswith("<") or not os.path.isfile(file) or _cell(file):
        return tuple(line.rstrip("\n") for line in linecache.getlines(file))
    with contextlib.suppress(OSError, SyntaxError, UnicodeDecodeError, ValueError, RecursionError):
        with tokenize.open(file) as stream:
            text = stream.read()
        # Written since we began: a module that was made later, or another text by now?
        if os.stat(file).st_mtime < _began - 2 or _holds(compile(text, file, "exec"), code):
            return tuple(text.splitlines())
    return ()


def _holds(whole: CodeType, code: CodeType) -> bool:
    wanted = code.co_code, code.co_name, code.co_firstlineno
    return any([(c.co_code, c.co_name, c.co_firstlineno) == wanted for c in _codes(whole)])


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _codes(inner)
