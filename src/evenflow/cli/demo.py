"""`evenflow demo`: train four networks, watch them, and show what Evenflow says of each."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..lang import _, ngettext
from . import writing
from .consoles import next_command, refuse, stderr, stdout
from .speaking import Lang

if TYPE_CHECKING:
    from rich.console import Console


def demo(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where runs and reports are written.")
    ] = Path("evenflow-demo"),
    lang: Lang = None,
) -> int:
    """Watch four networks learn, or fail to.

    Trains them on real digits, three of them sick, diagnoses each and writes the reports.
    """
    try:
        import sklearn  # noqa: F401
    except ModuleNotFoundError:
        said = _(
            "it trains on scikit-learn's digits, and scikit-learn is not installed.\n"
            "Install it with: pip install 'evenflow[demo]'"
        )
        return refuse("demo", said, lines=True)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = _("cannot use {path!r}: {error}.").format(path=str(out), error=error.strerror)
        return refuse("demo", problem)
    from .demo_networks import NETWORKS

    console = stdout()
    began = time.perf_counter()
    try:
        pages = [_train_and_report(number, out, console) for number in range(len(NETWORKS))]
    except writing.NotWritten as error:
        return refuse("demo", error)
    console.rule()
    spent = f"{time.perf_counter() - began:.0f}"
    summary = _("Four trainings watched in {seconds} s. Reports:").format(seconds=spent)
    console.print(summary)
    for page in pages:
        console.print(f"  {page}", soft_wrap=True, highlight=False, markup=False)
    next_command(console, "check", pages[0].with_suffix(".evenflow"), Path.cwd())
    return 0


def _train_and_report(number: int, out: Path, console: Console) -> Path:
    """Train one, print its diagnosis, write its report; where the report is."""
    import torch
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    import evenflow

    from .. import report, views
    from ..fit import threads
    from .demo_networks import NETWORKS, train

    network = NETWORKS[number]
    console.rule(
        _("{number} of {count}: {name}").format(
            number=number + 1, count=len(NETWORKS), name=network.name
        )
    )
    setup = ngettext(
        "{about}; {steps} step on real digits, every second one measured",
        "{about}; {steps} steps on real digits, every second one measured",
        network.steps,
    )
    console.print(setup.format(about=_(network.about), steps=network.steps), highlight=False)
    run = out / f"{network.name}.evenflow"
    writing.check(run.with_suffix(".html"))
    for old in out.glob(f"{run.name}*"):  # the file of an earlier demo, and SQLite's beside it
        old.unlink()
    err, words = stderr(), _("training {name}").format(name=network.name)
    columns = "{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    bar = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
    torch.manual_seed(0)
    with threads.one():  # so small that more only wait for each other
        model = network.model()
        optimizer = network.optimizer(model.parameters())
        with bar, evenflow.watch(model, optimizer, run=run, every=2):
            task = bar.add_task(words, total=network.steps)
            loss, accuracy = train(network, model, optimizer, lambda: bar.advance(task))
    outcome = _("loss {loss}, accuracy on new digits {accuracy}")
    console.print(outcome.format(loss=f"{loss:.4f}", accuracy=f"{accuracy:.1%}"), highlight=False)
    stored = evenflow.load(run)
    findings = evenflow.diagnose(stored)
    report.text(stored, findings, console, picture=views.picture)
    page = run.with_suffix(".html")
    writing.write(page, views.html(stored, findings), [run])
    return page
