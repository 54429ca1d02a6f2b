"""AutoTrainer (Zhang et al., ICSE 2021; TDSC 2024): ratios of first to last gradient."""

from __future__ import annotations

import numpy as np

from evenflow.schema import Run

from .readings import any_nan, curve, kernels

CLAIMS = frozenset({"EF101", "EF102", "EF202", "EF403", "EF404"})


def judge(run: Run) -> set[str]:
    """Codes AutoTrainer's published thresholds claim.

    g is the Frobenius norm of each kernel's gradient at a check. Vanishing: g1/gL < 1e-3 and
    g1 < 1e-4. Exploding: g1/gL > 70, or NaN. Dying ReLU: 70 % of all gradient entries are 0.
    Oscillation: the accuracy moves by .03 or more in a fifth of the epochs. Slow: it gains less
    than .01. Gradient verdicts only while the accuracy is .7 or less, or slow.
    Nearest readings: the tape sees no accuracy; exp(-loss), the likelihood of the right class
    of a cross entropy, stands in for it, over thirty stretches of the run as epochs.
    """
    said: set[str] = set()
    likelihood = np.exp(-np.clip(curve(run), 0, 50))
    if len(likelihood) < 3:
        return {"EF102"} if any_nan(run) else said
    gains = np.diff(likelihood)
    slow = bool(likelihood.max() - likelihood[0] < 0.01)
    turns = (np.sign(gains[1:]) != np.sign(gains[:-1])) & (np.abs(gains[1:]) >= 0.03)
    if turns.mean() >= 0.2:
        said.add("EF403")
    if slow:
        said.add("EF404")
    g = kernels(run, "grad")
    if any_nan(run):
        said.add("EF102")
    if not (slow or likelihood[-1] <= 0.7) or len(g) < 2:
        return said
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = g[0] / g[-1]
    if bool(((ratio < 1e-3) & (g[0] < 1e-4)).any()):
        said.add("EF101")
    if bool((ratio > 70).any()):
        said.add("EF102")
    zeros, sizes = [], []
    for p in run.params:
        column = run.param(p.id, "grad_zeros")
        if column is not None and np.isfinite(column).any():
            zeros.append(float(np.nanmean(column)) * p.size)
            sizes.append(p.size)
    if sizes and sum(zeros) / sum(sizes) >= 0.7:
        said.add("EF202")
    return said
