"""A checked table to a trained model and how good it is on rows it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

from ..lang import _, whole
from ..showing import shown
from .columns import Column, Wishes
from .doubting import doubts
from .encoding import Encoder
from .estimators import NetworkClassifier, NetworkRegressor
from .history import history_as_json
from .judging import Judged, judge, together
from .keeping import load, save
from .outcome import FitReport
from .page import page
from .reading import BadData, read
from .table import CheckedTable, checked
from .weighing import prepared

#: Told each epoch of how many; made of a training's name.
Told = Callable[[int, int], None]
Telling = Callable[[str], Told]
#: Rows that a model is judged on beside those held out, to see what it knows by heart.
AGAIN = 2000


@dataclass(frozen=True, slots=True)
class TableFit:
    """What a fit came to.

    Attributes:
        warnings: what speaks against trusting it, worst first.
        notes: how it was judged, and what was left out.
    """

    model: Any
    encoder: Encoder
    judged: Judged
    warnings: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def report(self) -> FitReport:
        found: FitReport = self.model.fit_report_
        return found

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.encoder.columns


def fit_file(
    data: Path,
    target: str,
    folder: Path,
    *,
    wishes: dict[str, Sequence[str]],
    task: str,
    folds: int,
    options: dict[str, Any],
    seed: int,
    tell: Telling,
) -> TableFit:
    """From a table in a file to a model folder with a report.

    Args:
        wishes: of columns, as `Wishes.parsed` takes them.
        task: "classification", "regression" or "auto".
        options: of the estimator.
        folds, seed, tell: as in `fitted`.

    Raises:
        ValueError: data or an option make no sense; nothing was written.
        OSError: the folder cannot be written.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from evenflow.fit import fit_file
    >>> folder = tempfile.TemporaryDirectory()
    >>> here = Path(folder.name)
    >>> _ = (here / "t.csv").write_text("x,y\\n" + "".join(f"{i},{i // 20}\\n" for i in range(40)))
    >>> found = fit_file(
    ...     here / "t.csv", "y", here / "model", wishes={}, task="classification", folds=0,
    ...     options={"epochs": 3}, seed=0, tell=lambda name: lambda epoch, epochs: None,
    ... )
    >>> found.notes, found.report.epochs
    (('Judged on 8 rows held out of 40.',), 3)
    >>> folder.cleanup()
    """
    frame = read(data)
    found = checked(frame, target, task, Wishes.parsed(set(frame.columns), **wishes))
    result = fitted(found, folds, options, seed, tell)
    result = replace(result, notes=(*frame.attrs["read"], *result.notes))
    facts = {"target": target, "task": found.task, "metrics": result.judged.metrics,
             "warnings": list(result.warnings), "options": options,
             "fit": history_as_json(data.name, result.report, result.judged, result.notes),
    }  # fmt: skip
    shows = page(
        f"{data.name}: {target}", result.report, result.judged, result.notes, result.columns,
        result.warnings,
    )  # fmt: skip
    save(folder, result.model, result.encoder, facts, shows)
    return result


def predict_file(model: Path, data: Path) -> tuple[Any, list[str]]:
    """A data frame of predictions, the target and its classes' shares, by a model folder; and
    what is to be said of the table's columns.

    Raises:
        ValueError: the table makes no sense, or the folder is no model.
        Damaged: the folder cannot be trusted.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from evenflow.fit import fit_file, predict_file
    >>> folder = tempfile.TemporaryDirectory()
    >>> data, model = Path(folder.name, "t.csv"), Path(folder.name, "model")
    >>> _ = data.write_text("x,y\\n" + "".join(f"{i},{i // 20}\\n" for i in range(40)))
    >>> _ = fit_file(
    ...     data, "y", model, wishes={}, task="classification", folds=0, options={"epochs": 3},
    ...     seed=0, tell=lambda name: lambda epoch, epochs: None,
    ... )
    >>> list(predict_file(model, data)[0].columns)
    ['y', 'p(0)', 'p(1)']
    >>> folder.cleanup()
    """
    network, encoder, facts = load(model)
    frame = read(data, text=[c.name for c in encoder.columns if c.text])
    rows, notes = encoder.transform(frame)
    result = frame[[]].copy()
    result[facts["target"]] = network.predict(rows)
    if facts["task"] == "classification":
        for label, share in zip(network.classes_, network.predict_proba(rows).T, strict=True):
            result[f"p({label})"] = share
    return result, notes


def fitted(
    found: CheckedTable, folds: int, options: dict[str, Any], seed: int, tell: Telling
) -> TableFit:
    """Train on four fifths and judge on the others; or judge by `folds` parts and train on all.

    Raises:
        BadData: too few rows, or too few of a class.
    """
    n = len(found.X)
    strata = _strata(found, folds)
    notes = []
    if found.dropped:
        text = _("Rows without a target, left out: {count}.")
        notes.append(text.format(count=whole(found.dropped)))
    if folds:
        cut = StratifiedKFold if found.task == "classification" else KFold
        cuts = list(cut(folds, shuffle=True, random_state=seed).split(found.X, found.y))
        parts = []
        for k, (train, test) in enumerate(cuts, 1):
            name = _("fold {k} of {folds}").format(k=k, folds=folds)
            parts.append(_judged(found, train, test, options, seed, tell(name)))
        judged, before = together([p[2] for p in parts]), together([p[3] for p in parts])
        train = np.arange(n)
        model, encoder = _trained(found, train, options, seed, tell(_("training")))
        text = _("Judged by {folds}-fold cross-validation; the model saw all {count} rows.")
        notes.append(text.format(folds=folds, count=whole(n)))
    else:
        train, test = train_test_split(
            np.arange(n), test_size=0.2, random_state=seed, stratify=strata
        )
        train = np.sort(train)
        told = tell(_("training"))
        model, encoder, judged, before = _judged(found, train, test, options, seed, told)
        text = _("Judged on {some} rows held out of {count}.")
        notes.append(text.format(some=whole(len(test)), count=whole(n)))
    warned = doubts(found, encoder, train, judged, before)
    return TableFit(model, encoder, judged, tuple(warned), tuple(notes))


def _strata(found: CheckedTable, folds: int) -> Any:
    """Labels that rows are stratified by, None for none. BadData where there are too few."""
    n = len(found.X)
    least = max(folds, 2) if folds else 5
    if n < least:
        text = _("{count} rows are too few: give {least} at least.")
        raise BadData(text.format(count=n, least=least))
    if found.task != "classification":
        return None
    classes, counts = np.unique(found.y, return_counts=True)
    if folds and counts.min() < folds:
        text = _("class {name} has {count} rows: too few for --cv {folds}.")
        name = shown(classes[counts.argmin()])
        raise BadData(text.format(name=name, count=counts.min(), folds=folds))
    return found.y if counts.min() >= 2 and len(counts) <= n // 5 else None


def _trained(
    found: CheckedTable, rows: Any, options: dict[str, Any], seed: int, told: Told
) -> tuple[Any, Encoder]:
    kind = NetworkRegressor if found.task == "regression" else NetworkClassifier
    X, y = found.X.iloc[rows], found.y[rows]
    encoder = prepared(X, found.columns, y, found.task, seed)
    model = kind(random_state=seed, verbose=told, **options)
    model.fit(encoder.transform(X)[0], y)
    model.verbose = False
    return model, encoder


def _judged(
    found: CheckedTable, train: Any, test: Any, options: dict[str, Any], seed: int, told: Told
) -> tuple[Any, Encoder, Judged, Judged]:
    """Model, encoder, how good it is on the rows held out, and on some it was trained on."""
    model, encoder = _trained(found, train, options, seed, told)
    some = train[np.linspace(0, len(train) - 1, min(len(train), AGAIN)).astype(int)]
    judged, before = (
        judge(model, encoder.transform(found.X.iloc[rows])[0], found.y[rows], found.task,
              found.y[train])
        for rows in (test, some)
    )  # fmt: skip
    return model, encoder, judged, before
