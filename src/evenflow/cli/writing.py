"""Files that commands write: one rule for all of them on what may be written over.

A file that a command reads is never written over, nor is a run; any other file that is there only
if it is a report of ours, or with --force.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..lang import _
from ..showing import visible

#: What stands near the beginning of every report of ours: a page, JSON, a picture.
_OURS = re.compile(
    rb'<meta name="generator" content="Evenflow">|^\{\s*"schema":\s*\d|\bSoftware\x00Evenflow\b'
    rb"|^Evenflow patch: "
)
_HEAD = 4096


class NotWritten(Exception):
    """The file was not written; the message says why, and what to do."""


def check(target: Path, inputs: Sequence[Path] = (), force: bool = False) -> None:
    """Raises NotWritten where `target` must not be written over."""
    path = str(target)
    try:
        if target.is_dir():
            said = _("cannot write {path!r}: it is a folder; name a file.")
            raise NotWritten(said.format(path=path))
        if not target.is_file():
            return  # new; or a pipe, a terminal: nothing is lost there
        for each in inputs:
            if each.exists() and target.samefile(each):
                said = _("{path!r} is what is read here, so it is not written over; name another.")
                raise NotWritten(said.format(path=path))
        with target.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        said = _("cannot write {path!r}: {error}.")
        raise NotWritten(said.format(path=path, error=error.strerror or error)) from None
    from ..store import is_run

    if head and is_run(target):
        said = _("{path!r} is an Evenflow run, so it is not written over; name another file.")
        raise NotWritten(said.format(path=path))
    if head and not force and not _OURS.search(head):
        said = _("{path!r} exists and is no report of ours; name another file, or say --force.")
        raise NotWritten(said.format(path=path))


def write(
    target: Path, data: str | bytes, inputs: Sequence[Path] = (), force: bool = False
) -> None:
    """Write a file whole or not at all. Raises NotWritten."""
    check(target, inputs, force)
    raw = data.encode("utf-8", "replace") if isinstance(data, str) else data
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(raw)
            return
        with replacing(target) as name:
            Path(name).write_bytes(raw)
    except OSError as error:
        said = _("cannot write {path!r}: {error}.")
        said = said.format(path=str(target), error=visible(error.strerror or str(error)))
        raise NotWritten(said) from None


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[str]:
    """The name of an empty file that takes `target`'s place at the end, or goes after an error."""
    place = target.resolve()  # a link stays one
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name[:40]}-")
    os.close(handle)
    try:
        yield name
        mode = place.stat().st_mode & 0o777 if place.exists() else 0o666 & ~_umask()
        os.chmod(name, mode)
        os.replace(name, place)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
