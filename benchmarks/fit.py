"""Networks with default settings side by side: accuracy or R², time, and five corruptions.

    python benchmarks/fit.py tables [NAME ...]   5-fold scores on the report tables
    python benchmarks/fit.py robust [NAME ...]   the same tables, spoilt in five ways
    python benchmarks/fit.py speed               an epoch's time at equal architecture and batch
    python benchmarks/fit.py ranks               what is written so far: mean ranks, points lost

Options: --calibration takes the tables that defaults were chosen on instead (`fit_tables.py` lists
both); --realmlp runs pytabkit's RealMLP-TD alone, into the same file; --out FILE. `robust` takes
its clean scores from a `tables` run in the file, where there is one. Everything runs in one process
with one thread, on the same folds, and on the same numbers: missing values at the median with a
mark, categories one-hot, learned on each fold's training rows. Each result is written as it comes.

`sklearn` is MLPClassifier or MLPRegressor as it comes; `sklearn+std` has a StandardScaler before
it, and around the target of a regression; `skorch` is NeuralNetClassifier/Regressor as it comes
(SGD, 10 epochs) on a module of two layers.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from sklearn import datasets
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from evenflow.fit import NetworkClassifier, NetworkRegressor
from evenflow.fit.weighing import prepared
from fit_tables import CALIBRATION, REPORT, Source

SPOILT = ("inputs x1e4", "outliers", "40 hidden layers", "sigmoid", "rate x10")
#: Points of accuracy or R² that a corruption may cost.
NEAR = 2.0
#: Mean ranks are among these; RealMLP is reported beside.
RANKED = ("evenflow", "sklearn", "sklearn+std", "skorch")
Fold = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def models(classes: bool, how: str, realmlp: bool, seed: int = 0) -> dict[str, Callable[[], Any]]:
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
    sk = partial(MLPClassifier if classes else MLPRegressor, **theirs)

    def standard() -> Any:
        piped = make_pipeline(StandardScaler(), sk())
        return piped if classes else TransformedTargetRegressor(piped, transformer=StandardScaler())

    found: dict[str, Callable[[], Any]] = {
        "evenflow": partial(NetworkClassifier if classes else NetworkRegressor, **ours),
        "sklearn": sk,
        "sklearn+std": standard,
    }
    if not how:
        found["skorch"] = partial(Skorch, classes, seed)
        if realmlp:
            from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

            real = RealMLP_TD_Classifier if classes else RealMLP_TD_Regressor
            found = {"RealMLP": partial(real, random_state=seed, device="cpu", n_threads=1)}
    return found


class Skorch:
    """skorch with its defaults; only the module and the dtypes, which it leaves to the user."""

    def __init__(self, classes: bool, seed: int) -> None:
        self.classes, self.seed = classes, seed

    def fit(self, X: np.ndarray, y: np.ndarray) -> Skorch:
        from skorch import NeuralNetClassifier, NeuralNetRegressor

        torch.manual_seed(self.seed)
        known, places = np.unique(y, return_inverse=True) if self.classes else (np.zeros(1), y)
        module = torch.nn.Sequential(
            torch.nn.Linear(X.shape[1], 100), torch.nn.ReLU(), torch.nn.Linear(100, len(known))
        )
        self.known, rows = known, X.astype(np.float32)
        if self.classes:
            self.net = NeuralNetClassifier(module, criterion=torch.nn.CrossEntropyLoss, verbose=0)
            self.net.fit(rows, places.astype(np.int64))
        else:
            self.net = NeuralNetRegressor(module, verbose=0)
            self.net.fit(rows, places.astype(np.float32)[:, None])
        return self

    def score(self, X: np.ndarray, y: np.ndarray) -> float:
        from sklearn.metrics import r2_score

        p = self.net.predict(X.astype(np.float32))
        return float((self.known[p] == y).mean()) if self.classes else float(r2_score(y, p[:, 0]))


def folds(source: Source, how: str = "") -> Iterator[Fold]:
    """X and y of training, X and y of test, five times; all numbers."""
    table = source.rows()
    frame, y = table.X, table.y
    kind = StratifiedKFold if source.classes else KFold
    for train, test in kind(5, shuffle=True, random_state=0).split(frame, y):
        made = prepared(frame.iloc[train], table.columns, y[train], table.task, 0)
        X = [made.transform(frame.iloc[rows])[0] for rows in (train, test)]
        spoilt_X = spoilt(np.concatenate(X).astype(float), how)
        yield spoilt_X[: len(train)], y[train], spoilt_X[len(train) :], y[test]


def spoilt(X: np.ndarray, how: str) -> np.ndarray:
    if how == "inputs x1e4":
        return X * 1e4
    if how == "outliers":  # 1 % of the rows: one column each at 1e6
        rng = np.random.default_rng(1)
        rows = rng.choice(len(X), max(1, round(0.01 * len(X))), replace=False)
        X[rows, rng.integers(X.shape[1], size=len(rows))] = 1e6
    return X


def scored(make: Callable[[], Any], cut: list[Fold]) -> dict[str, Any]:
    """Scores of the folds, NaN where it raised (it diverged), and processor seconds a fit."""
    scores, took = [], []
    for X, y, X_test, y_test in cut:
        began = time.process_time()  # a busy or paused machine does not count
        try:
            model = make().fit(X, y)
            took.append(time.process_time() - began)
            scores.append(float(model.score(X_test, y_test)))
        except ValueError:
            scores.append(float("nan"))
    return {
        "score": float(np.mean(scores)),
        "seconds": float(np.mean(took)) if took else float("nan"),
        "folds": scores,
    }


class Kept:
    """Results as nested dicts in one JSON file, written after each; two runs may share it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def all(self) -> dict[str, Any]:
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def __call__(self, verb: str, row: str, column: str, value: Any) -> None:
        known = self.all
        known.setdefault(verb, {}).setdefault(row, {})[column] = value
        self.path.write_text(json.dumps(known, indent=1) + "\n")


