"""`evenflow fit`: from a table to a model folder with a report."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ..lang import _
from ..showing import listed, shown
from .consoles import refuse
from .progressing import Progress
from .speaking import Lang

#: Groups of columns that are told; the report lists every column.
GROUPS = 24

Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help="The model folder. Default: DATA's name with -model.",
    ),
]
Task = Annotated[
    str,
    typer.Option(
        "--task",
        metavar="classification|regression",
        show_default=False,
        help="Default: regression for a target of more than 20 different numbers.",
    ),
]
Folds = Annotated[
    int,
    typer.Option(
        "--cv",
        metavar="K",
        show_default=False,
        help="Judge by K-fold cross-validation. Default: a fifth of the rows is held out.",
    ),
]
Keep = Annotated[
    list[str] | None,
    typer.Option(
        "--keep",
        metavar="COL,...",
        help="Columns to read, even if they look like identifiers or do not seem to help.",
    ),
]
Kind = Annotated[
    list[str] | None,
    typer.Option(
        "--kind",
        metavar="COL=KIND,...",
        help="What a column is: number, category, date, text or id (not read).",
    ),
]
Drop = Annotated[
    list[str] | None,
    typer.Option("--drop", metavar="COL,...", help="Columns not to read."),
]


def fit(
    data: Annotated[Path, typer.Argument(help="A table: CSV or Parquet.")],
    target: Annotated[str, typer.Option("--target", metavar="COL", help="What to predict.")],
    out: Out = None,
    task: Task = "auto",
    cv: Folds = 0,
    drop: Drop = None,
    keep: Keep = None,
    kind: Kind = None,
    hidden: Annotated[int, typer.Option("--hidden", help="Units of each hidden layer.")] = 128,
    depth: Annotated[int, typer.Option("--depth", help="Hidden layers.")] = 2,
    activation: Annotated[
        str, typer.Option("--activation", help="One of `evenflow activations`.")
    ] = "auto",
    seed: Annotated[int, typer.Option("--seed", help="Of everything random.")] = 0,
    lang: Lang = None,
) -> int:
    """Train a network on a table, and write it with a report.

    Missing values, categories, dates and free text are handled, identifiers are left out: it says
    what was done with each column and why. A network that would not learn is treated.
    """
    if task not in ("auto", "classification", "regression"):
        raise typer.BadParameter(f"--task: {task!r} is neither classification nor regression.")
    if cv < 0 or cv == 1:
        raise typer.BadParameter(f"--cv: {cv} folds; give 2 or more.")
    return _fit_table(
        data,
        target,
        Path(f"{data.stem}-model") if out is None else out,
        wishes={"drop": drop or (), "keep": keep or (), "kinds": kind or ()},
        task=task,
        folds=cv,
        options={"hidden": hidden, "depth": depth, "activation": activation},
        seed=seed,
    )


def _fit_table(data: Path, target: str, folder: Path, **choices: Any) -> int:
    """0: a model was written; 2: the data or an option make no sense, and nothing was written."""
    try:
        from ..fit import fit_file
    except ImportError as error:
        text = _("it needs scikit-learn, pandas and more: pip install 'evenflow[fit]' ({error})")
        return refuse("fit", text.format(error=error), lines=True)
    try:
        with Progress() as progress:
            result = fit_file(data, target, folder, tell=progress.job, **choices)
    except ValueError as error:
        return refuse("fit", error, lines=True)
    except ImportError as error:
        text = _("{module} is missing: pip install 'evenflow[fit]'")
        return refuse("fit", text.format(module=error.name), lines=True)
    except OSError as error:
        text = _("cannot write {path}: {error}.")
        said = text.format(path=shown(folder), error=error.strerror or error)
        return refuse("fit", said, lines=True)
    lines = [_("warning: {what}").format(what=what) for what in result.warnings]
    lines += [*result.notes, *_columns(result.columns), *str(result.report).splitlines()]
    for name, value in result.judged.metrics.items():
        spread = result.judged.spread.get(name)
        lines.append(f"{name}: {value:.4g}" + (f" ± {spread:.2g}" if spread is not None else ""))
    lines.append(_("wrote {folder}, with report.html").format(folder=shown(folder)[1:-1]))
    print("\n".join(lines), file=sys.stderr)
    return 0


def _columns(columns: Sequence[Any]) -> list[str]:
    """What was done with the columns, those of one kind and reason in one line."""
    groups: dict[tuple[bool, str, str], list[str]] = {}
    for c in columns:
        groups.setdefault((c.used, c.kind, c.why), []).append(c.name)
    read = sum(c.used for c in columns)
    lines = [_("Columns: {read} of {all} are read.").format(read=read, all=len(columns))]
    for (used, __, why), names in list(groups.items())[:GROUPS]:
        text = _("  {names}: {why}") if used else _("  {names}: left out: {why}")
        lines.append(text.format(names=listed(names), why=why))
    if len(groups) > GROUPS:
        lines.append(_("  ... and more, all in report.html"))
    return lines
