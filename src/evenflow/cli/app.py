"""The `evenflow` command: what there is to call, and what becomes of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from ..lang import _
from ..script import NoTarget
from .activations import activations
from .check import check
from .checkup import checkup
from .cure import cure
from .demo import demo
from .explain import explain
from .fit import fit
from .options import spelled_out
from .plan import Plan
from .predict import predict
from .preflight import preflight
from .report import report
from .rules import rules
from .run import WrongFile, launch, run
from .speaking import Lang, speak
from .step import step
from .ui import ui

# Plain help: it must read the same in a pipe, in a log and on a terminal.
app = typer.Typer(
    name="evenflow",
    help="Watches back-propagation and says which layer stopped learning, since when, and why.",
    epilog="Start with: evenflow run train.py   (or see it at work: evenflow demo)",
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def evenflow(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
    lang: Lang = None,
) -> None:
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"evenflow {installed('evenflow')}")
        raise typer.Exit


#: What follows a script is the script's own.
_SCRIPT = {"allow_interspersed_args": False}
for command in (
    *(run, check, checkup, explain, step, preflight, report, rules, ui),
    *(activations, cure, fit, predict, demo),
):
    app.command(context_settings=_SCRIPT if command in (run, checkup, cure) else None)(command)


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of `evenflow ARGV`; for `run`, whatever the script raises at its end."""
    command = typer.main.get_command(app)
    words = spelled_out(command, sys.argv[1:] if argv is None else argv)
    speak(command, words)
    try:
        outcome: Any = command.main(args=words, prog_name="evenflow", standalone_mode=False)
    except typer.Abort:
        return 130
    except BrokenPipeError:  # `evenflow rules | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        said = _("this command needs PyTorch, which is not installed: pip install torch")
        print(f"evenflow: {said}", file=sys.stderr)
        return 2
    except Exception as error:
        # Wrong usage, in whichever typer (its errors moved between versions); ours go through.
        show, code = getattr(error, "show", None), getattr(error, "exit_code", None)
        if show is None or code is None:
            raise
        show()
        return int(code)
    if isinstance(outcome, Plan):
        try:
            return launch(outcome)
        except (NoTarget, WrongFile) as error:
            print(f"evenflow run: {error}", file=sys.stderr)
            return 2
    return int(outcome or 0)
