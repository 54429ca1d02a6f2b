"""A table that a network can learn from: target and features, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..lang import _
from ..showing import shown
from .columns import Column, Wishes, decimal_mark, is_number, not_mixed, numbers_of, recognised
from .reading import BadData, lacking

#: A numeric target with more distinct values than this is a number, not a class.
CLASSES = 20


@dataclass(frozen=True, slots=True)
class CheckedTable:
    """Checked rows: X is a data frame without the target, y the target's values."""

    X: Any
    y: Any
    task: str
    dropped: int  # rows without a target
    columns: tuple[Column, ...]  # of X: what is done with each


def checked(
    frame: Any, target: str, task: str = "auto", wishes: Wishes = Wishes()  # noqa: B008
) -> CheckedTable:  # fmt: skip
    """Features and target of a frame. BadData for what cannot be learned from."""
    if target not in frame.columns:
        raise lacking([target], list(frame.columns))
    kept = frame[frame[target].notna()].reset_index(drop=True)
    if not len(kept):
        text = _("no row is left: the target {name} is missing in all {count} rows.")
        raise BadData(text.format(name=shown(target), count=len(frame)))
    X = kept.drop(columns=target)
    if not len(X.columns):
        text = _("the table has no column but the target {name}.")
        raise BadData(text.format(name=shown(target)))
    wishes.check(list(X.columns), target)
    y, task = _target(kept[target], target, task)
    return CheckedTable(X, y, task, len(frame) - len(kept), recognised(X, wishes))


def _target(column: Any, name: str, task: str) -> tuple[Any, str]:
    """The target's values and what they are: numbers for regression, else classes."""
    numeric = is_number(column)
    if not numeric and not pd.api.types.is_bool_dtype(column):
        comma = decimal_mark(column.map(str).unique())
        if comma is not None:
            column, numeric = pd.Series(numbers_of(column, comma)), True
    if numeric and np.isinf(column.to_numpy(float)).any():
        raise BadData(_("column {name} holds an infinite number.").format(name=shown(name)))
    if task == "auto":
        task = "regression" if numeric and column.nunique() > CLASSES else "classification"
    if task == "regression":
        if not numeric:
            if not pd.api.types.is_bool_dtype(column):
                not_mixed(name, column, column.map(str).unique())
            text = _("the target {name} is text: regression needs numbers.")
            raise BadData(text.format(name=shown(name)))
        return column.to_numpy(float), task
    if column.nunique() < 2:
        text = _("the target {name} holds one class only, {value}.")
        raise BadData(text.format(name=shown(name), value=shown(column.iloc[0])))
    return column.to_numpy() if numeric else column.astype(str).to_numpy(dtype=str), task
