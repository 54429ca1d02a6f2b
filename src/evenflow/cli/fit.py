"""`evenflow fit`: from a table to a model folder with a report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def fit_table(
    data: Path,
    target: str,
    out: Path | None,
    task: str,
    folds: int,
    options: dict[str, Any],
    seed: int,
) -> int:
    """0: a model was written; 2: the data or an option make no sense, and nothing was written."""
    try:
        from ..fit import table
        from ..fit.keeping import save
    except ImportError as error:
        return _say(
            f"it needs scikit-learn, pandas and more: pip install 'evenflow[fit]' ({error})"
        )
    folder = out if out is not None else Path(f"{data.stem}-model")
    try:
        found = table.checked(table.read(data), target, task)
        model, made, judged, notes = _trained(found, folds, options, seed)
        from ..fit.page import page

        report = model.fit_report_
        facts = {
            "target": target,
            "task": found.task,
            "columns": [str(name) for name in found.X.columns],
            "metrics": judged.metrics,
            "options": options,
        }
        save(folder, model, made, facts, page(f"{data.name}: {target}", report, judged, notes))
    except ValueError as error:
        return _say(str(error))
    except ImportError as error:
        return _say(f"{error.name} is missing: pip install 'evenflow[fit]'")
    except OSError as error:
        return _say(f"cannot write {str(folder)!r}: {error.strerror or error}.")
    for line in (*notes, *str(report).splitlines()):
        print(line, file=sys.stderr)
    for name, value in judged.metrics.items():
        more = f" ± {judged.spread[name]:.2g}" if judged.spread else ""
        print(f"{name}: {value:.4g}{more}", file=sys.stderr)
    print(f"wrote {folder}, with report.html", file=sys.stderr)
    return 0


def _trained(found: Any, folds: int, options: dict[str, Any], seed: int) -> Any:
    from rich.console import Console
    from rich.progress import Progress
    from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

    from ..fit import NetworkClassifier, NetworkRegressor
    from ..fit.judging import judge, together
    from ..fit.table import BadData, as_numbers, preprocessing

    kind = NetworkRegressor if found.task == "regression" else NetworkClassifier
    n = len(found.X)
    least = max(folds, 2) if folds else 5
    if n < least:
        raise BadData(f"{n} rows are too few: give {least} at least.")
    strata = None
    if found.task == "classification":
        counts = {c: int((found.y == c).sum()) for c in set(found.y.tolist())}
        if folds and min(counts.values()) < folds:
            rare = min(counts, key=lambda c: counts[c])
            raise BadData(f"class {rare!r} has {counts[rare]} rows: too few for --cv {folds}.")
        strata = found.y if min(counts.values()) >= 2 and len(counts) <= n // 5 else None
    notes = [f"{found.dropped} rows without a target were left out."] if found.dropped else []
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:

        def model(rows: Any) -> tuple[Any, Any]:
            X = found.X.iloc[rows]
            made = preprocessing(X)
            job = bar.add_task("training", total=None)

            def told(epoch: int, epochs: int) -> None:
                bar.update(job, completed=epoch, total=epochs)

            fitted = kind(random_state=seed, verbose=told, **options)
            fitted.fit(as_numbers(made, X), found.y[rows])
            fitted.verbose = False
            bar.remove_task(job)
            return fitted, made

        import numpy as np

        def judged(fitted: Any, made: Any, rows: Any) -> Any:
            return judge(fitted, _unseen(made, found.X.iloc[rows]), found.y[rows], found.task)

        if folds:
            cut = StratifiedKFold if found.task == "classification" else KFold
            parts = cut(folds, shuffle=True, random_state=seed).split(found.X, found.y)
            result = together([judged(*model(train), test) for train, test in parts])
            notes.append(f"Judged by {folds}-fold cross-validation; the model saw all {n} rows.")
            fitted, made = model(np.arange(n))
        else:
            train, test = train_test_split(
                np.arange(n), test_size=0.2, random_state=seed, stratify=strata
            )
            fitted, made = model(np.sort(train))
            result = judged(fitted, made, test)
            notes.append(f"Judged on {len(test)} rows held out of {n}.")
    return fitted, made, result, notes


def _unseen(made: Any, X: Any) -> Any:
    """Rows for the network; a category that only held-out rows have counts as none of those known.

    Only here: what a model is judged on may hold what its part of the table lacks.
    """
    from ..fit.table import plain

    categories = dict(made.named_transformers_).get("categories")
    if categories is None or not len(made.transformers_[1][2]):
        return made.transform(plain(X, list(made.transformers_[0][2])))
    encoder = categories[-1]
    encoder.set_params(handle_unknown="ignore")
    try:
        return made.transform(plain(X, list(made.transformers_[0][2])))
    finally:
        encoder.set_params(handle_unknown="error")


def _say(what: str) -> int:
    print(f"evenflow fit: {what}", file=sys.stderr)
    return 2
