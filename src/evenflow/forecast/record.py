"""What a forecast is: frozen records that one pass and static theory both give. No torch."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..lazy import shown_by
from ..report import finite
from ..schema import Finding, Reading, Run, Site, verdict


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is foreseen at one site. NaN where it was not foreseen (never filled in).

    Attributes:
        site: the site; its id is its place in `Forecast.run.sites`.
        log10_delta: log10 of rms δ here over rms δ at the anchor (the last layer with
            weights, where it is 0). -inf where δ is exactly zero.
        log10_q: log10 of E x², x the site's output, over samples and units.
        one_minus_c: 1 - c, how far two samples' outputs differ (0 alike, 1 unrelated).
        saturated: share of elements past an asymptote (activations).
        dead: share of units that no gradient reached (activations).
        error_bar: one standard deviation of `log10_delta` in decades, from finite width.
    """

    site: Site
    log10_delta: float
    log10_q: float = math.nan
    one_minus_c: float = math.nan
    saturated: float = math.nan
    dead: float = math.nan
    error_bar: float = math.nan

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types: None where not foreseen, "-Infinity" where δ is exactly zero."""
        numbers = {f.name: _plain(getattr(self, f.name)) for f in fields(self)[1:]}
        return {"site": self.site.name, **numbers}


@dataclass(frozen=True, slots=True)
class Advice:
    """One change at the start, and what a trial of it foresaw.

    Attributes:
        change: a treatment's text ("init=orthogonal"), as `treat_` and `evenflow cure` take it.
        text: what to do, in words.
        chance: `Forecast.chance` with the change made, measured on a treated copy; NaN if it
            cannot be foreseen (`text` says so).
        trainable_depth: of the changed copy; None if not tried.
    """

    change: str
    text: str
    chance: float = math.nan
    trainable_depth: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**asdict(self), "chance": _plain(self.chance)}


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is foreseen of a network before its first step.

    Attributes:
        name: of the model.
        method: "one-pass" or "static".
        run: the readings as a run of one step with source="predicted": what rules judged.
        reading: the same readings as the tape's record.
        outlooks: one for each site of `run.sites`, in the same order.
        findings: what rules say of `run`, worst first, with messages.
        depth: layers with weights on the longest path from the data to the output.
        trainable_depth: through how many of these, counted from the output, signals survive
            (equal to `depth` where all is well); None where the network has no layers.
        chance: calibrated chance, 0 to 1, that it learns as it stands with a well-chosen rate
            (`benchmarks/trainability`); NaN where it cannot be told.
        advice: changes that would make it trainable, best first; empty where all is well.

    >>> import torch, evenflow
    >>> forecast = evenflow.preflight(torch.nn.Linear(2, 1), (8, 2))
    >>> told = forecast.to_json()
    >>> told["model"], told["verdict"], [site["site"] for site in told["sites"]]
    ('Linear', 'healthy', ['Linear input', 'Linear linear'])
    """

    name: str
    method: str
    run: Run
    reading: Reading
    outlooks: tuple[Outlook, ...]
    findings: tuple[Finding, ...]
    depth: int
    trainable_depth: int | None
    chance: float = math.nan
    advice: tuple[Advice, ...] = ()

    _repr_html_ = shown_by("evenflow.forecast.forecast_card", "forecast_html")

    @property
    def verdict(self) -> str:
        """ "healthy", "warning" or "sick": the worst finding's severity. Sick: will not learn."""
        return verdict(self.findings)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types (schema 1): NaN is None, infinities are "Infinity" and "-Infinity"."""
        return {
            "schema": 1,
            "model": self.name,
            "method": self.method,
            "verdict": self.verdict,
            "chance": _plain(self.chance),
            "depth": self.depth,
            "trainable_depth": self.trainable_depth,
            "findings": [finite(f.as_dict()) for f in self.findings],
            "sites": [o.as_dict() for o in self.outlooks],
            "advice": [a.as_dict() for a in self.advice],
        }


def _plain(value: float) -> Any:
    return None if math.isnan(value) else finite(float(value))
