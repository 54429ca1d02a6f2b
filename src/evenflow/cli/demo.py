"""`evenflow demo`: train four networks, watch them, and show what Evenflow says of each."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ..lang import N_, _, ngettext
from . import writing
from .judging import next_command, stdout

_ZOO = N_(
    "it trains on scikit-learn's digits, and scikit-learn is not installed.\n"
    "Install it with: pip install 'evenflow[demo]'"
)


def show_demo(out: Path) -> int:
    """Exit code 0 when all four could be trained and judged."""
    try:
        import sklearn  # noqa: F401
    except ModuleNotFoundError:
        print(f"evenflow demo: {_(_ZOO)}", file=sys.stderr)
        return 2
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        said = _("cannot use {path!r}: {error}.").format(path=str(out), error=error.strerror)
        print(f"evenflow demo: {said}", file=sys.stderr)
        return 2
    from .patients import PATIENTS

    console = stdout()
    began = time.perf_counter()
    try:
        pages = [_visit(number, out, console) for number in range(len(PATIENTS))]
    except writing.NotWritten as error:
        print(f"evenflow demo: {error}", file=sys.stderr)
        return 2
    console.rule()
    spent = f"{time.perf_counter() - began:.0f}"
    said = _("Four trainings watched in {seconds} s. Reports:").format(seconds=spent)
    console.print(said)
    for page in pages:
        console.print(f"  {page}", soft_wrap=True, highlight=False, markup=False)
    next_command(console, "check", pages[0].with_suffix(".evenflow"), Path.cwd())
    return 0


def _visit(number: int, out: Path, console: Console) -> Path:
    """Train one, print its diagnosis, write its report; where the report is."""
    import torch

    import evenflow

    from .. import report
    from ..fit import threads
    from .patients import PATIENTS, train

    patient = PATIENTS[number]
    console.rule(
        _("{number} of {count}: {name}").format(
            number=number + 1, count=len(PATIENTS), name=patient.name
        )
    )
    said = ngettext(
        "{ails}; {steps} step on real digits, every second one measured",
        "{ails}; {steps} steps on real digits, every second one measured",
        patient.steps,
    )
    console.print(said.format(ails=_(patient.ails), steps=patient.steps), highlight=False)
    run = out / f"{patient.name}.evenflow"
    writing.check(run.with_suffix(".html"))
    for old in out.glob(f"{run.name}*"):  # the file of an earlier demo, and SQLite's beside it
        old.unlink()
    torch.manual_seed(0)
    with threads.one():  # so small that more only wait for each other
        model, optimizer = patient.build()
        with _progress() as progress, evenflow.watch(model, optimizer, run=run, every=2):
            task = progress.add_task(patient.name, total=patient.steps)
            loss, accuracy = train(patient, model, optimizer, lambda: progress.advance(task))
    said = _("loss {loss}, accuracy on new digits {accuracy}")
    console.print(said.format(loss=f"{loss:.4f}", accuracy=f"{accuracy:.1%}"), highlight=False)
    stored = evenflow.load(run)
    findings = evenflow.diagnose(stored)
    report.text(stored, findings, console)
    page = run.with_suffix(".html")
    writing.write(page, report.html(stored, findings), [run])
    return page


def _progress() -> Progress:
    console = Console(stderr=True)
    columns = (
        TextColumn(_("training {name}").format(name="{task.description}")),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
