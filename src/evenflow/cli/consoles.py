"""Where commands speak: what was asked for by name on stdout, all else on stderr."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..lang import _
from ..showing import visible

if TYPE_CHECKING:
    from rich.console import Console


def stderr() -> Console:
    """Where Evenflow speaks; plain when it is not a terminal, and then 100 columns wide."""
    return _console(to_stderr=True)


def stdout() -> Console:
    """For what was asked for by name."""
    return _console(to_stderr=False)


def _console(to_stderr: bool) -> Console:
    from rich.console import Console

    console = Console(stderr=to_stderr)
    return console if console.is_terminal else Console(stderr=to_stderr, width=100)


def refuse(command: str, why: object, code: int = 2, lines: bool = False) -> int:
    """Say on stderr why the command does not do it, in one line or in `lines`; its exit code."""
    print(f"evenflow {command}: {visible(str(why), lines)}", file=sys.stderr)
    return code


def next_command(console: Console, command: str, path: Path, folder: Path) -> None:
    """The command to type next, as it must be typed in `folder`."""
    path = path.absolute()
    near = path.relative_to(folder) if path.is_relative_to(folder) else path
    near_quoted = shlex.quote(visible(str(near)))
    line = _("Next: {command}").format(command=f"evenflow {command} {near_quoted}")
    console.print(line, soft_wrap=True, highlight=False, markup=False)


def wrote(file: object) -> None:
    """Say where a file was written."""
    print(_("wrote {file}").format(file=visible(str(file))), file=sys.stderr)