def compare(kept: Kept, verb: str, known: dict[str, Source], names: list[str], real: bool) -> None:
    """Score every competitor on every table asked for, under every corruption of the verb."""
    for name in names or known:
        for how in ("",) if verb == "tables" else ("", *SPOILT):
            cut = list(folds(known[name], how))
            n, c = len(cut[0][0]) + len(cut[0][2]), cut[0][0].shape[1]
            row = f"{name}: {how or 'clean'}" if verb == "robust" else name
            print(f"{row} [{n} x {c}]", end="", flush=True)
            found = models(known[name].classes, how or ("" if verb == "tables" else "clean"), real)
            for column, make in found.items():
                known_clean = None
                if verb == "robust" and not how:
                    known_clean = kept.all.get("tables", {}).get(name, {}).get(column)
                value = known_clean or scored(make, cut)
                kept(verb, row, column, value)
                print(
                    f"  {column} {value['score']:.4f} ({value['seconds']:.1f} s)",
                    end="",
                    flush=True,
                )
            print()


def ranks(kept: Kept) -> None:
    """Mean rank over the tables that all competitors have been scored on; equal scores share."""
    table = kept.all.get("tables", {})
    for among in (RANKED, (*RANKED, "RealMLP")):
        rows = [
            [r[k]["score"] for k in among] for r in table.values() if all(k in r for k in among)
        ]
        if not rows:
            continue
        scores = np.nan_to_num(np.round(rows, 9), nan=-np.inf)
        mean = rankdata(-scores, axis=1).mean(0)
        told = ", ".join(f"{k} {r:.2f}" for k, r in zip(among, mean, strict=True))
        print(f"mean rank on {len(rows)} tables: {told}")


def lost(kept: Kept) -> None:
    """Points (hundredths of accuracy or R²) that each corruption costs each competitor.

    A fold's own clean score is the measure; a fold that raised or fell below R² -1 counts as -1.
    Told are the largest mean loss over five folds with its standard error, and on how many tables
    the mean loss is within `NEAR` points.
    """
    table = kept.all.get("robust", {})
    for how in SPOILT:
        names = [n[: -len(": clean")] for n in table if n.endswith(": clean")]
        names = [n for n in names if f"{n}: {how}" in table]
        for k in dict.fromkeys(k for n in names for k in table[f"{n}: {how}"]):
            seen = []
            for n in names:
                clean, now = (table[f"{n}: {what}"].get(k) for what in ("clean", how))
                if clean and now:
                    before, after = (
                        np.maximum(np.nan_to_num(r["folds"], nan=-1.0), -1.0) for r in (clean, now)
                    )
                    points = 100 * (before - after)
                    error = float(points.std(ddof=1) / np.sqrt(len(points)))
                    seen.append((float(points.mean()), error, n))
            worst, error, name = max(seen)
            near = sum(points <= NEAR for points, _, _ in seen)
            print(
                f"{how}: {k} within {NEAR:g} points on {near} of {len(seen)} tables; "
                f"at most {worst:.1f} ± {error:.1f} lost ({name})"
            )


