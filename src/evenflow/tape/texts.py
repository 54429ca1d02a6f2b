"""Texts of source files as they were when they were compiled: what ran, or nothing."""

from __future__ import annotations

import contextlib
import linecache
import os
import time
import tokenize
import warnings
from collections.abc import Iterator
from types import CodeType
from typing import NamedTuple

from .places import cell, path_of

#: A file that was left alone for so many seconds before we were imported is what was compiled: the
#: script may have begun a while before it imported us.
_SURE = 60.0
#: Characters of a line that are kept.
_LONG = 300

_began = time.time()


class _Text(NamedTuple):
    lines: tuple[str, ...]
    codes: frozenset[CodeType] | None  # those it holds, where it may have been changed since


_texts: dict[str, _Text] = {}


def met(file: str) -> None:
    """A line of it is told of: it is read now, as it may be changed while a training runs."""
    if file not in _texts:
        _texts[file] = _read(file)


def texts_beside(code: CodeType, number: int) -> dict[int, str]:
    """A line of a code object and those beside it, by number; {} where its file is no longer what
    is running."""
    lines = _lines(code)
    around = range(max(number - 2, 1), min(number + 1, len(lines)) + 1)
    return {n: lines[n - 1][:_LONG] for n in around}


def text_of(code: CodeType, number: int) -> str:
    """A whole line of a code object's file, "" where it is not known."""
    lines = _lines(code)
    return lines[number - 1] if 0 < number <= len(lines) else ""


def _lines(code: CodeType) -> tuple[str, ...]:
    text = _texts.get(code.co_filename)
    known = text is not None and (text.codes is None or code in text.codes)
    return text.lines if text is not None and known else ()


def _read(file: str) -> _Text:
    path = path_of(file)
    if cell(file) or not os.path.isfile(path):  # a notebook's, or one in an archive
        return _Text(tuple([line.rstrip("\r\n") for line in linecache.getlines(file)]), None)
    with contextlib.suppress(OSError, SyntaxError, UnicodeDecodeError, ValueError, RecursionError):
        with tokenize.open(path) as stream:
            text = stream.read()
        lines = tuple(text.split("\n"))  # a form feed ends no line
        if os.stat(path).st_mtime < _began - _SURE:
            return _Text(lines, None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python has given them once
            return _Text(lines, frozenset(_codes(compile(text, file, "exec", dont_inherit=True))))
    return _Text((), None)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _codes(inner)
