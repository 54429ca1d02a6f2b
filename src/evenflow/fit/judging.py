"""How good a model is on rows it has not seen, and how good guessing is there. N rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn import metrics as m

from ..lang import N_
from .scaling import Floats
from .targets import Array


@dataclass(frozen=True, slots=True)
class Judged:
    """Metrics by name, and what their picture needs: targets and predictions row by row.

    Attributes:
        loss_N: what a row costs: its log-loss, or its squared error.
        guess_N: what it costs where the shares of the classes, or the mean, are the prediction.
    """

    task: str
    metrics: dict[str, float]
    true: Array
    predicted: Array
    spread: dict[str, float] = field(default_factory=dict)  # over folds
    loss_N: Floats = field(default_factory=lambda: np.zeros(0))
    guess_N: Floats = field(default_factory=lambda: np.zeros(0))

    @property
    def known(self) -> float:
        """1 - cost / cost of guessing: 1 is all there is to know, 0 nothing, below it worse."""
        guess = float(self.guess_N.mean()) if len(self.guess_N) else 0.0
        return 1 - float(self.loss_N.mean()) / guess if guess > 0 else float("nan")


def judge(model: Any, X: Array, y: Array, task: str, trained: Array) -> Judged:
    """Accuracy, balanced accuracy and log-loss of classes; R², RMSE and mean error of numbers.

    `trained`: the targets of the rows of training, which guessing knows.
    """
    predicted = model.predict(X)
    if task == "regression":
        found = {
            "R²": m.r2_score(y, predicted),
            N_("root mean squared error"): float(np.sqrt(m.mean_squared_error(y, predicted))),
            N_("mean absolute error"): m.mean_absolute_error(y, predicted),
        }
        loss, guess = (y - predicted) ** 2, (y - trained.mean()) ** 2
    else:
        right = y == predicted
        recalls = [right[y == c].mean() for c in np.unique(y)]
        loss = -np.log(np.maximum(_share(model.predict_proba(X), model.classes_, y), 1e-15))
        classes, counts = np.unique(trained, return_counts=True)
        shares = np.tile(counts / counts.sum(), (len(y), 1))
        guess = -np.log(np.maximum(_share(shares, classes, y), 1e-15))
        found = {
            N_("accuracy"): float(right.mean()),
            N_("balanced accuracy"): float(np.mean(recalls)),
            N_("log-loss"): float(loss.mean()),
        }
    metrics = {k: float(v) for k, v in found.items()}
    return Judged(task, metrics, y, predicted, loss_N=loss, guess_N=guess)


def _share(p_NK: Array, classes: Array, y: Array) -> Array:
    """The probability that each row's class was given, 0 for a class that training never saw."""
    places = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
    return np.where(classes[places] == y, p_NK[np.arange(len(y)), places], 0.0)


def together(folds: list[Judged]) -> Judged:
    """The mean over folds, their standard deviation, and all rows' predictions."""
    names = folds[0].metrics
    return Judged(
        folds[0].task,
        {k: float(np.mean([f.metrics[k] for f in folds])) for k in names},
        np.concatenate([f.true for f in folds]),
        np.concatenate([f.predicted for f in folds]),
        {k: float(np.std([f.metrics[k] for f in folds])) for k in names},
        np.concatenate([f.loss_N for f in folds]),
        np.concatenate([f.guess_N for f in folds]),
    )
