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
    from ..diagnosis import diagnose
    from ..faults import asked
    from ..report import damage
    from ..schema import damaged_rows, verdict
    from .judging import guarded, judging, no_readings

    chosen, dropped = codes(select, "--select"), codes(ignore, "--ignore")
    try:
        path = find_run(run)
        with guarded(path):
            with judging(path):
                loaded = load_run(path)
                if not len(loaded.steps):
                    said = f"{str(path)!r}: {no_readings(loaded)}."
                    raise CannotJudge(sentences(filter(None, (said, damage(loaded)))))
                findings = diagnose(loaded, select=chosen, ignore=dropped)
            code = {"sick": 1, "unjudged": 3}.get(verdict(findings, loaded), 0)
            if damaged_rows(loaded).keys() & {"site", "param", "layout"} and code != 1:
                # no health is claimed of a network whose sites or parameters are lost
                said = _("What is left shows no error, which is no judgement.")
                raise CannotJudge(sentences((f"{str(path)!r}: {damage(loaded)}", said)))
            pairs = None if forecast is None else _beside(loaded, forecast)
            _show(path, loaded, findings, json, pairs, asked(chosen, dropped))
            return code
    except (CannotJudge, ValueError) as error:
        return refuse("check", error, 3 if isinstance(error, CannotJudge) else 2)


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
