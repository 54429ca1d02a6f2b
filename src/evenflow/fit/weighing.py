"""Whether dates, free text and wide categories help to predict. N rows, C columns, K classes or 1.

A network reads noise by heart: three dates and a text that tell nothing, or the names of 150
agents, cost it up to a twentieth of what it knew (docs/decisions.md). So each is asked before it is
read, on the rows of training: what the other columns leave unexplained by a linear model (with
squares) on rows held out, does a linear model of the date's parts, of the text's topics or of the
categories explain some of it on rows held out?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..lang import N_, _
from . import dates
from .columns import Column
from .encoding import Encoder, learned, texts_of, topics
from .reading import BadData
from .scaling import Floats, scaling

#: Parts that the rows are cut into; at most so many rows are asked, and fewer than so many cannot.
PARTS, MOST, FEWEST = 5, 5000, 20
#: The gain on rows held out must be so many standard errors.
SURE = 2.0
#: With more columns than this, what they leave is not computed: the target itself is explained.
WIDE = 1000
#: A ridge of one for standardised columns, as scikit-learn's.
RIDGE = 1.0
#: Wide are categories of more values than this, with fewer rows a value than this. The mean of a
#: value's rows is drawn to that of all as if `SHRUNK` rows more had that one.
VALUES, SHRUNK = 20, 5.0

PART_NAMES = {
    "day": N_("time"), "year": N_("season"), "week": N_("weekday"), "hour": N_("hour"),
}  # fmt: skip


def prepared(X: Any, columns: Sequence[Column], y: Any, task: str, seed: int) -> Encoder:
    """The encoder of a table's columns; dates, texts and wide categories are first asked whether
    they help with the targets y of the rows of X, but for those that the user asked for."""
    doubtful = [c for c in columns if c.used and not c.asked and _doubtful(c, X)]
    if not doubtful:
        return learned(X, columns)
    open_ = set(doubtful)
    rest = [c for c in columns if c not in open_]
    settled = {c.name: c for c in _asked(X, rest, doubtful, y, task, seed)}
    found = [settled.get(c.name, c) for c in columns]
    if not any(c.used or c.missing for c in found):
        found = list(columns)  # they are all there is
    return learned(X, found)


def _doubtful(column: Column, X: Any) -> bool:
    if column.kind == "category":
        return bool(X[column.name].nunique() > max(VALUES, len(X) / VALUES))
    return column.kind in ("date", "text")


def _asked(
    X: Any, rest: Sequence[Column], doubtful: Sequence[Column], y: Any, task: str, seed: int
) -> list[Column]:
    rows = np.random.RandomState(seed).permutation(len(X))[:MOST]
    if len(rows) < FEWEST:
        why = _("{why}; there are too few rows to tell whether it helps")
        return [replace(c, used=False, why=why.format(why=c.why)) for c in doubtful]
    X = X.iloc[rows]
    t_NK = _targets(np.asarray(y)[rows], task)
    left_NK = t_NK
    if any(c.used or c.missing for c in rest):
        base = learned(X, rest).transform(X)[0]
        if base.shape[1] <= WIDE:
            left_NK = t_NK - out_of_fold(_curved(base), t_NK)
    return [_one(c, X, left_NK) for c in doubtful]


def _one(column: Column, X: Any, left_NK: Floats) -> Column:
    """A date with the parts that help, a text or categories; not used where nothing does."""
    parts: tuple[str, ...] = ()
    if column.kind == "text":
        try:
            made = topics(X[column.name])
        except BadData as error:
            return replace(column, used=False, why=str(error))
        helps = gain(made.transform(texts_of(X[column.name])), left_NK) > SURE
    elif column.kind == "category":
        marks = learned(X, [column]).transform(X)[0]
        helps = gain(marks, left_NK, SHRUNK * marks.shape[1]) > SURE
    else:
        days = dates.column_days(X[column.name], column.orders)
        parts = _helping(days, column.parts, left_NK)
        helps = bool(parts)
    if not helps:
        why = _("{why}; on rows held out it does not help to predict")
    elif column.kind != "date":
        why = _("{why}; on rows held out it helps to predict")
    else:
        why = _("{why}; of them helps: {parts}")
    why = why.format(why=column.why, parts=", ".join(_(PART_NAMES[p]) for p in parts))
    return replace(column, used=helps, parts=parts or column.parts, why=why)


def _helping(days_N: Floats, among: Sequence[str], left_NK: Floats) -> tuple[str, ...]:
    """The parts of a date that help: the one that helps most, then what it leaves."""
    columns = {part: _part(days_N, part) for part in among}
    found: list[str] = []
    while len(found) < len(columns):
        gains = {p: gain(x, left_NK) for p, x in columns.items() if p not in found}
        best = max(gains, key=lambda p: gains[p])
        if not gains[best] > SURE:
            break
        found.append(best)
        left_NK = left_NK - out_of_fold(columns[best], left_NK)
    return tuple(part for part in among if part in found)


def _part(days_N: Floats, part: str) -> Floats:
    """One part as columns [N, C]; time itself with its square, its missing values at the middle."""
    found = np.stack(dates.features(days_N, [part]), 1)
    if part == "day":
        middle = np.nanmedian(found) if np.isfinite(found).any() else 0.0
        return _curved(np.where(np.isnan(found), middle, found))
    return found


def _targets(y_N: Any, task: str) -> Floats:
    """[N, K] of mean 0: the number in deviations, bent where it is wild, or a mark a class."""
    if task == "regression":
        column = y_N.astype(np.float64)[:, None]
        return scaling(column, "auto").apply(column)
    places = np.unique(y_N, return_inverse=True)[1]
    kept = np.argsort(-np.bincount(places), kind="stable")[:20]
    marks = (places[:, None] == kept).astype(np.float64)
    return np.asarray(marks - marks.mean(0))


def _curved(x_NC: Floats) -> Floats:
    """The columns in deviations, and the squares of those that are no marks."""
    z = scaling(x_NC, "auto").apply(x_NC)
    curved = [k for k in range(z.shape[1]) if len(np.unique(z[:50, k])) > 2]
    return np.hstack([z, z[:, curved] ** 2])


def out_of_fold(x_NC: Floats, t_NK: Floats, ridge: float = RIDGE) -> Floats:
    """Predictions [N, K] of a ridge regression, each row's by a model that has not seen it."""
    found = np.zeros_like(t_NK)
    part = np.arange(len(x_NC)) % PARTS  # rows come shuffled
    for k in range(PARTS):
        train, test = part != k, part == k
        shift, size = x_NC[train].mean(0), x_NC[train].std(0)
        z = (x_NC - shift) / np.where(size > 1e-12, size, 1.0)
        middle = t_NK[train].mean(0)
        a = z[train].T @ z[train] + ridge * np.eye(z.shape[1])
        weights = np.linalg.solve(a, z[train].T @ (t_NK[train] - middle))
        found[test] = middle + z[test] @ weights
    return found


def gain(x_NC: Floats, left_NK: Floats, ridge: float = RIDGE) -> float:
    """By how many standard errors do the columns lower the squared error of rows held out?"""
    before = out_of_fold(np.zeros((len(x_NC), 1)), left_NK)
    after = out_of_fold(x_NC, left_NK, ridge)
    gained = ((left_NK - before) ** 2 - (left_NK - after) ** 2).sum(1)
    error = gained.std() / np.sqrt(len(gained))
    return float(gained.mean() / error) if error > 0 else 0.0
