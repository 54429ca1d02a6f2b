"""How good a model is on rows it has not seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .targets import Array


@dataclass(frozen=True, slots=True)
class Judged:
    """Metrics by name, and what their picture needs: targets and predictions row by row."""

    task: str
    metrics: dict[str, float]
    true: Array
    predicted: Array
    spread: dict[str, float] = field(default_factory=dict)  # over folds


def judge(model: Any, X: Array, y: Array, task: str) -> Judged:
    """Accuracy, balanced accuracy and log-loss of classes; R², RMSE and mean error of numbers."""
    from sklearn import metrics as m

    predicted = model.predict(X)
    if task == "regression":
        found = {
            "R²": m.r2_score(y, predicted),
            "root mean squared error": float(np.sqrt(m.mean_squared_error(y, predicted))),
            "mean absolute error": m.mean_absolute_error(y, predicted),
        }
    else:
        right = y == predicted
        recalls = [right[y == c].mean() for c in np.unique(y)]
        places = np.searchsorted(model.classes_, y)
        p = model.predict_proba(X)[np.arange(len(y)), places]
        found = {
            "accuracy": float(right.mean()),
            "balanced accuracy": float(np.mean(recalls)),
            "log-loss": float(-np.log(np.maximum(p, 1e-15)).mean()),
        }
    return Judged(task, {k: float(v) for k, v in found.items()}, y, predicted)


def together(folds: list[Judged]) -> Judged:
    """The mean over folds, their standard deviation, and all rows' predictions."""
    names = folds[0].metrics
    return Judged(
        folds[0].task,
        {k: float(np.mean([f.metrics[k] for f in folds])) for k in names},
        np.concatenate([f.true for f in folds]),
        np.concatenate([f.predicted for f in folds]),
        {k: float(np.std([f.metrics[k] for f in folds])) for k in names},
    )
