"""What `evenflow run` says when the script has ended: all of it on stderr, beside the script's."""

from __future__ import annotations

import sys
from pathlib import Path

from .. import report, views
from ..diagnosis import diagnose
from ..faults import asked
from ..lang import _
from ..monitor import ranks
from ..showing import visible
from . import writing
from .children import why_not_here
from .consoles import next_command, refuse, stderr
from .judging import as_text, no_readings
from .plan import Plan
from .runs import load_run


def tell_run(path: Path, plan: Plan, whole: bool = True) -> None:
    """The findings of a run; `whole` if it was watched to its end."""
    run = load_run(path)
    findings = diagnose(run, select=plan.select, ignore=plan.ignore)
    chosen = asked(plan.select, plan.ignore)
    told = as_text(run, findings, None, chosen) if plan.json else ""
    if plan.json == "-":
        print(told)
    elif plan.json:
        try:
            writing.write(Path(plan.json), f"{told}\n", [path])
        except writing.NotWritten as error:
            refuse("run --json", error)
    if plan.quiet:
        return
    stopped = [event.detail for event in run.events if event.kind == "stopped"]
    for detail in stopped:
        if "where" not in detail and whole:  # the writer's, too late for the watch to warn
            said = _("watching stopped ({error}); the script itself is untouched.")
            _say(said.format(error=detail.get("error")))
    if len(run.steps):
        console = stderr()
        report.text(run, findings, console, chosen, plan.verbose, views.picture)
        rank, size = ranks()
        if size > 1:
            said = _(
                "This is process {rank} of {size}; each has a run file of its own, named by rank."
            )
            row = said.format(rank=rank, size=size)
            console.print(row, soft_wrap=True, highlight=False, markup=False)
        next_command(console, "report", path, Path(plan.program.folder))
    elif not stopped:
        said = _("{problem}.")
        if not whole:
            said = _("{problem}; if the script opened a watch of its own, judge that run's file.")
        _say(said.format(problem=no_readings(run)))
        if elsewhere := why_not_here(plan.program) if run.unjudged == "no-steps" else "":
            _say(elsewhere)


def _say(what: str) -> None:
    print(f"evenflow: {visible(what)}", file=sys.stderr)
