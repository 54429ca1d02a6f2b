"""Figures of each layer that every view shows. T sampled steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from ..faults import View
from ..lang import _
from ..schema import Finding, Run, Site

Floats = npt.NDArray[np.float64]


def latest(column: Floats | None) -> float:
    """The last value that was measured; NaN if none was."""
    if column is None:
        return float("nan")
    known = np.flatnonzero(~np.isnan(column))
    return float(column[known[-1]]) if len(known) else float("nan")


#: Metrics that a NaN or infinity spoils, and the one that counts these.
SPOILT = {"rms": "nonfinite", "delta": "delta_nonfinite"}


def now(run: Run, site: int, metric: str) -> float:
    """A site's last measured value; NaN if none was, infinite if it last held NaN or infinity."""
    if metric in SPOILT and latest(run.site(site, SPOILT[metric])) > 0:
        return float("inf")
    return latest(run.site(site, metric))


def relative_updates(run: Run) -> dict[int, Floats]:
    """[T] of |w_after - w| / |w| over all parameters of a site, for each site that has some.

    Steps of an optimizer that does not hold a parameter (the other half of a GAN) are NaN, as are
    steps at which all weights are zero.
    """
    view = View(run)
    update, weight = view.param("update"), view.param("weight")
    by_name: dict[str, list[int]] = {}
    for p in run.params:
        if run.param(p.id, "update") is not None and run.param(p.id, "weight") is not None:
            by_name.setdefault(p.name, []).append(p.id)
    out: dict[int, Floats] = {}
    for site in run.sites:
        if ids := [i for name in site.params for i in by_name.get(name, ())]:
            with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
                moved, size = (np.sqrt((m[:, ids] ** 2).sum(axis=1)) for m in (update, weight))
                out[site.id] = np.where(size > 0, moved / size, np.nan)
    return out


def learning(run: Run) -> list[Site]:
    """Sites an error reached at any sampled step, in forward order."""
    return [s for s in run.sites if s.kind != "input" and _any(run.site(s.id, "delta"))]


def _any(column: Floats | None) -> bool:
    return column is not None and bool((~np.isnan(column)).any())


def chosen(ids: Sequence[int], named: Iterable[int], most: int) -> list[int]:
    """At most `most` of `ids`, in order: those findings name first, the rest evenly spaced."""
    if len(ids) <= most:
        return list(ids)
    known = set(ids)
    kept = set([i for i in dict.fromkeys(named) if i in known][: most // 2])
    rest = [i for i in ids if i not in kept]
    places = np.linspace(0, len(rest) - 1, most - len(kept)).round().astype(int)
    return sorted(kept | {rest[place] for place in places})


def named_sites(findings: Sequence[Finding]) -> list[int]:
    """Sites that findings speak of, worst finding first."""
    worst = sorted(findings, key=lambda f: -f.severity)
    return list(dict.fromkeys(site for finding in worst for site in finding.sites))


def untrained(run: Run) -> list[tuple[str, str, str]]:
    """Parameters that do not learn: (name, shape, why)."""
    out = []
    for param in run.params:
        gradient = run.param(param.id, "grad")
        if not param.trainable:
            why = _("frozen (requires_grad is False)")
        elif param.optimizer < 0 and run.meta.get("optimizers"):
            why = _("in no optimizer")
        elif len(run.steps) and not _any(gradient):
            why = _("no gradient reached it at any sampled step")
        else:
            continue
        out.append((param.name, " × ".join(map(str, param.shape)) or _("scalar"), why))
    return out


def cost(run: Run) -> float | None:
    """Share of training time that watching took, as the run itself measured; None if unknown.

    What was spent over what the training itself took, as told when the watch ended. A run that is
    not over tells both at its latest sample; of the steps since, the bare time is added.
    """
    own, rest = run.meta.get("spent"), run.meta.get("trained")
    if isinstance(own, (int, float)) and isinstance(rest, (int, float)) and rest > 0:
        return float(own / rest)
    spent, trained, bare = run.step("spent"), run.step("trained"), run.step("bare")
    if spent is None or trained is None or bare is None:
        return None
    last = int(run.curve_steps[-1]) if len(run.curve_steps) else 0
    whole = float(trained[-1]) + max(0, last - int(run.steps[-1])) * float(bare[-1])
    return float(spent[-1]) / whole if whole > 0 else None
