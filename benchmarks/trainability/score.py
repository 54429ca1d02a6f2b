"""How well preflight foretells which networks learn, and how its thresholds were fitted.

    python benchmarks/trainability/score.py [--again]

For each network of `table.csv` the parts of preflight's strain (`evenflow.faults.birth`) are read
off one pass before the first step, and kept in `features.csv` (`--again` reads them anew). The
four scales and the slope of the chance are fitted on the calibration half (even indices) by
maximum likelihood; what is printed for the report half (odd indices) is that of the score with
the constants that preflight uses. A network learns from an accuracy of .8 on, fails up to .4;
those between are left out, as the issue has it.

Exit status 1 when a bar is missed: AUC .97 on the report half, .9 on those of it whose δ at the
first layer is within a decade of δ at the last.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from generated import BATCH, Spec, build, digits, specs
from scipy.optimize import minimize
from sklearn.metrics import roc_auc_score

from evenflow.faults import View
from evenflow.faults.birth import ABOVE, GROWN, LOST, ROUGH, SLOPE, Birth

HERE = Path(__file__).parent
TABLE, FEATURES = HERE / "table.csv", HERE / "features.csv"
LEARNS, FAILS = 0.8, 0.4
BARS = {"all": 0.97, "near": 0.9}
#: Raw parts at the last level, in decades; see `Birth`.
FIELDS = ("index", "ratio", "lost", "alike", "format", "chaos", "grown")
Floats = npt.NDArray[np.float64]


class Rows(NamedTuple):
    """[N] networks: number, accuracy reached, log10 δ first/last layer, parts of the strain."""

    index: npt.NDArray[np.int64]
    accuracy: Floats
    ratio: Floats
    parts: dict[str, Floats]

    @property
    def chance(self) -> Floats:
        """[N] what preflight says (a test holds the two against each other)."""
        worst = strain(self.parts, np.array([LOST, ABOVE, ROUGH, GROWN]))
        return np.asarray(1 / (1 + np.exp(np.clip(SLOPE * (worst - 1), -30, 30))))

    def where(self, keep: npt.NDArray[np.bool_]) -> Rows:
        """Those to keep."""
        parts = {k: v[keep] for k, v in self.parts.items()}
        return Rows(self.index[keep], self.accuracy[keep], self.ratio[keep], parts)


def read(spec: Spec) -> dict[str, float]:
    """One pass through the network that `table.py` trained, on its first 64 training samples."""
    from evenflow import preflight

    forecast = preflight(build(spec), digits()[0][:BATCH], advise=False)
    b = Birth(View(forecast.run))
    first, last = b.levels[0][0], b.levels[-1][0]
    return {
        "index": spec.index,
        "ratio": forecast.outlooks[first].log10_delta - forecast.outlooks[last].log10_delta,
        "lost": b.lost[-1] * LOST,
        "alike": b.alike[-1] * (b.format[-1] - ABOVE),
        "format": float(b.format[-1]),
        "chaos": float(np.nan_to_num(b.chaos[-1])) * ROUGH,
        "grown": max(0.0, float(np.nan_to_num(b.size[-1]))),
    }


def rows(again: bool) -> Rows:
    """All networks of the table."""
    with TABLE.open() as file:
        truth = {int(r["index"]): float(r["accuracy"]) for r in csv.DictReader(file)}
    there: dict[int, dict[str, float]] = {}
    if FEATURES.exists() and not again:
        with FEATURES.open() as file:
            there = {int(r["index"]): {k: float(v) for k, v in r.items()}
                     for r in csv.DictReader(file)}  # fmt: skip
    missing = [s for s in specs(max(truth) + 1) if s.index in truth and s.index not in there]
    for spec in missing:
        there[spec.index] = read(spec)
    if missing:
        with FEATURES.open("w") as file:
            file.write(",".join(FIELDS) + "\n")
            for i in sorted(there):
                file.write(f"{i}," + ",".join(f"{there[i][k]:.6g}" for k in FIELDS[1:]) + "\n")
    order = sorted(truth)
    column = {k: np.array([there[i][k] for i in order]) for k in FIELDS}
    parts = {k: column[k] for k in ("lost", "alike", "format", "chaos", "grown")}
    reached = np.array([truth[i] for i in order])
    return Rows(np.array(order), reached, column["ratio"], parts)


def strain(parts: dict[str, Floats], scales: Floats) -> Floats:
    """[N] the largest part, in units of its scale: `Birth.worst` with other constants.

    scales: [4] decades of gradient lost, of 1 - c kept above rounding, of chaos, of growth.
    """
    lost, above, rough, grown = scales
    each = (
        parts["lost"] / lost,
        parts["alike"] / (parts["format"] - above),
        parts["chaos"] / rough + parts["grown"] / grown,
    )
    return np.asarray(np.max(np.nan_to_num(each, nan=0.0, posinf=1e6), axis=0))


def fit(half: Rows, slope: float) -> Floats:
    """[4] the scales under which the chance 1 / (1 + exp(slope (strain - 1))) is most likely."""
    learns = half.accuracy >= LEARNS

    def cost(log_scales: Floats) -> float:
        margin = slope * (1 - strain(half.parts, np.exp(log_scales)))
        return float(np.logaddexp(0, np.where(learns, -margin, margin)).mean())

    best = min(
        (
            minimize(cost, np.log(start), method="Nelder-Mead", options={"maxiter": 4000})
            for start in ((8.0, 1.0, 3.0, 10.0), (5.0, 0.5, 5.0, 6.0), (12.0, 2.0, 2.0, 20.0))
        ),
        key=lambda found: found.fun,
    )
    return np.asarray(np.exp(best.x))


def auc(some: Rows) -> float:
    """Of preflight's own chance, over networks that learn or fail; NaN where all are alike."""
    learns = some.accuracy >= LEARNS
    return float(roc_auc_score(learns, some.chance)) if 0 < learns.sum() < len(learns) else np.nan


