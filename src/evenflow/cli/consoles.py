"""Where commands speak: what was asked for by name on stdout, all else on stderr."""

from __future__ import annotations

import json
import shlex
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..lang import _
from ..showing import visible

if TYPE_CHECKING:
    from rich.console import Console


def stdout(to_stderr: bool = False) -> Console:
    """For what was asked for by name; plain when it is not a terminal, then 100 columns wide."""
    from rich.console import Console

    console = Console(stderr=to_stderr)
    return console if console.is_terminal else Console(stderr=to_stderr, width=100)


def stderr() -> Console:
    """Where Evenflow speaks."""
    return stdout(to_stderr=True)


def busy(doing: str) -> AbstractContextManager[object]:
    """What takes seconds is said to be done meanwhile, on a terminal only."""
    console = stderr()
    return console.status(doing) if console.is_terminal else nullcontext()


def as_json(value: Any) -> str:
    """What every `--json` gives."""
    return json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False)


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
