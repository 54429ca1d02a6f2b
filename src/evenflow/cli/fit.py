"""`evenflow fit`: from a table to a model folder with a report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ..lang import _, whole


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
        said = _("it needs scikit-learn, pandas and more: pip install 'evenflow[fit]' ({error})")
        return _say(said.format(error=error))
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
        said = _("{module} is missing: pip install 'evenflow[fit]'")
        return _say(said.format(module=error.name))
    except OSError as error:
        said = _("cannot write {path!r}: {error}.")
        return _say(said.format(path=str(folder), error=error.strerror or error))
    for line in (*notes, *str(report).splitlines()):
        print(line, file=sys.stderr)
    for name, value in judged.metrics.items():
        more = f" ± {judged.spread[name]:.2g}" if judged.spread else ""
        print(f"{name}: {value:.4g}{more}", file=sys.stderr)
    print(_("wrote {folder}, with report.html").format(folder=folder), file=sys.stderr)
    return 0


def _trained(found: Any, folds: int, options: dict[str, Any], seed: int) -> Any:
    from rich.console import Console
    from rich.progress import Progress
    from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

    from ..fit import NetworkClassifier, NetworkRegressor
    from ..fit.judging import judge, together
    from ..fit.table import BadData, as_numbers, held_out, preprocessing

    kind = NetworkRegressor if found.task == "regression" else NetworkClassifier
    n = len(found.X)
    least = max(folds, 2) if folds else 5
    if n < least:
        said = _("{count} rows are too few: give {least} at least.")
        raise BadData(said.format(count=n, least=least))
    strata = None
    if found.task == "classification":
        counts = {c: int((found.y == c).sum()) for c in set(found.y.tolist())}
        if folds and min(counts.values()) < folds:
            rare = min(counts, key=lambda c: counts[c])
            said = _("class {name!r} has {count} rows: too few for --cv {folds}.")
            raise BadData(said.format(name=rare, count=counts[rare], folds=folds))
        strata = found.y if min(counts.values()) >= 2 and len(counts) <= n // 5 else None
    notes = []
    if found.dropped:
        said = _("Rows without a target, left out: {count}.")
        notes.append(said.format(count=whole(found.dropped)))
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:

        def model(rows: Any) -> tuple[Any, Any]:
            X = found.X.iloc[rows]
            made = preprocessing(X)
            job = bar.add_task(_("training"), total=None)

            def told(epoch: int, epochs: int) -> None:
                bar.update(job, completed=epoch, total=epochs)

            fitted = kind(random_state=seed, verbose=told, **options)
            fitted.fit(as_numbers(made, X), found.y[rows])
            fitted.verbose = False
            bar.remove_task(job)
            return fitted, made

        import numpy as np

        def judged(fitted: Any, made: Any, rows: Any) -> Any:
            return judge(fitted, held_out(made, found.X.iloc[rows]), found.y[rows], found.task)

        if folds:
            cut = StratifiedKFold if found.task == "classification" else KFold
            parts = cut(folds, shuffle=True, random_state=seed).split(found.X, found.y)
            result = together([judged(*model(train), test) for train, test in parts])
            said = _("Judged by {folds}-fold cross-validation; the model saw all {count} rows.")
            notes.append(said.format(folds=folds, count=whole(n)))
            fitted, made = model(np.arange(n))
        else:
            train, test = train_test_split(
                np.arange(n), test_size=0.2, random_state=seed, stratify=strata
            )
            fitted, made = model(np.sort(train))
            result = judged(fitted, made, test)
            said = _("Judged on {some} rows held out of {count}.")
            notes.append(said.format(some=whole(len(test)), count=whole(n)))
    return fitted, made, result, notes


def _say(what: str) -> int:
    print(f"evenflow fit: {what}", file=sys.stderr)
    return 2
