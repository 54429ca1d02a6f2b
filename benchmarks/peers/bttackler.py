"""BTTackler (KDD 2024): diagnosis that ends hopeless trials of a search early."""

from __future__ import annotations

import numpy as np

from evenflow.schema import Run

from .readings import any_nan, kernels, mean_abs_gradient

CLAIMS = frozenset({"EF101", "EF102", "EF202"})


def judge(run: Run) -> set[str]:
    """Codes BTTackler's published thresholds claim.

    Vanishing: the median over layers of mean |gradient| < 1e-5. Exploding: > 1e4 (or NaN).
    Dead: rate of zero gradients > .5.
    Nearest readings: the mean over kernels of the share of zero entries, for the rate.
    """
    said: set[str] = set()
    g = mean_abs_gradient(run)
    if not g.size:
        return said
    finite = np.where(np.isfinite(g), g, np.nan)
    seen = finite[:, ~np.isnan(finite).all(0)]
    if seen.size:
        median = np.nanmedian(seen, axis=0)
        if bool((median < 1e-5).any()):
            said.add("EF101")
        if bool((median > 1e4).any()):
            said.add("EF102")
    if any_nan(run):
        said.add("EF102")
    zeros = kernels(run, "grad_zeros")
    known = zeros[:, ~np.isnan(zeros).all(0)] if zeros.size else zeros
    if known.size and bool((np.nanmean(known, axis=0) > 0.5).any()):
        said.add("EF202")
    return said