def main() -> int:
    """Print the fit and the figures of both halves."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--again", action="store_true", help="read all features anew")
    parser.add_argument("--fit-only", action="store_true", help="leave the report half unread")
    asked = parser.parse_args()
    every = rows(asked.again)
    clear = every.where((every.accuracy >= LEARNS) | (every.accuracy <= FAILS))
    share = {
        "learn": np.mean(every.accuracy >= LEARNS), "fail": np.mean(every.accuracy <= FAILS)
    }  # fmt: skip
    print(f"{len(every.index)} networks: " + ", ".join(f"{v:.0%} {k}" for k, v in share.items()))
    half = clear.where(clear.index % 2 == 0)
    used = np.array([LOST, ABOVE, ROUGH, GROWN])
    fitted = fit(half, SLOPE)
    print(f"scales, most likely on the calibration half ({len(half.index)} networks):")
    for name, scale, ours in zip(("LOST", "ABOVE", "ROUGH", "GROWN"), fitted, used, strict=True):
        print(f"  {name:6} {scale:6.2f}   preflight's {ours:g}")
    missed = False
    for name, odd in (("calibration", 0), ("report", 1)):
        if odd and asked.fit_only:
            break
        for which, bar in BARS.items():
            some = clear.where(
                (clear.index % 2 == odd) & ((which == "all") | (abs(clear.ratio) <= 1))
            )
            learns = some.accuracy >= LEARNS
            reached = auc(some)
            wrong = int((some.chance[learns] < 0.5).sum()), int((some.chance[~learns] >= 0.5).sum())
            print(
                f"{name:12}{which:5} {learns.sum():3d} learn, {(~learns).sum():3d} fail: "
                f"AUC {reached:.4f}; learn but called sick {wrong[0]}, fail but not {wrong[1]}"
            )
            missed |= bool(odd) and not reached >= bar
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
