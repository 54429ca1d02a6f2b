"""Networks with default settings side by side: accuracy or R², time, and five corruptions.

    python benchmarks/fit.py tables [NAME ...]   5-fold scores, ours / scikit-learn / skorch
    python benchmarks/fit.py robust [NAME ...]   the same tables, spoilt in five ways
    python benchmarks/fit.py speed               time of an epoch at equal architecture and batch

Everything runs in one process with one thread, on the same folds. `sklearn` is MLPClassifier or
MLPRegressor as it comes; `sklearn+std` has a StandardScaler before it; `skorch` is NeuralNet
Classifier/Regressor as it comes (SGD, 10 epochs) on a two-layer module; pytabkit's RealMLP takes
part where it is installed. Results are printed and written to benchmarks/fit.json.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn import datasets as d
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from evenflow.fit import NetworkClassifier, NetworkRegressor

OUT = Path(__file__).with_suffix(".json")
Rows = tuple[np.ndarray, np.ndarray]


def _diabetes_classes() -> Rows:
    X, y = d.load_diabetes(return_X_y=True)
    return X, (y > np.median(y)).astype(int)


def _part(load: Callable[..., Rows], column: int) -> Rows:
    """A regression within a table of classes: one measured column from the others."""
    X, _ = load(return_X_y=True)
    return np.delete(X, column, 1), X[:, column]


def _linnerud(column: int) -> Rows:
    X, Y = d.load_linnerud(return_X_y=True)
    return X, Y[:, column]


#: name -> (is it of classes, rows). All real measurements that ship with scikit-learn.
TABLES: dict[str, tuple[bool, Callable[[], Rows]]] = {
    "iris": (True, lambda: d.load_iris(return_X_y=True)),
    "wine": (True, lambda: d.load_wine(return_X_y=True)),
    "breast cancer": (True, lambda: d.load_breast_cancer(return_X_y=True)),
    "digits": (True, lambda: d.load_digits(return_X_y=True)),
    "diabetes, above median": (True, _diabetes_classes),
    "digits, even or odd": (True, lambda: (d.load_digits().data, d.load_digits().target % 2)),
    "diabetes": (False, lambda: d.load_diabetes(return_X_y=True)),
    "linnerud, weight": (False, lambda: _linnerud(0)),
    "linnerud, waist": (False, lambda: _linnerud(1)),
    "iris, petal width": (False, lambda: _part(d.load_iris, 3)),
    "wine, alcohol": (False, lambda: _part(d.load_wine, 0)),
    "wine, flavanoids": (False, lambda: _part(d.load_wine, 6)),
    "cancer, worst area": (False, lambda: _part(d.load_breast_cancer, 23)),
    "cancer, smoothness": (False, lambda: _part(d.load_breast_cancer, 4)),
    "digits, how great": (False, lambda: (d.load_digits().data, d.load_digits().target * 1.0)),
}


def models(classes: bool, how: str = "", seed: int = 0) -> dict[str, Any]:
    """Every competitor, with defaults but for what a corruption changes."""
    ours: dict[str, Any] = {"random_state": seed}
    theirs: dict[str, Any] = {"random_state": seed}
    if how == "40 hidden layers":
        ours |= {"depth": 40}
        theirs |= {"hidden_layer_sizes": (100,) * 40}
    if how == "sigmoid":
        ours |= {"activation": "sigmoid"}
        theirs |= {"activation": "logistic"}
    if how == "rate x10":
        ours |= {"learning_rate": 3e-2}
        theirs |= {"learning_rate_init": 1e-2}
    sk = MLPClassifier if classes else MLPRegressor
    net = NetworkClassifier if classes else NetworkRegressor
    found = {
        "evenflow": net(**ours),
        "sklearn": sk(**theirs),
        "sklearn+std": make_pipeline(StandardScaler(), sk(**theirs)),
    }
    if not how:
        found |= {"skorch": Skorch(classes, seed)}
        try:
            from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor
        except ImportError:
            pass
        else:
            real = RealMLP_TD_Classifier if classes else RealMLP_TD_Regressor
            found["RealMLP"] = real(random_state=seed, device="cpu", n_threads=1)
    return found


class Skorch:
    """skorch with its defaults; only the module and the dtypes, which it leaves to the user."""

    def __init__(self, classes: bool, seed: int) -> None:
        self.classes, self.seed = classes, seed

    def fit(self, X: np.ndarray, y: np.ndarray) -> Skorch:
        from skorch import NeuralNetClassifier, NeuralNetRegressor

        torch.manual_seed(self.seed)
        out = len(np.unique(y)) if self.classes else 1
        module = torch.nn.Sequential(
            torch.nn.Linear(X.shape[1], 100), torch.nn.ReLU(), torch.nn.Linear(100, out)
        )
        if self.classes:
            self.net = NeuralNetClassifier(module, criterion=torch.nn.CrossEntropyLoss, verbose=0)
            self.net.fit(X.astype(np.float32), y.astype(np.int64))
        else:
            self.net = NeuralNetRegressor(module, verbose=0)
            self.net.fit(X.astype(np.float32), y.astype(np.float32)[:, None])
        return self

    def score(self, X: np.ndarray, y: np.ndarray) -> float:
        from sklearn.metrics import r2_score

        p = self.net.predict(X.astype(np.float32))
        return float((p == y).mean()) if self.classes else float(r2_score(y, np.ravel(p)))


def folds(classes: bool, X: np.ndarray, y: np.ndarray) -> list[Any]:
    kind = StratifiedKFold if classes else KFold
    return list(kind(5, shuffle=True, random_state=0).split(X, y))


def cross(model: Any, classes: bool, X: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Mean score over five folds, and seconds a fit; NaN where it raised (it diverged)."""
    began, scores = time.perf_counter(), []
    for train, test in folds(classes, X, y):
        try:
            scores.append(model.fit(X[train], y[train]).score(X[test], y[test]))
        except ValueError:
            scores.append(float("nan"))
    return float(np.mean(scores)), (time.perf_counter() - began) / 5


