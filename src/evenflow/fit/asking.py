"""What is asked of the table itself: trainings on some rows, judged on others.

How much the weights should decay: a table without noise wants weights that grow, a noisy one
weights that are held down, and neither its size nor its shape tells which it is. And whether a rate
far above the usual is too high, which may show on new rows only. N rows, C columns.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, StratifiedKFold

from .outcome import Applied
from .rates import BASE
from .settling import BOLD, CAUTIOUS, Settled
from .targets import Array, Classes, Targets

#: A part of the rows in turn judges what was trained on the others; this often at most.
PARTS, TURNS = 5, 3
#: With fewer rows nothing is asked; of more, so many are drawn.
LEAST, MOST = 200, 3000
#: The bold one must lead by so many standard errors of the rows' differences; where it trails or
#: is so clearly ahead, there is no further turn.
SURE, CLEAR = 1.0, 2.0
#: A rate so many times the usual one or more is asked about.
FAST = 3.0
#: The squared error of a network whose training diverged.
GONE = 1e6
#: What the networks that ask take over from the one that is to be trained.
SAME = ("loss", "scale", "target_scale", "device", "dtype")


@dataclass(frozen=True, slots=True)
class AskedRows:
    """The rows that are asked.

    Attributes:
        x_NC: not scaled.
        weight_N: above 0; None = all alike.
        known: the targets, read from all rows.
        seed: of the draw, and of the networks that ask.
    """

    x_NC: Array
    y: Array
    weight_N: Array | None
    known: Targets
    seed: int

    def __getitem__(self, rows: Array) -> AskedRows:
        weight = None if self.weight_N is None else self.weight_N[rows]
        return replace(self, x_NC=self.x_NC[rows], y=self.y[rows], weight_N=weight)


def bold(estimator: Any, sample: AskedRows) -> bool:
    """Is the decay `BOLD` better than `CAUTIOUS`?

    The networks that ask are of the default shape, so that the answer is the table's and not that
    of a depth, an activation or a rate under trial.
    """
    given = estimator.get_params(deep=False)
    same = {name: given[name] for name in SAME if name in given}
    one, other = ({**same, "l2": l2} for l2 in (CAUTIOUS, BOLD))
    return leads(type(estimator), one, other, sample)


def calmed(estimator: Any, settled: Settled, sample: AskedRows) -> tuple[Settled, list[Applied]]:
    """The options, with the usual rate where one far above it does worse; what was changed.

    The networks that ask are as they are to be trained.
    """
    given = estimator.get_params(deep=False)
    usual = BASE[settled.optimizing.optimizer]
    free = given["max_seconds"] is None and not callable(given["loss"])
    if settled.test_rate or settled.rate < FAST * usual or not free or settled.stop.epochs == 0:
        return settled, []
    same = {**given, "l2": settled.optimizing.l2, "epochs": settled.stop.epochs, "heal": False}
    same |= {"warm_start": False, "verbose": False}
    one, other = ({**same, "learning_rate": rate} for rate in (settled.rate, usual))
    if not leads(type(estimator), one, other, sample):
        return settled, []
    why = f"EF302: on rows held out {usual:g} predicts better than the given rate {settled.rate:g}"
    return replace(settled, rate=usual), [Applied(f"lr={usual:g}", 0, why)]


def leads(kind: Any, one: dict[str, Any], other: dict[str, Any], sample: AskedRows) -> bool:
    """Is the `other` set of parameters better, by the squared error (Brier's) on rows held out?

    `kind`: of estimator, whose parameters `one` and `other` are.
    """
    if len(sample.x_NC) < LEAST:
        return False
    draws = np.random.RandomState(sample.seed)
    sample = sample[draws.permutation(len(sample.x_NC))[:MOST]]
    cut: Any = KFold(PARTS, shuffle=True, random_state=draws)
    strata = None
    if isinstance(sample.known, Classes):
        if sample.known.kind != "one":
            return False
        strata = sample.known.encode(sample.y)
        if np.bincount(strata, minlength=sample.known.outputs).min() < PARTS:
            return False  # a class might be missing on one side
        cut = StratifiedKFold(PARTS, shuffle=True, random_state=draws)
    gained, weight = np.empty(0), np.empty(0)
    lead = error = 0.0
    for train, test in islice(cut.split(sample.x_NC, strata), TURNS):
        before, after = (
            _errors(kind(**{**given, "validation": 0.0, "random_state": sample.seed}),
                    sample[train], sample[test])
            for given in (one, other)
        )  # fmt: skip
        gained = np.append(gained, before - after)
        judges = sample[test].weight_N
        weight = np.append(weight, np.ones(len(test)) if judges is None else judges)
        lead = np.average(gained, weights=weight)
        error = np.sqrt(np.sum((weight * (gained - lead)) ** 2)) / weight.sum()
        if lead <= 0 or lead > CLEAR * error:
            break
    return bool(lead > SURE * error)


def _errors(asking: Any, train: AskedRows, test: AskedRows) -> Array:
    """Squared errors, one a row of `test`, of an estimator trained on `train`."""
    with warnings.catch_warnings():  # what they learned is told by the one they are asked for
        warnings.simplefilter("ignore", ConvergenceWarning)
        asking.fit(train.x_NC, train.y, train.weight_N)
    z = torch.from_numpy(asking._scores(test.x_NC))
    t = torch.from_numpy(np.ascontiguousarray(asking.targets_.encode(test.y)))
    found: Array = asking.targets_.loss("squared")(z, t).numpy()
    return np.nan_to_num(found, nan=GONE, posinf=GONE)
