"""What the peers' rules read, from a run: gradients by layer at evenly spaced checks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from evenflow.schema import Run

Floats = npt.NDArray[np.float64]

#: The tools check once an epoch or so; a run of the zoo gets as many checks as it has tenths.
CHECKS = 10


def checks(run: Run) -> npt.NDArray[np.intp]:
    """Positions in `run.steps` nearest to the ends of the run's tenths; empty for an empty run."""
    if len(run.steps) == 0:
        return np.array([], dtype=np.intp)
    marks = np.linspace(0, run.steps[-1], CHECKS + 1)[1:]
    near = np.abs(run.steps[None, :] - marks[:, None]).argmin(1)
    return np.unique(near)


def kernels(run: Run, metric: str) -> Floats:
    """[layers, checks] of a metric over weights with two axes or more, in forward order.

    Layers whose gradient was never measured are left out.
    """
    at = checks(run)
    order: list[str] = []
    for site in run.sites:
        order += [p for p in site.params if p not in order]
    rank = {name: i for i, name in enumerate(order)}
    rows = []
    for p in sorted(run.params, key=lambda p: rank.get(p.name, len(rank) + p.id)):
        column = run.param(p.id, metric)
        if len(p.shape) >= 2 and column is not None and not np.isnan(column[at]).all():
            rows.append(column[at])
    return np.array(rows) if rows else np.empty((0, len(at)))


def mean_abs_gradient(run: Run) -> Floats:
    """[layers, checks]: .8 of the root mean square, as for normally spread gradients.

    The tape keeps 2-norms; for sparse gradients the true mean is smaller still.
    """
    at = checks(run)
    rows = []
    for p in run.params:
        column = run.param(p.id, "grad")
        if len(p.shape) >= 2 and column is not None:
            rows.append(0.8 * column[at] / np.sqrt(p.size))
    return np.array(rows) if rows else np.empty((0, len(at)))


def activations(run: Run, metric: str) -> Floats:
    """[activation sites, checks] of a site metric; sites without it are left out."""
    at = checks(run)
    rows = []
    for site in run.sites:
        column = run.site(site.id, metric)
        if site.kind == "activation" and column is not None:
            rows.append(column[at])
    return np.array(rows) if rows else np.empty((0, len(at)))


def curve(run: Run) -> Floats:
    """The loss as means over thirty stretches ("epochs") of the run; fewer for a short run."""
    loss = run.curve_loss[np.isfinite(run.curve_loss)]
    return np.array([part.mean() for part in np.array_split(loss, 30) if len(part)])


def any_nan(run: Run) -> bool:
    """Was a loss or a gradient norm ever NaN or infinite?"""
    norm = run.step("grad_norm")
    lost = len(run.curve_loss) > 0 and not np.isfinite(run.curve_loss).all()
    bad = any(
        (c := run.param(p.id, "grad_absmax")) is not None and bool(np.isinf(c).any())
        for p in run.params
    )
    return lost or bad or (norm is not None and bool(np.isinf(norm).any()))
