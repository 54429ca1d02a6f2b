"""`evenflow run`: run a script or a module as `python` does, watched.

Only the standard library is imported before the script runs: numpy and torch size their thread
pools by environment variables when they are imported, and a script may set those first.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from ..lang import _
from ..script import Program, execute, show_error
from . import writing
from .options import (
    Arguments,
    Every,
    Ignore,
    Module,
    Select,
    Verbose,
    check_heal,
    check_known,
    codes,
    parse_budget,
    parse_every,
    refusal,
    variable_option,
)
from .plan import OnNonfinite, Plan
from .script_watcher import ScriptWatcher
from .speaking import Lang

Cadence = Annotated[
    Every,
    variable_option(
        "every",
        help="Sample every N-th step; auto keeps within the budget; 0 samples none.",
        parser=parse_every,
        metavar="auto|N|0",
    ),
]
Share = Annotated[
    float,
    variable_option(
        "budget",
        help="Share of training time that watching may cost.",
        parser=parse_budget,
        metavar="SHARE",
    ),
]
Out = Annotated[
    Path | None,
    variable_option(
        "out", help="The run file. Default: evenflow-runs/SCRIPT-TIME.evenflow", metavar="FILE"
    ),
]
Resume = Annotated[
    bool,
    variable_option(
        "resume", help="Continue the run file of --out at its step; without, a new one is numbered."
    ),
]
Json = Annotated[
    str | None,
    variable_option("json", help="Write the findings as JSON, too ('-' = stdout).", metavar="FILE"),
]
Guard = Annotated[
    OnNonfinite | None,
    variable_option(
        "on-nonfinite",
        help="Before each update look for NaN and Inf: report them, skip the update, or stop.",
    ),
]
Heal = Annotated[
    str,
    variable_option(
        "heal",
        help="Mend it while it runs: all, or some of clip,skip,rollback,revive,lr.",
        metavar="[=NAMES]",
        show_default=False,
    ),
]
NoSource = Annotated[
    bool,
    variable_option("no-source", help="Keep no line of the script's text in the run file."),
]
Live = Annotated[
    bool,
    variable_option(
        "live", help="Draw the training at the terminal's bottom while it runs; not on a pipe."
    ),
]
Quiet = Annotated[
    bool,
    variable_option("quiet", help="Print no diagnosis; the run file is written all the same."),
]


class WrongFile(Exception):
    """evenflow.toml says something that cannot be done; the message says what."""


def run(
    script: Annotated[str, typer.Argument(help="What to run, as you would after `python`.")],
    args: Arguments = None,
    module: Module = False,
    every: Cadence = "auto",  # type: ignore[assignment]
    budget: Share = 0.01,
    out: Out = None,
    resume: Resume = False,
    json: Json = None,
    on_nonfinite: Guard = None,
    heal: Heal = "",
    select: Select = None,
    ignore: Ignore = None,
    no_source: NoSource = False,
    live: Live = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    lang: Lang = None,
) -> Plan:
    """Run a training script as `python` would, and diagnose it.

    Evenflow's options come before SCRIPT; all that follows it belongs to the script.
    """
    if resume and out is None:
        raise typer.BadParameter(_("--resume continues a run file: name it with --out FILE."))
    if json not in (None, "-"):
        try:
            writing.check(Path(json))
        except writing.NotWritten as error:
            raise typer.BadParameter(f"--json: {error}") from None
    if live and not hasattr(os, "fork"):
        raise typer.BadParameter(_("--live needs a POSIX terminal, which this system has not."))
    chosen, dropped = codes(select, "--select"), codes(ignore, "--ignore")
    check_known((*chosen, *dropped))
    return Plan(
        Program(script, str(Path.cwd()), tuple(args or ()), module),
        every=every,  # type: ignore[arg-type]
        budget=budget,
        out=None if out is None else out.absolute(),
        resume=resume,
        json=json if json in (None, "-") else str(Path(json).absolute()),
        on_nonfinite=on_nonfinite.value if on_nonfinite else None,
        heal=check_heal(heal),
        select=chosen,
        ignore=dropped,
        quiet=quiet,
        verbose=verbose,
        live=live,
        source=not no_source,
    )


def launch(plan: Plan) -> int:
    """The script's exit code.

    Raises:
        NoTarget: there is nothing to run.
        WrongFile: evenflow.toml is wrong.
        KeyboardInterrupt: the script's own, already shown.
    """
    plan = _configured(plan)
    here = os.getpid()
    # The first entry is a folder of the user's, whose html.py or queue.py we would import.
    watcher = ScriptWatcher(
        plan, ours=sys.path[0 if getattr(sys.flags, "safe_path", False) else 1 :]
    )
    watcher.begin_with_torch()
    error = execute(plan.program)
    if os.getpid() != here:  # a fork of the script came back through us: it is not ours to judge
        if error is not None:
            raise error
        return 0
    code = show_error(error)
    try:
        _end(watcher, error)
    except KeyboardInterrupt as again:
        said = _("interrupted before the diagnosis; `evenflow check` gives it later.")
        print(f"evenflow: {said}", file=sys.stderr)
        error = again
    if isinstance(error, KeyboardInterrupt):
        # Raised again so that Python ends by SIGINT, as it would have: the shell sees 130 and
        # stops its loop. The traceback has been shown.
        sys.excepthook = lambda *_: None
        raise error
    return code


def _configured(plan: Plan) -> Plan:
    """With what evenflow.toml in the plan's folder says, of the script and of all."""
    from ..trial import project_config

    folder = Path(plan.program.folder)
    try:
        text = project_config.read(folder).get(project_config.key_of(plan.program), "")
        source = plan.source and project_config.keeps_source(folder)
    except ValueError as error:
        raise WrongFile(str(error)) from None
    plan = dataclasses.replace(plan, source=source)
    if not text:
        return plan
    if why := refusal("from evenflow.treatments import parse", "parse(sys.argv[1])", text):
        raise WrongFile(f"{folder / project_config.NAME}: {why}")
    return dataclasses.replace(plan, treatments=text)


def _end(watcher: ScriptWatcher, error: BaseException | None) -> None:
    """End the watch, after the script's own threads if it left any: one of them may train."""
    others = [t for t in threading.enumerate() if not t.daemon and t is not threading.main_thread()]
    if not others:
        watcher.end(error)
        return
    import atexit

    # Not joined here: a thread pool's idle workers end only when the interpreter does.
    atexit.register(watcher.end, error)
