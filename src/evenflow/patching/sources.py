"""A source file's bytes and its text: encoding, mark, and line ends come back as they were."""

from __future__ import annotations

import codecs
import io
import re
import tokenize
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..lang import _
from ..showing import visible
from .patch import CannotPatch

#: A script longer than this is nobody's to edit by machine.
LARGEST = 10_000_000


class SourceText(NamedTuple):
    """A file's text as it stands, line ends and all, and how it was encoded."""

    text: str
    encoding: str
    mark: bytes

    @property
    def newline(self) -> str:
        """The line end that most lines have."""
        crlf = self.text.count("\r\n")
        return "\r\n" if crlf > self.text.count("\n") - crlf else "\n"

    def encoded(self, text: str) -> bytes:
        """Another text as this file would hold it."""
        return self.mark + text.encode(self.encoding)


def decoded(raw: bytes, name: str) -> SourceText:
    """The text of a Python file, by its mark and cookie.

    Args:
        raw: all its bytes.
        name: how messages call it.

    Raises:
        CannotPatch: it is too large, or not in the encoding that it states.

    >>> from evenflow.patching import decoded
    >>> decoded(b"x = 1\\r\\n", "train.py").newline
    '\\r\\n'
    """
    if len(raw) > LARGEST:
        said = _("{name} holds {n} bytes, more than a script does: edit it by hand.")
        raise CannotPatch(said.format(name=repr(name), n=len(raw)))
    mark = codecs.BOM_UTF8 if raw.startswith(codecs.BOM_UTF8) else b""
    body = raw[len(mark) :]
    try:
        encoding, _lines = tokenize.detect_encoding(io.BytesIO(raw).readline)
        text = body.decode("utf-8" if encoding == "utf-8-sig" else encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        said = _("{name} is not in the encoding it should be ({error}): save it as UTF-8.")
        told = visible(str(error))
        raise CannotPatch(said.format(name=repr(name), error=told)) from None
    if "\0" in text:
        raise CannotPatch(_("{name} is no Python source.").format(name=repr(name)))
    return SourceText(text, "utf-8" if encoding == "utf-8-sig" else encoding, mark)


def sources_of(folder: Path, names: Mapping[str, bytes] | set[str]) -> dict[str, bytes]:
    """The bytes of files below a folder.

    Args:
        folder: where they lie.
        names: paths relative to it.

    Returns:
        Bytes by name.

    Raises:
        CannotPatch: one is missing or cannot be read.

    >>> import pathlib, tempfile
    >>> from evenflow.patching import sources_of
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "train.py").write_bytes(b"x = 1")
    >>> sources_of(folder, {"train.py"})
    {'train.py': b'x = 1'}
    """
    found = {}
    for name in sorted(names):
        try:
            found[name] = (folder / name).read_bytes()
        except OSError as error:
            said = _("cannot read {name}: {error}.")
            told = visible(error.strerror or str(error))
            raise CannotPatch(said.format(name=repr(name), error=told)) from None
    return found


def indent_unit(text: str) -> str:
    """What one level of indentation is in a file: a tab, or so many spaces; 4 where none shows."""
    found = re.findall(r"^([ \t]+)\S", text, re.MULTILINE)
    if any("\t" in f for f in found[:50]):
        return "\t"
    widths = [len(f) for f in found if len(f) <= 8]
    return " " * min(widths, default=4) if min(widths, default=4) > 1 else "    "
