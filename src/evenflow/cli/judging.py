"""Judge a stored run and tell of it: as text, as JSON, or as a page.

What a command was asked for goes to stdout; what is said beside it, and all that `evenflow run`
says beside a script's own output, to stderr.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from ..faults import asked
from ..lang import N_, _, sentences
from ..showing import visible
from . import writing
from .children import why_not_here
from .guarding import guarded
from .plan import Plan
from .runs import CannotJudge, find_run, load_run

if TYPE_CHECKING:
    from rich.console import Console

    from ..faults import Asked
    from ..forecast import Pair
    from ..schema import Finding, Run

_NO_STEPS = N_("no training step was seen: no backward pass with an update after it")
_NO_SAMPLES = N_(
    "steps of training were counted, and none was measured: sampling was off (every=0)"
)
_NOT_SAMPLED = N_("steps of training were counted, and no step could be sampled")
#: The same, and why (`Recorder.bounds.lost`).
_IN_VAIN = {
    "untrained": N_(
        "steps of training were counted, and no step could be sampled: too many calls that no "
        "backward pass reaches came before each (acting, evaluation)"
    ),
    "time": N_(
        "steps of training were counted, and no step could be sampled: reading one takes longer "
        "than sampling may (try every=N)"
    ),
}


def no_readings(run: Run) -> str:
    """Why there is nothing to judge."""
    if run.unjudged == "not-sampled":
        return _(_IN_VAIN.get(str(run.meta.get("in_vain")), _NOT_SAMPLED))
    return _(_NO_SAMPLES) if run.unsampled else _(_NO_STEPS)


def check_run(
    named: str | None,
    as_json: bool,
    select: Sequence[str],
    ignore: Sequence[str],
    forecast: str | None = None,
) -> int:
    """`evenflow check`: 0, 1 (an error was found), 2 (usage) or 3 (could not judge)."""
    from ..diagnosis import diagnose

    try:
        path = find_run(named)
        with guarded(path):
            with _busy(path):
                run = load_run(path)
                if not len(run.steps):
                    raise CannotJudge(_nothing(path, run))
                findings = diagnose(run, select=tuple(select), ignore=tuple(ignore))
            _check_whole(path, run, findings)
            pairs = None if forecast is None else _beside(run, forecast)
            _tell(path, run, findings, as_json, pairs, asked(select, ignore))
            return _code(run, findings)
    except (CannotJudge, ValueError) as error:
        return _refuse("check", error)


def _check_whole(path: Path, run: Run, findings: Sequence[Finding]) -> None:
    """No health is claimed of a network whose sites or parameters are lost."""
    from ..report import damage

    lost = {t for e in run.events if e.kind == "damaged" for t in e.detail["rows"]}
    if lost & {"site", "param", "layout"} and _code(run, findings) != 1:
        said = _("What is left shows no error, which is no judgement.")
        raise CannotJudge(sentences((f"{str(path)!r}: {damage(run)}", said)))


def _nothing(path: Path, run: Run) -> str:
    from ..report import damage

    return sentences(filter(None, (f"{str(path)!r}: {no_readings(run)}.", damage(run))))


def _tell(
    path: Path,
    run: Run,
    findings: Sequence[Finding],
    as_json: bool,
    pairs: Sequence[Pair] | None,
    chosen: Asked | None,
) -> None:
    if as_json:
        print(as_text(run, findings, pairs, chosen))
        return
    from .. import report

    console = stdout()
    report.text(run, findings, console, chosen)
    if pairs is not None:
        from ..forecast.telling import compared
        from ..report import names

        for row in ("", *compared(pairs, names(run, [p.site for p in pairs]))):
            row = report.terminal.writable(row, console.encoding)
            console.print(row, soft_wrap=True, highlight=False, markup=False)
    next_command(stderr(), "report", path, Path.cwd())


def report_run(
    named: str | None,
    output: str | None,
    select: Sequence[str],
    ignore: Sequence[str],
    force: bool = False,
) -> int:
    """`evenflow report`: one HTML file."""
    from .. import report

    try:
        path = find_run(named)
        target = Path(output) if output else path.with_suffix(".html")
        if output != "-":
            writing.check(target, [path], force)  # before the run is judged, which takes long
        with guarded(path):
            with _busy(path):
                run, findings = _judged(path, select, ignore)
            page = report.html(run, findings, asked(select, ignore))
        if output == "-":
            sys.stdout.write(page)
            return 0
        writing.write(target, page, [path], force)
    except (CannotJudge, ValueError, writing.NotWritten) as error:
        return _refuse("report", error)
    said = _("wrote {file}").format(file=visible(str(target)))
    stderr().print(said, soft_wrap=True, highlight=False, markup=False)
    return 0


def tell_run(path: Path, plan: Plan, whole: bool = True) -> None:
    """What `evenflow run` says when the script has ended; `whole` if it was watched to its end."""
    run, findings = _judged(path, plan.select, plan.ignore)
    chosen = asked(plan.select, plan.ignore)
    if plan.json == "-":
        print(as_text(run, findings, None, chosen))
    elif plan.json:
        try:
            writing.write(Path(plan.json), as_text(run, findings, None, chosen) + "\n", [path])
        except writing.NotWritten as error:
            _refuse("run --json", error)
    if plan.quiet:
        return
    stopped = [event.detail for event in run.events if event.kind == "stopped"]
    for detail in stopped:
        if "where" not in detail:  # the writer's; of all others the watch has warned
            said = _("watching stopped ({error}); the script itself is untouched.")
            said = visible(said.format(error=detail.get("error")))
            print(f"evenflow: {said}", file=sys.stderr)
    if not len(run.steps):
        said = (
            _("{problem}.")
            if whole
            else _("{problem}; if the script opened a watch of its own, judge that run's file.")
        )
        if not stopped:
            print(f"evenflow: {said.format(problem=no_readings(run))}", file=sys.stderr)
            if elsewhere := why_not_here(plan) if run.unjudged == "no-steps" else "":
                print(f"evenflow: {elsewhere}", file=sys.stderr)
        return
    from .. import report

    console = stderr()
    report.text(run, findings, console, chosen)
    _tell_of_ranks(console)
    next_command(console, "report", path, plan.folder)


def _tell_of_ranks(console: Console) -> None:
    from ..monitor.ranks import ranks

    rank, size = ranks()
    if size > 1:
        said = _("This is process {rank} of {size}; each has a run file of its own, named by rank.")
        row = said.format(rank=rank, size=size)
        console.print(row, soft_wrap=True, highlight=False, markup=False)


def as_text(
    run: Run,
    findings: Sequence[Finding],
    pairs: Sequence[Pair] | None = None,
    chosen: Asked | None = None,
) -> str:
    """What `--json` prints; `pairs` of a forecast under "forecast"."""
    from .. import report

    told = report.as_json(run, findings, chosen)
    if pairs is not None:
        told["forecast"] = [p.as_dict() for p in pairs]
    return json.dumps(told, indent=2, allow_nan=False, ensure_ascii=False)


def _beside(run: Run, named: str) -> list[Pair]:
    """Sites of the run with what a kept forecast said of them."""
    from ..forecast import beside

    if not Path(named).is_file():
        said = _("there is no file {name!r}; make one with: evenflow preflight ... --out {name}")
        raise ValueError(said.format(name=named))
    return beside(run, load_run(Path(named)))


def stderr() -> Console:
    """Where Evenflow speaks; plain when it is not a terminal, and then 100 columns wide."""
    return _console(to_stderr=True)


def stdout() -> Console:
    """For what was asked for by name."""
    return _console(to_stderr=False)


def _busy(path: Path) -> AbstractContextManager[object]:
    """A long run takes seconds to judge: say so, on a terminal only."""
    console = stderr()
    if not console.is_terminal:
        return nullcontext()
    return console.status(_("judging {name} ...").format(name=visible(path.name)))


def _console(to_stderr: bool) -> Console:
    from rich.console import Console

    console = Console(stderr=to_stderr)
    return console if console.is_terminal else Console(stderr=to_stderr, width=100)


def _judged(path: Path, select: Sequence[str], ignore: Sequence[str]) -> tuple[Run, list[Finding]]:
    from ..diagnosis import diagnose

    run = load_run(path)
    return run, diagnose(run, select=tuple(select), ignore=tuple(ignore))


def _code(run: Run, findings: Sequence[Finding]) -> int:
    """1 for a sick run, 3 for one that cannot be judged, else 0."""
    from ..schema import verdict

    return {"sick": 1, "unjudged": 3}.get(verdict(findings, run), 0)


def next_command(console: Console, command: str, path: Path, folder: Path) -> None:
    """The command to type next, as it must be typed in `folder`."""
    path = path.absolute()
    near = path.relative_to(folder) if path.is_relative_to(folder) else path
    near_quoted = shlex.quote(visible(str(near)))
    line = _("Next: {command}").format(command=f"evenflow {command} {near_quoted}")
    console.print(line, soft_wrap=True, highlight=False, markup=False)


def _refuse(command: str, error: Exception) -> int:
    print(f"evenflow {command}: {visible(str(error))}", file=sys.stderr)
    return 3 if isinstance(error, CannotJudge) else 2
