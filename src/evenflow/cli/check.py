"""`evenflow check`: judge a stored run, and set a forecast beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..lang import _, sentences
from .consoles import next_command, refuse, stderr, stdout
from .options import Ignore, RunArgument, Select, codes
from .runs import CannotJudge, find_run, load_run
from .speaking import Lang

if TYPE_CHECKING:
    from ..faults import Asked
    from ..forecast import Pair
    from ..schema import Finding, Run


def check(
    run: RunArgument = None,
    json: Annotated[bool, typer.Option("--json", help="Findings as JSON on stdout.")] = False,
    forecast: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Set beside it what `evenflow preflight --out FILE` foresaw."
        ),
    ] = None,
    select: Select = None,
    ignore: Ignore = None,
    lang: Lang = None,
) -> int:
    """Judge a stored run.

    Exit code 0: nothing is an error; 1: something is; 2: wrong usage; 3: could not judge.
    """
    chosen, dropped = codes(select, "--select"), codes(ignore, "--ignore")
    return check_run(run, json, chosen, dropped, forecast)


def check_run(
    named: str | None,
    as_json: bool,
    select: Sequence[str],
    ignore: Sequence[str],
    forecast: str | None = None,
) -> int:
    """0, 1 (an error was found), 2 (usage) or 3 (could not judge)."""
    from ..diagnosis import diagnose
    from ..faults import asked
    from .judging import busy, exit_code, guarded, no_readings

    try:
        path = find_run(named)
        with guarded(path):
            with busy(path):
                run = load_run(path)
                if not len(run.steps):
                    raise CannotJudge(_with_damage(f"{str(path)!r}: {no_readings(run)}.", run))
                findings = diagnose(run, select=tuple(select), ignore=tuple(ignore))
            code = exit_code(run, findings)
            _check_whole(path, run, code)
            pairs = None if forecast is None else _beside(run, forecast)
            _show(path, run, findings, as_json, pairs, asked(select, ignore))
            return code
    except (CannotJudge, ValueError) as error:
        return refuse("check", error, 3 if isinstance(error, CannotJudge) else 2)


def _with_damage(said: str, run: Run) -> str:
    from ..report import damage

    return sentences(filter(None, (said, damage(run))))


def _check_whole(path: Path, run: Run, code: int) -> None:
    """No health is claimed of a network whose sites or parameters are lost."""
    from ..report import damage

    lost = {t for e in run.events if e.kind == "damaged" for t in e.detail["rows"]}
    if lost & {"site", "param", "layout"} and code != 1:
        said = _("What is left shows no error, which is no judgement.")
        raise CannotJudge(sentences((f"{str(path)!r}: {damage(run)}", said)))


def _beside(run: Run, named: str) -> list[Pair]:
    """Sites of the run with what a kept forecast said of them."""
    from ..forecast import beside

    if not Path(named).is_file():
        said = _("there is no file {name!r}; make one with: evenflow preflight ... --out {name}")
        raise ValueError(said.format(name=named))
    return beside(run, load_run(Path(named)))


def _show(
    path: Path,
    run: Run,
    findings: Sequence[Finding],
    as_json: bool,
    pairs: Sequence[Pair] | None,
    chosen: Asked | None,
) -> None:
    from .. import report
    from .judging import as_text

    if as_json:
        print(as_text(run, findings, pairs, chosen))
        return
    console = stdout()
    report.text(run, findings, console, chosen)
    if pairs is not None:
        from ..forecast import compared

        for row in ("", *compared(pairs, report.names(run, [p.site for p in pairs]))):
            row = report.terminal.writable(row, console.encoding)
            console.print(row, soft_wrap=True, highlight=False, markup=False)
    next_command(stderr(), "report", path, Path.cwd())
