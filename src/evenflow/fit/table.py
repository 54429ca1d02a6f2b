"""A table from a file: read, checked, and made into numbers by scikit-learn's own transformers."""

from __future__ import annotations

import csv
import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..lang import _

#: A numeric target with more distinct values than this is a number, not a class.
CLASSES = 20
#: A text column of which this share reads as numbers is a number column with text in it.
MOSTLY = 0.8


class BadData(ValueError):
    """A table that cannot be learned from, or predicted for; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Table:
    """Checked rows: X is a data frame without the target, y the target's values."""

    X: Any
    y: Any
    task: str
    dropped: int  # rows without a target


def read(path: Path) -> Any:
    """A data frame from CSV (.csv, .tsv, .txt) or Parquet (.parquet, .pq); BadData otherwise."""
    import pandas as pd

    if not path.is_file():
        raise BadData(_("there is no file {path!r}.").format(path=str(path)))
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            frame = pd.read_parquet(path)
        else:
            mark = "\t" if path.suffix.lower() == ".tsv" else ","
            with path.open(newline="", encoding="utf-8-sig") as lines:
                _unique(next(csv.reader(lines, delimiter=mark), []), path)
            frame = pd.read_csv(path, sep=mark, encoding="utf-8-sig")
    except BadData:
        raise
    except Exception as error:  # pandas and pyarrow each have errors of their own
        said = str(error).strip().splitlines() or [type(error).__name__]
        text = _("{path!r} cannot be read as a table: {error}")
        raise BadData(text.format(path=str(path), error=said[0])) from error
    frame.columns = [str(name) for name in frame.columns]
    _unique(list(frame.columns), path)
    if not len(frame):
        raise BadData(_("{path!r} has no rows.").format(path=str(path)))
    return frame


def _unique(names: list[str], path: Path) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names:
        raise BadData(_("{path!r} is empty.").format(path=str(path)))
    if twice:
        said = _("{path!r} has several columns named {name!r}: rename them.")
        raise BadData(said.format(path=str(path), name=twice[0]))


def checked(frame: Any, target: str, task: str = "auto") -> Table:
    """Features and target of a frame. BadData for what cannot be learned from."""
    import pandas as pd

    if target not in frame.columns:
        near = difflib.get_close_matches(target, list(frame.columns), 1)
        said = _("the table has no column {name!r}; did you mean {near!r}?")
        if not near:
            said = _("the table has no column {name!r}; it has {known}.")
        known = ", ".join(frame.columns)
        raise BadData(said.format(name=target, near=near[0] if near else "", known=known))
    kept = frame[frame[target].notna()]
    if not len(kept):
        said = _("no row is left: the target {name!r} is missing in all {count} rows.")
        raise BadData(said.format(name=target, count=len(frame)))
    X, y = kept.drop(columns=target), kept[target]
    if not len(X.columns):
        said = _("the table has no column but the target {name!r}.")
        raise BadData(said.format(name=target))
    for name in X.columns:
        if X[name].isna().all():
            said = _("column {name!r} has no value in any row: remove it.")
            raise BadData(said.format(name=name))
        _not_mixed(X[name], name)
        if pd.api.types.is_numeric_dtype(X[name]) and np.isinf(X[name].to_numpy(float)).any():
            raise BadData(_("column {name!r} holds an infinite number.").format(name=name))
    numeric = pd.api.types.is_numeric_dtype(y) and not pd.api.types.is_bool_dtype(y)
    if task == "auto":
        task = "regression" if numeric and y.nunique() > CLASSES else "classification"
    if task == "regression":
        _not_mixed(y, target)
        if not numeric:
            said = _("the target {name!r} is text: regression needs numbers.")
            raise BadData(said.format(name=target))
        return Table(X, y.to_numpy(float), task, len(frame) - len(kept))
    if y.nunique() < 2:
        said = _("the target {name!r} holds one class only, {value!r}.")
        raise BadData(said.format(name=target, value=y.iloc[0]))
    values = y.to_numpy() if numeric else y.astype(str).to_numpy(dtype=str)
    return Table(X, values, task, len(frame) - len(kept))


