"""The commands and their options; each one's work is done in a file of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ..lang import _
from . import networks, writing
from .options import Arguments, Every, Force, Module, parse_budget, parse_every, spelled_out
from .plan import OnNonfinite, Plan
from .speaking import Lang, speak

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
Select = Annotated[
    list[str] | None,
    typer.Option(
        "--select",
        envvar="EVENFLOW_SELECT",
        metavar="CODES",
        help="Judge by these codes or prefixes only (EF1,EF203).",
    ),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore",
        envvar="EVENFLOW_IGNORE",
        metavar="CODES",
        help="Leave these codes or prefixes out.",
    ),
]
RunArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN",
        show_default=False,
        help="A run file, or a folder of them: the newest. Default: the newest in evenflow-runs.",
    ),
]


@app.callback(invoke_without_command=True)
def evenflow(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
    lang: Lang = None,
) -> None:
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"evenflow {installed('evenflow')}")
        raise typer.Exit


@app.command("run", context_settings={"allow_interspersed_args": False})
def run(
    script: Annotated[str, typer.Argument(help="What to run, as you would after `python`.")],
    args: Arguments = None,
    module: Module = False,
    every: Annotated[
        Every,
        typer.Option(
            envvar="EVENFLOW_EVERY",
            parser=parse_every,
            metavar="auto|N|0",
            help="Sample every N-th step; auto keeps within the budget; 0 samples none.",
        ),
    ] = "auto",  # type: ignore[assignment]
    budget: Annotated[
        float,
        typer.Option(
            envvar="EVENFLOW_BUDGET",
            parser=parse_budget,
            metavar="SHARE",
            help="Share of training time that watching may cost.",
        ),
    ] = 0.01,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            envvar="EVENFLOW_OUT",
            metavar="FILE",
            show_default=False,
            help="The run file. Default: evenflow-runs/SCRIPT-TIME.evenflow",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            envvar="EVENFLOW_RESUME",
            help="Continue the run file of --out at its step; without, a new one is numbered.",
        ),
    ] = False,
    json: Annotated[
        str | None,
        typer.Option(
            "--json",
            envvar="EVENFLOW_JSON",
            metavar="FILE",
            help="Write the findings as JSON, too ('-' = stdout).",
        ),
    ] = None,
    on_nonfinite: Annotated[
        OnNonfinite | None,
        typer.Option(
            envvar="EVENFLOW_ON_NONFINITE",
            help="Before each update look for NaN and Inf: report them, skip the update, or stop.",
        ),
    ] = None,
    heal: Annotated[
        str,
        typer.Option(
            "--heal",
            envvar="EVENFLOW_HEAL",
            metavar="[=NAMES]",
            show_default=False,
            help="Mend it while it runs: all, or some of clip,skip,rollback,revive,lr.",
        ),
    ] = "",
    select: Select = None,
    ignore: Ignore = None,
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            envvar="EVENFLOW_QUIET",
            help="Print no diagnosis; the run file is written all the same.",
        ),
    ] = False,
    lang: Lang = None,
) -> Plan:
    """Run a training script as `python` would, and diagnose it.

    Evenflow's options come before SCRIPT; all that follows it belongs to the script.
    """
    from .options import check_heal, check_known, codes

    if resume and out is None:
        raise typer.BadParameter(_("--resume continues a run file: name it with --out FILE."))
    if json not in (None, "-"):
        try:
            writing.check(Path(json))
        except writing.NotWritten as error:
            raise typer.BadParameter(f"--json: {error}") from None
    chosen, dropped = codes(select, "--select"), codes(ignore, "--ignore")
    check_known((*chosen, *dropped))
    return Plan(
        target=script,
        module=module,
        args=tuple(args or ()),
        every=every,  # type: ignore[arg-type]
        budget=budget,
        folder=Path.cwd(),
        out=None if out is None else out.absolute(),
        resume=resume,
        json=json if json in (None, "-") else str(Path(json).absolute()),
        on_nonfinite=on_nonfinite.value if on_nonfinite else None,
        heal=check_heal(heal),
        select=chosen,
        ignore=dropped,
        quiet=quiet,
    )


@app.command("check")
def check(
    run: RunArgument = None,
    json: Annotated[bool, typer.Option("--json", help="Findings as JSON on stdout.")] = False,
    forecast: Annotated[
        str | None,
        typer.Option(
            "--forecast",
            metavar="FILE",
            show_default=False,
            help="Set beside it what `evenflow preflight --out FILE` foresaw.",
        ),
    ] = None,
    select: Select = None,
    ignore: Ignore = None,
    lang: Lang = None,
) -> int:
    """Judge a stored run.

    Exit code 0: nothing is an error; 1: something is; 2: wrong usage; 3: could not judge.
    """
    from .judging import check_run
    from .options import codes

    chosen, dropped = codes(select, "--select"), codes(ignore, "--ignore")
    return check_run(run, json, chosen, dropped, forecast)


@app.command("explain")
def explain(
    run: RunArgument = None,
    site: Annotated[
        str | None,
        typer.Option(
            "--site",
            metavar="S",
            show_default=False,
            help="A layer or op ('layers.3', 'layers.3 sigmoid'). Default: nearest the data.",
        ),
    ] = None,
    step: Annotated[
        int | None,
        typer.Option(
            "--step", metavar="N", show_default=False, help="A sampled step. Default: the last."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The ledger as JSON on stdout.")] = False,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            show_default=False,
            help="Write it as one HTML file with a picture ('-' = stdout).",
        ),
    ] = None,
    lesson: Annotated[
        str | None,
        typer.Option(
            "--lesson",
            metavar="NAME",
            show_default=False,
            help="Instead of a run: show one of the lessons.",
        ),
    ] = None,
    force: Force = False,
    lang: Lang = None,
) -> int:
    """Say which factor of the chain rule made a layer's error what it is.

    From the loss back to one layer: each op's gain in decades, shares where ways meet.
    """
    from .explain import explain_run
    from .lessons import explain_lesson

    if lesson is not None:
        return explain_lesson(lesson, run, site, step, json, output)
    return explain_run(run, site, step, json, output, force)


app.command("preflight")(networks.preflight)


@app.command("report")
def report(
    run: RunArgument = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            show_default=False,
            help="Where to ('-' = stdout). Default: RUN's name with .html, beside it.",
        ),
    ] = None,
    select: Select = None,
    ignore: Ignore = None,
    force: Force = False,
    lang: Lang = None,
) -> int:
    """Write a run's report, one HTML file."""
    from .judging import report_run
    from .options import codes

    return report_run(run, output, codes(select, "--select"), codes(ignore, "--ignore"), force)


