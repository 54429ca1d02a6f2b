"""`evenflow checkup`: experiments on a script's own first batches, before hours are spent."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..lang import _
from ..script import Program, hint
from . import writing
from .consoles import as_json, busy, refuse, stderr, stdout, wrote
from .options import Arguments, Force, Module
from .speaking import Lang

if TYPE_CHECKING:
    from ..experiments import Checkup

Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Write it, too: a page (FILE.html), or JSON for `evenflow cure`."
    ),
]
Seconds = Annotated[
    float, typer.Option(metavar="N", min=5, help="Time for all of it; what is left is not tried.")
]


def checkup(
    script: Annotated[str, typer.Argument(help="What to check, as you would run it by `python`.")],
    args: Arguments = None,
    module: Module = False,
    seconds: Seconds = 60,
    json: Annotated[bool, typer.Option("--json", help="The result as JSON on stdout.")] = False,
    out: Out = None,
    force: Force = False,
    lang: Lang = None,
) -> int:
    """Try a training script's wiring by experiments, before hours are spent.

    Runs it in a scratch copy to its first batches and changes one thing at a time there. The
    script and its files stay as they are. Evenflow's options come before SCRIPT.

    Exit code 0: nothing failed; 1: something did; 2: wrong usage; 3: could not judge.
    """
    program = Program(script, str(Path.cwd()), tuple(args or ()), module)
    if not module and not Path(program.folder, script).is_file():
        said = _("there is no file {name}.").format(name=repr(script))
        return refuse("checkup", said + hint(script))
    try:
        if out is not None:
            writing.check(out, force=force)  # before the script is run, which takes long
        found = _examined(program, seconds)
        if isinstance(found, int):
            return found
        if out is not None:
            writing.write(out, _file(found, out), force=force)
    except writing.NotWritten as error:
        return refuse("checkup", error)
    _show(found, json)
    if out is not None:
        wrote(out)
    return found.exit_code


def _examined(program: Program, seconds: float) -> Checkup | int:
    """What was found, or the exit code: 2 (wrong usage), 3 (not judged), 130 (interrupted)."""
    from ..experiments import CannotExamine, examine

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # by way of `finally`
    try:
        with busy(_("checking {name} ...").format(name=Path(program.target).name)):
            return examine(program, seconds)
    except CannotExamine as error:
        return refuse("checkup", error, 3, lines=True)
    except ValueError as error:
        return refuse("checkup", error, lines=True)
    except KeyboardInterrupt:
        return refuse("checkup", _("interrupted; all that it started has been stopped."), 130)


def _show(found: Checkup, json: bool) -> None:
    from ..experiments import render

    if json:
        print(as_json(found.as_json()))
        render(found, stderr())
    else:
        render(found, stdout())


def _file(found: Checkup, out: Path) -> str:
    from ..experiments import page

    return page(found) if out.suffix in (".html", ".htm") else as_json(found.as_json())