def _not_mixed(column: Any, name: str) -> None:
    """BadData for a column of numbers with text in it."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column) or isinstance(column.dtype, pd.CategoricalDtype):
        return
    given = column[column.notna()].astype(str)
    wrong = pd.to_numeric(given, errors="coerce").isna()
    if wrong.any() and 1 - wrong.mean() >= MOSTLY:
        row = given.index[wrong.to_numpy().argmax()]
        said = _(
            "column {name!r} is of numbers, but row {row} holds the text {text!r}: "
            "correct it, or leave it empty (missing)."
        )
        raise BadData(said.format(name=name, row=row, text=given[row]))


def preprocessing(X: Any) -> Any:
    """Fitted: numbers with their missing values at the median and marked, categories one-hot."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    numeric = numbers(X)
    others = [name for name in X.columns if name not in set(numeric)]
    made = ColumnTransformer(
        [
            ("numbers", SimpleImputer(strategy="median", add_indicator=True), numeric),
            (
                "categories",
                make_pipeline(
                    SimpleImputer(strategy="constant", fill_value="(missing)"),
                    OneHotEncoder(handle_unknown="error", sparse_output=False),
                ),
                others,
            ),
        ]
    )
    return made.fit(plain(X, numeric))


def numbers(X: Any) -> list[str]:
    """Names of the columns of numbers."""
    import pandas as pd

    return [
        name
        for name in X.columns
        if pd.api.types.is_numeric_dtype(X[name]) and not pd.api.types.is_bool_dtype(X[name])
    ]


def plain(X: Any, numeric: list[str]) -> Any:
    """The same columns as floats and as text, missing text as None."""
    import pandas as pd

    return pd.DataFrame(
        {
            name: X[name].astype(float)
            if name in numeric
            else X[name].astype(object).map(lambda v: np.nan if pd.isna(v) else str(v))
            for name in X.columns
        },
        index=X.index,
    )


def as_numbers(made: Any, X: Any) -> Any:
    """Rows [N, C] for the network from a frame with the columns of training; more are ignored.

    BadData for a column that is missing, text among numbers, or a category never seen.
    """
    wanted = list(made.feature_names_in_)
    lacking = [name for name in wanted if name not in X.columns]
    if lacking:
        said = _("the table has no column {name!r}, which the model was trained on.")
        raise BadData(said.format(name=lacking[0]))
    numeric = list(made.transformers_[0][2])
    for name in numeric:
        _not_mixed(X[name], name)
        if name not in numbers(X) and X[name].notna().any():
            said = _("column {name!r} must be of numbers, as in training.")
            raise BadData(said.format(name=name))
    rows = plain(X[wanted], numeric)
    others = [name for name in wanted if name not in numeric]
    if others:
        encoder = made.named_transformers_["categories"][-1]
        for name, known in zip(others, encoder.categories_, strict=True):
            seen = rows[name].fillna("(missing)")
            strange = seen[~seen.isin(list(known))]
            if len(strange):
                said = _(
                    "column {name!r}: row {row} holds {value!r}, which training never saw; "
                    "it knows {known}."
                )
                listed = ", ".join(map(str, known[:8]))
                raise BadData(
                    said.format(
                        name=name, row=strange.index[0], value=strange.iloc[0], known=listed
                    )
                )
    return made.transform(rows)


def held_out(made: Any, X: Any) -> Any:
    """Rows [N, C] to judge a model on: a category that they alone have is none of those known.

    Unlike `as_numbers`, which refuses it: what is held out of a table may hold what the rest lacks.
    """
    rows = plain(X, list(made.transformers_[0][2]))
    categories = dict(made.named_transformers_).get("categories")
    if categories is None or not len(made.transformers_[1][2]):
        return made.transform(rows)
    encoder = categories[-1]
    encoder.set_params(handle_unknown="ignore")
    try:
        return made.transform(rows)
    finally:
        encoder.set_params(handle_unknown="error")