def tables(names: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, (classes, load) in TABLES.items():
        if names and name not in names:
            continue
        X, y = load()
        found[name] = {k: cross(m, classes, X, y) for k, m in models(classes).items()}
        _tell(name, found[name])
    ranks: dict[str, list[float]] = {}
    for row in found.values():
        for k, (score, _) in row.items():
            better = sum(s > score + 1e-9 or np.isnan(score) for s, _ in row.values())
            same = sum(abs(s - score) <= 1e-9 for s, _ in row.values())
            ranks.setdefault(k, []).append(better + (same + 1) / 2)
    print("mean rank:", ", ".join(f"{k} {np.mean(r):.2f}" for k, r in ranks.items()))
    return found


def spoilt(X: np.ndarray, how: str) -> np.ndarray:
    if how == "inputs x1e4":
        return X * 1e4
    if how == "outliers":  # 1 % of the rows: one column each at 1e6
        rng = np.random.default_rng(1)
        X = X.astype(float).copy()
        rows = rng.choice(len(X), max(1, round(0.01 * len(X))), replace=False)
        X[rows, rng.integers(X.shape[1], size=len(rows))] = 1e6
    return X


def robust(names: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in names or ["iris", "wine", "breast cancer", "digits", "diabetes"]:
        classes, load = TABLES[name]
        X, y = load()
        for how in ("", "inputs x1e4", "outliers", "40 hidden layers", "sigmoid", "rate x10"):
            chosen = models(classes, how or "clean")
            row = {k: cross(m, classes, spoilt(X, how), y) for k, m in chosen.items()}
            found[f"{name}: {how or 'clean'}"] = row
            _tell(f"{name}: {how or 'clean'}", row)
    return found


def speed() -> dict[str, Any]:
    """Milliseconds an epoch on digits: one hidden ReLU layer, batch 200, Adam; float64 rows given.

    An epoch is the difference between fits of 5 and of 25 epochs: setting up is left out.
    """
    X, y = d.load_digits(return_X_y=True)
    X = X / 16
    found = {}
    for width in (100, 512, 1024):
        same = {"learning_rate_init": 1e-3, "batch_size": 200, "tol": 0.0, "random_state": 0}
        makers: dict[str, Callable[[int], Any]] = {
            "evenflow": lambda n, w=width: NetworkClassifier(
                hidden=(w,), activation="relu", optimizer="adam", learning_rate=1e-3, l2=1e-4,
                batch_size=200, validation=0.0, patience=None, epochs=n, random_state=0,
            ),
            "sklearn": lambda n, w=width, s=same: MLPClassifier((w,), max_iter=n, **s),
        }  # fmt: skip
        best = dict.fromkeys(makers, np.inf)
        for _ in range(5):  # in turn, so that both meet the same load
            for k, make in makers.items():
                took = []
                for n in (5, 25):
                    began = time.perf_counter()
                    make(n).fit(X, y)
                    took.append(time.perf_counter() - began)
                best[k] = min(best[k], (took[1] - took[0]) / 20 * 1e3)
        found[str(width)] = best
        print(
            f"width {width}: evenflow {best['evenflow']:.2f} ms, sklearn {best['sklearn']:.2f} ms "
            f"an epoch, ratio {best['evenflow'] / best['sklearn']:.2f}",
            flush=True,
        )
    return found


def _tell(name: str, row: dict[str, tuple[float, float]]) -> None:
    told = "  ".join(f"{k} {score:.3f} ({seconds:.2f} s)" for k, (score, seconds) in row.items())
    print(f"{name:28s} {told}", flush=True)


def main() -> None:
    warnings.simplefilter("ignore")  # theirs say at every fit that it did not converge
    torch.set_num_threads(1)
    what, names = (sys.argv[1:2] or ["tables"])[0], sys.argv[2:]
    result = {"tables": tables, "robust": robust, "speed": lambda _: speed()}[what](names)
    kept = json.loads(OUT.read_text()) if OUT.exists() else {}
    kept[what] = kept.get(what, {}) | result
    OUT.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
