"""Commands that run networks of their own: to fit, to predict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Force
from .speaking import Lang


def fit(
    data: Annotated[Path, typer.Argument(help="A table: CSV or Parquet.")],
    target: Annotated[str, typer.Option("--target", metavar="COL", help="What to predict.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            show_default=False,
            help="The model folder. Default: DATA's name with -model.",
        ),
    ] = None,
    task: Annotated[
        str,
        typer.Option(
            "--task",
            metavar="classification|regression",
            show_default=False,
            help="Default: regression for a target of more than 20 different numbers.",
        ),
    ] = "auto",
    cv: Annotated[
        int,
        typer.Option(
            "--cv",
            metavar="K",
            show_default=False,
            help="Judge by K-fold cross-validation. Default: a fifth of the rows is held out.",
        ),
    ] = 0,
    drop: Annotated[
        list[str] | None,
        typer.Option("--drop", metavar="COL,...", show_default=False, help="Columns not to read."),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            "--keep",
            metavar="COL,...",
            show_default=False,
            help="Columns to read, even if they look like identifiers or do not seem to help.",
        ),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            metavar="COL=KIND,...",
            show_default=False,
            help="What a column is: number, category, date, text or id (not read).",
        ),
    ] = None,
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
    from .fit import fit_table

    if task not in ("auto", "classification", "regression"):
        raise typer.BadParameter(f"--task: {task!r} is neither classification nor regression.")
    if cv < 0 or cv == 1:
        raise typer.BadParameter(f"--cv: {cv} folds; give 2 or more.")
    options = {"hidden": hidden, "depth": depth, "activation": activation}
    return fit_table(data, target, out, task, cv, options, seed, drop or (), keep or (), kind or ())


def predict(
    model: Annotated[Path, typer.Argument(help="A model folder of `evenflow fit`.")],
    data: Annotated[Path, typer.Argument(help="A table with the columns of training.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="Predictions: CSV or Parquet.")
    ],
    force: Force = False,
    lang: Lang = None,
) -> int:
    """Predict a table's target by a model of `evenflow fit`.

    What training never saw is counted and told. Exit code 0: predictions were written; 2: wrong
    usage; 3: the model folder is damaged.
    """
    from .predict import predict_table

    return predict_table(model, data, output, force)
