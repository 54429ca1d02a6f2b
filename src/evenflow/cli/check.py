"""`evenflow check`: judge a stored run, and set a forecast beside it."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..lang import _, sentences
from .consoles import next_command, refuse, stderr, stdout
from .options import Ignore, RunArgument, Select, Verbose, codes
from .runs import CannotJudge, find_run, load_run
from .speaking import Lang

if TYPE_CHECKING:
    from ..faults import Asked
    from ..forecast import Pair
    from ..schema import Finding, Run


class Format(str, enum.Enum):
    """What `--format` gives."""

    text = "text"
    json = "json"
    github = "github"
    sarif = "sarif"
    junit = "junit"


def check(
    run: RunArgument = None,
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    format: Annotated[
        Format,
        typer.Option(
            help="For a person, for programs (json), for GitHub's annotations, for code scanning "
            "(sarif, 2.1.0), or for a CI server's tests (junit)."
        ),
    ] = Format.text,
    forecast: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Set beside it what `evenflow preflight --out FILE` foresaw."
        ),
    ] = None,
    select: Select = None,
    ignore: Ignore = None,
    verbose: Verbose = False,
    lang: Lang = None,
) -> int:
    """Judge a stored run.

    Exit code 0: nothing is an error; 1: something is; 2: wrong usage; 3: could not judge.
    """
    from ..diagnosis import diagnose
    from ..faults import asked
    from ..report import damage
    from ..schema import damaged_rows, verdict
    from .judging import foreseen, guarded, judging, no_readings

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
            pairs = None if forecast is None else foreseen(loaded, forecast)
            form = Format.json if json else format
            if form is Format.text:
                _show(path, loaded, findings, pairs, asked(chosen, dropped), verbose)
            else:
                print(_written(form, loaded, findings, pairs, asked(chosen, dropped)))
            return code
    except (CannotJudge, ValueError) as error:
        return refuse("check", error, 3 if isinstance(error, CannotJudge) else 2)


def _written(
    form: Format,
    run: Run,
    findings: Sequence[Finding],
    pairs: Sequence[Pair] | None,
    chosen: Asked | None,
) -> str:
    """For programs; files of the script are named from the current folder."""
    from .. import report
    from .consoles import as_json
    from .judging import as_text

    root = Path.cwd()
    if form is Format.github:
        return report.as_github(run, findings, root)
    if form is Format.sarif:
        return as_json(report.as_sarif(run, findings, root))
    if form is Format.junit:
        return report.as_junit(run, findings, root, chosen)
    return as_text(run, findings, pairs, chosen)


def _show(
    path: Path,
    run: Run,
    findings: Sequence[Finding],
    pairs: Sequence[Pair] | None,
    chosen: Asked | None,
    verbose: bool,
) -> None:
    from .. import report, views

    console = stdout()
    report.text(run, findings, console, chosen, verbose, views.picture)
    if pairs is not None:
        from ..forecast import compared

        for row in ("", *compared(pairs, report.names(run, [p.site for p in pairs]))):
            row = report.writable(row, console.encoding)
            console.print(row, soft_wrap=True, highlight=False, markup=False)
    next_command(stderr(), "report", path, Path.cwd())
