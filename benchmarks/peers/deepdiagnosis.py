"""DeepDiagnosis (Wardat et al., ICSE 2022): absolute thresholds at the end of every epoch."""

from __future__ import annotations

import numpy as np

from evenflow.schema import Run

from .readings import activations, any_nan, checks, curve, kernels, mean_abs_gradient

CLAIMS = frozenset({"EF101", "EF103", "EF201", "EF202", "EF301", "EF302", "EF401"})


def judge(run: Run) -> set[str]:
    """Codes DeepDiagnosis' published thresholds claim.

    Vanishing: mean |gradient| of a layer < 1e-7. Dead: 70 % of an activation's elements are 0
    or below. Saturated: more than half of the pre-activations have |z| >= 5. Learning rate:
    lr |g| / |w| outside 1e-5..1e-1. Accuracy flat for 20 epochs. NaN in the loss.
    Nearest readings: the share past an asymptote (a sigmoid's |z| >= 4.6, a tanh's |z| >= 3)
    for |z| >= 5; the loss within 1 % over 20 of thirty stretches for a flat accuracy.
    """
    said: set[str] = set()
    g = mean_abs_gradient(run)
    if bool((g < 1e-7).any()):
        said.add("EF101")
    if any_nan(run):
        said.add("EF103")
    zeros, negative = activations(run, "zeros"), activations(run, "negative")
    below = negative if zeros.shape != negative.shape else zeros + np.nan_to_num(negative)
    if bool((zeros >= 0.7).any() or (below >= 0.7).any()):
        said.add("EF202")
    if bool((activations(run, "saturated") > 0.5).any()):
        said.add("EF201")
    lr = run.step("lr")
    norms, weights = kernels(run, "grad"), kernels(run, "weight")
    if lr is not None and norms.shape == weights.shape and norms.size:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = lr[checks(run)] * norms / weights
        if bool((ratio < 1e-5).any()):
            said.add("EF301")
        if bool((ratio > 1e-1).any()):
            said.add("EF302")
    loss = curve(run)
    if len(loss) == 30 and np.ptp(loss[10:]) <= 0.01 * abs(float(loss[10])):
        said.add("EF401")
    return said