@app.command("rules")
def rules(
    code: Annotated[
        str | None,
        typer.Argument(
            metavar="CODE",
            show_default=False,
            help="A code or a name: its page. The beginning of codes (ef1): those rules.",
        ),
    ] = None,
    lang: Lang = None,
) -> int:
    """List the rules, or show one rule's page."""
    from .pages import show_rules

    return show_rules(code)


@app.command("activations")
def activations(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", show_default=False, help="One activation; its card."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            show_default=False,
            help="Write the card with its picture: FILE.html or FILE.png.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="All figures as JSON on stdout.")] = False,
    force: Force = False,
    lang: Lang = None,
) -> int:
    """List the activations, or show one's card.

    Bounds, saturation, critical initialisation and trainable depth, computed.
    """
    from .atlas import show_activations

    return show_activations(name, output, json, force)


app.command("cure", context_settings={"allow_interspersed_args": False})(networks.cure)
app.command("fit")(networks.fit)
app.command("predict")(networks.predict)
app.command("demo")(networks.demo)


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
        from .launch import WrongFile, launch
        from .target import NoTarget

        try:
            return launch(outcome)
        except (NoTarget, WrongFile) as error:
            print(f"evenflow run: {error}", file=sys.stderr)
            return 2
    return int(outcome or 0)
