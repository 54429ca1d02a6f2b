"""`evenflow report`: a stored run as one HTML file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from . import writing
from .consoles import refuse, wrote
from .options import Force, Ignore, RunArgument, Select, codes, output_option
from .runs import CannotJudge, find_run, load_run
from .speaking import Lang


def report(
    run: RunArgument = None,
    output: Annotated[
        str | None,
        output_option(help="Where to ('-' = stdout). Default: RUN's name with .html, beside it."),
    ] = None,
    select: Select = None,
    ignore: Ignore = None,
    force: Force = False,
    lang: Lang = None,
) -> int:
    """Write a run's report, one HTML file."""
    from ..diagnosis import diagnose
    from ..faults import asked
    from ..views import html
    from .judging import guarded, judging

    chosen, dropped = codes(select, "--select"), codes(ignore, "--ignore")
    try:
        path = find_run(run)
        target = Path(output) if output else path.with_suffix(".html")
        if output != "-":
            writing.check(target, [path], force)  # before the run is judged, which takes long
        with guarded(path):
            with judging(path):
                loaded = load_run(path)
                findings = diagnose(loaded, select=chosen, ignore=dropped)
            page = html(loaded, findings, asked(chosen, dropped))
        if output == "-":
            sys.stdout.write(page)
            return 0
        writing.write(target, page, [path], force)
    except (CannotJudge, ValueError, writing.NotWritten) as error:
        return refuse("report", error, 3 if isinstance(error, CannotJudge) else 2)
    wrote(target)
    return 0
