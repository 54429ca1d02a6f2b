"""Amazon SageMaker Debugger's built-in rules with their default parameters."""

from __future__ import annotations

import numpy as np

from evenflow.schema import Run

from .readings import activations, checks, kernels, mean_abs_gradient

CLAIMS = frozenset({"EF101", "EF201", "EF202", "EF301", "EF302"})


def judge(run: Run) -> set[str]:
    """Codes the built-in rules claim by default.

    VanishingGradient: mean |gradient| < 1e-7. DeadRelu: more than half of a layer's units
    active less than 1 % of the time. Saturated tanh: input beyond +-9.4999. WeightUpdateRatio:
    above 10 or below 1e-8.
    Nearest readings: the share of units no gradient reached, for units active less than 1 %; a
    pre-activation whose root mean square is past 9.4999, for the share of tanh inputs beyond it.
    PoorWeightInitialization speaks of the start, which no code judged here stands for.
    """
    said: set[str] = set()
    if bool((mean_abs_gradient(run) < 1e-7).any()):
        said.add("EF101")
    if bool((activations(run, "dead") > 0.5).any()):
        said.add("EF202")
    at = checks(run)
    for site in run.sites:
        if site.op == "tanh" and site.inputs:
            column = run.site(site.inputs[0], "rms")
            if column is not None and bool((column[at] > 9.4999).any()):
                said.add("EF201")
    update, weight = kernels(run, "update"), kernels(run, "weight")
    if update.shape == weight.shape and update.size:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = update / weight
        if bool((ratio > 10).any()):
            said.add("EF302")
        if bool((ratio < 1e-8).any()):
            said.add("EF301")
    return said
