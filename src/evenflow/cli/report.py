"""`evenflow report`: a stored run as one HTML file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..lang import _
from . import writing
from .consoles import refuse, wrote
from .judging import foreseen, guarded, judging
from .options import Force, Ignore, RunArgument, Select, codes, output_option
from .runs import CannotJudge, find_run, load_run
from .speaking import Lang

if TYPE_CHECKING:
    from ..forecast import Pair
    from ..schema import Finding, Run


def report(
    run: RunArgument = None,
    output: Annotated[
        str | None,
        output_option(help="Where to ('-' = stdout). Default: RUN's name with .html, beside it."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="RUN", help="Beside this run, on one scale (before and after a cure, say)."
        ),
    ] = None,
    forecast: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Set beside it what `evenflow preflight --out FILE` foresaw."
        ),
    ] = None,
    select: Select = None,
    ignore: Ignore = None,
    force: Force = False,
    lang: Lang = None,
) -> int:
    """Write a run's report, one HTML file: what was found, and the views of the live page.

    With --against two runs are shown side by side instead.
    """
    from ..faults import asked
    from ..views import html, pair_html

    chosen, dropped = codes(select, "--select"), codes(ignore, "--ignore")
    try:
        path = find_run(run)
        others = [] if against is None else [find_run(against)]
        if others and forecast is not None:
            raise ValueError(_("--against and --forecast cannot be told together."))
        target = Path(output) if output else path.with_suffix(".html")
        if output != "-":
            writing.check(target, [path], force)  # before the run is judged, which takes long
        judged = [_judged(each, chosen, dropped) for each in (path, *others)]
        with guarded(path):
            if others:
                page = pair_html(*judged)
            else:
                pairs = None if forecast is None else foreseen(judged[0][0], forecast)
                page = html(*judged[0], asked(chosen, dropped), _told(pairs, forecast))
        if output == "-":
            sys.stdout.write(page)
            return 0
        writing.write(target, page, [path], force)
    except (CannotJudge, ValueError, writing.NotWritten) as error:
        return refuse("report", error, 3 if isinstance(error, CannotJudge) else 2)
    wrote(target)
    return 0


def _judged(path: Path, select: Sequence[str], ignore: Sequence[str]) -> tuple[Run, list[Finding]]:
    from ..diagnosis import diagnose

    with guarded(path), judging(path):
        loaded = load_run(path)
        return loaded, diagnose(loaded, select=select, ignore=ignore)


def _told(pairs: list[Pair] | None, forecast: str | None) -> list[dict[str, Any]]:
    """As the page asks for it."""
    if pairs is None:
        return []
    return [{"forecast": Path(str(forecast)).stem, "pairs": [p.as_row() for p in pairs]}]