def speed(kept: Kept) -> None:
    """Milliseconds an epoch on digits: one hidden ReLU layer, batch 200, Adam; float64 rows given.

    An epoch is the difference between fits of 5 and of 45 epochs: setting up is left out. `loader`
    and `compiled` are the same training written plainly: a DataLoader with `Optimizer.step()`, and
    tensors sliced as ours, the network under `torch.compile`.
    """
    X, y = datasets.load_digits(return_X_y=True)
    X = X / 16
    for width in (100, 512, 1024):
        same = {"learning_rate_init": 1e-3, "batch_size": 200, "tol": 0.0, "random_state": 0}
        makers: dict[str, Callable[[int], Any]] = {
            "evenflow": lambda n, w=width: NetworkClassifier(
                hidden=(w,), activation="relu", optimizer="adam", learning_rate=1e-3, l2=1e-4,
                batch_size=200, validation=0.0, patience=None, epochs=n, random_state=0,
            ).fit(X, y),
            "sklearn": lambda n, w=width, s=same: MLPClassifier((w,), max_iter=n, **s).fit(X, y),
            "loader": lambda n, w=width: plainly(X, y, w, n, "loader"),
            "compiled": lambda n, w=width: plainly(X, y, w, n, "compiled"),
        }  # fmt: skip
        for make in makers.values():  # torch.compile compiles here, not in what is timed
            make(1)
        best = dict.fromkeys(makers, np.inf)
        for _ in range(5):  # in turn, so that all meet the same load
            for k, make in makers.items():
                took = []
                for n in (5, 45):
                    began = time.perf_counter()
                    make(n)
                    took.append(time.perf_counter() - began)
                best[k] = min(best[k], (took[1] - took[0]) / 40 * 1e3)
        told = ", ".join(f"{k} {v:.2f} ms" for k, v in best.items())
        ratio = best["evenflow"] / best["sklearn"]
        print(f"width {width}: {told}; evenflow/sklearn {ratio:.2f}", flush=True)
        for k, v in best.items():
            kept("speed", str(width), k, v)


_compiled: dict[int, Any] = {}


def plainly(X: np.ndarray, y: np.ndarray, width: int, epochs: int, how: str) -> None:
    x, t = torch.from_numpy(X).float(), torch.from_numpy(y)
    net = torch.nn.Sequential(
        torch.nn.Linear(X.shape[1], width), torch.nn.ReLU(), torch.nn.Linear(width, 10)
    )
    run: Any = net
    if how == "compiled":  # compiled once a width: what a long training would amortise
        net, run = _compiled.setdefault(width, (net, torch.compile(net, dynamic=False)))
    step = torch.optim.Adam(net.parameters(), 1e-3, weight_decay=1e-4, fused=True)
    rows = torch.utils.data.TensorDataset(x, t)
    loader = torch.utils.data.DataLoader(rows, batch_size=200, shuffle=True)
    for _ in range(epochs):
        order = torch.randperm(len(x))
        parts = zip(x[order].split(200), t[order].split(200), strict=True)
        for xb, tb in loader if how == "loader" else parts:
            step.zero_grad()
            torch.nn.functional.cross_entropy(run(xb), tb).backward()
            step.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("verb", choices=("tables", "robust", "speed", "ranks"))
    parser.add_argument("names", nargs="*")
    parser.add_argument("--calibration", action="store_true")
    parser.add_argument("--realmlp", action="store_true")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_intermixed_args()  # names may stand after options, too
    known = CALIBRATION if given.calibration else REPORT
    if strange := [name for name in given.names if name not in known]:
        parser.error(f"no table {strange[0]!r}; there are {', '.join(known)}.")
    warnings.simplefilter("ignore")  # theirs say at every fit that it did not converge
    torch.set_num_threads(1)
    kept = Kept(given.out)
    if given.verb == "speed":
        speed(kept)
    elif given.verb != "ranks":
        compare(kept, given.verb, known, given.names, given.realmlp)
    ranks(kept)
    lost(kept)


if __name__ == "__main__":
    main()
