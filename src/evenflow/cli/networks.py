"""Commands that run networks of their own: to foresee, to cure, to fit, to predict, to show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import Arguments, Force, Module
from .speaking import Lang


def preflight(
    factory: Annotated[
        str,
        typer.Argument(
            metavar="PKG.MOD:FACTORY",
            help="What makes the model: a function without arguments, as in models:make_net.",
        ),
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="[NAME=][DTYPE:]SIZES[<BOUND]",
            help="An input, batch first: 64,3,32,32 or ids=int:8,128<32000. Repeat for several.",
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            metavar="DTYPE", show_default=False, help="Turn the model to it first (bfloat16)."
        ),
    ] = None,
    compile: Annotated[
        bool, typer.Option("--compile", help="Check that it compiles and computes the same.")
    ] = False,
    static: Annotated[
        bool,
        typer.Option(
            "--static",
            help="By theory, for models too large to build. A few samples of a few tokens do.",
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="The forecast as JSON on stdout.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            show_default=False,
            help="Keep the forecast, for `evenflow check RUN --forecast FILE`.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Of weights, inputs and all that is random.")
    ] = 0,
    force: Force = False,
    lang: Lang = None,
) -> int:
    """Say before step 1 whether a model will learn as it stands.

    Exit code 0: nothing is an error; 1: it will not learn; 2: wrong usage.
    """
    from .preflight import foresee

    return foresee(factory, inputs or (), dtype, compile, static, json, out, seed, force)


def cure(
    script: Annotated[str, typer.Argument(help="What to cure, as you would run it by `python`.")],
    args: Arguments = None,
    module: Module = False,
    metric: Annotated[
        str,
        typer.Option(
            "--metric",
            metavar="REGEX",
            show_default=False,
            help="What is to get better: the last match in the script's output, such as "
            "'acc ([0-9.]+)'. Default: the training loss.",
        ),
    ] = "",
    minimize: Annotated[
        bool, typer.Option("--minimize", help="Smaller values of the metric are better.")
    ] = False,
    seeds: Annotated[
        int, typer.Option("--seeds", metavar="N", help="Runs with and without, as the proof.")
    ] = 3,
    budget: Annotated[
        str,
        typer.Option(
            "--budget",
            metavar="TIME",
            help="Wall time for all trials (90s, 10m, 1.5h), or runs of the script (12x).",
        ),
    ] = "10m",
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs",
            metavar="N",
            show_default=False,
            help="Runs side by side. Default: as many as cores and memory allow.",
        ),
    ] = 0,
    in_place: Annotated[
        bool,
        typer.Option("--in-place", help="Run in the folder itself, not in scratch copies of it."),
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget what earlier cures of this script have run.")
    ] = False,
    without: Annotated[
        str,
        typer.Option(
            "--without",
            metavar="KINDS",
            show_default=False,
            help="Treatments not to try, such as 'norm, rezero' or 'init=he'.",
        ),
    ] = "",
    apply: Annotated[
        bool,
        typer.Option("--apply", help="Write the treatment to evenflow.toml, for `evenflow run`."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="The outcome as JSON on stdout.")] = False,
    lang: Lang = None,
) -> int:
    """Find what mends a training script, and prove it by trials.

    Runs it watched, tries treatments on copies of it side by side, and proves the best over seeds.
    The script itself is not changed. Evenflow's options come before SCRIPT.
    """
    from ..trial.conduct import Settings
    from ..trial.job import Program
    from .cure import cure_script

    program = Program(script, str(Path.cwd()), tuple(args or ()), module)
    left_out = tuple(filter(None, map(str.strip, without.split(","))))
    settings = Settings(metric, minimize, seeds, budget, jobs, in_place, fresh, left_out)
    return cure_script(program, settings, json, apply)


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


def demo(
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where runs and reports are written.")
    ] = Path("evenflow-demo"),
    lang: Lang = None,
) -> int:
    """Watch four networks learn, or fail to.

    Trains them on real digits, three of them sick, diagnoses each and writes the reports.
    """
    from .demo import show_demo

    return show_demo(out)
