"""`evenflow explain`: a stored run's ledger."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..lang import _, sentences, whole
from . import writing
from .consoles import as_json, refuse, wrote
from .lesson import OwnAlpha, OwnEta, OwnSteps, OwnWeights, explain_lesson
from .options import Force, RunArgument, output_option
from .runs import CannotJudge, find_run, load_run
from .speaking import Lang
from .step import Samples, Targets


def explain(
    run: RunArgument = None,
    site: Annotated[
        str | None,
        typer.Option(
            metavar="S",
            help="A layer or op ('layers.3', 'layers.3 sigmoid'). Default: nearest the data.",
        ),
    ] = None,
    step: Annotated[
        int | None, typer.Option(metavar="N", help="A sampled step. Default: the last.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The ledger as JSON on stdout.")] = False,
    output: Annotated[
        str | None,
        output_option(help="Write it as one HTML file with a picture ('-' = stdout)."),
    ] = None,
    lesson: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Instead of a run: show one of the lessons."),
    ] = None,
    x: Samples = None,
    w: OwnWeights = None,
    t: Targets = None,
    eta: OwnEta = None,
    alpha: OwnAlpha = None,
    steps: OwnSteps = None,
    force: Force = False,
    lang: Lang = None,
) -> int:
    """Say which factor of the chain rule made a layer's error what it is.

    From the loss back to one layer: each op's gain in decades, shares where ways meet.
    """
    from .judging import guarded

    own = {"x": x, "w": w, "t": t, "eta": eta, "alpha": alpha, "steps": steps}
    own = {key: value for key, value in own.items() if value is not None}
    if lesson is not None:
        return explain_lesson(
            lesson, {"RUN": run, "--site": site, "--step": step}, json, own, output, force
        )
    if own:
        line = _("{options} belongs to --lesson.")
        return refuse("explain", line.format(options=", ".join(f"--{key}" for key in own)))
    try:
        path = find_run(run)
        with guarded(path):
            return _explain(path, site, step, json, output, force)
    except (CannotJudge, writing.NotWritten) as error:
        return refuse("explain", error, 3 if isinstance(error, CannotJudge) else 2)


def _explain(
    path: Path, site: str | None, step: int | None, json: bool, output: str | None, force: bool
) -> int:
    from ..ledger import from_run, text
    from ..report import damage, finite, ledger_html, writable

    run = load_run(path)
    left_out = damage(run)
    try:
        ledger = from_run(run, site, step)
    except ValueError as error:
        line = sentences(filter(None, (str(error), left_out)))
        asked = site is not None or step is not None
        return refuse("explain", line, 2 if asked and len(run.steps) else 3)
    if left_out:
        refuse("explain", left_out)
    if output not in (None, "-") and Path(output).suffix.lower() not in (".html", ".htm"):
        line = _("{path!r}: a ledger is written as one HTML file, picture included; name it .html.")
        return refuse("explain", line.format(path=output))
    if output == "-":
        sys.stdout.write(ledger_html(ledger))
    elif output is not None:
        writing.write(Path(output), ledger_html(ledger), [path], force)
        wrote(output)
    if json:
        print(as_json(finite(ledger.as_dict())))
    elif output is None:
        head = _("{name}, step {step}").format(name=run.name, step=whole(ledger.step or 0))
        line = f"evenflow  {head}\n{text(ledger)}"
        print(writable(line, sys.stdout.encoding or "utf-8"))
    return 0
