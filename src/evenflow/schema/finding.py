"""What a rule says: a finding, how bad it is, and the verdict over several."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .run import Run


class Severity(enum.IntEnum):
    """How bad: info is worth knowing, warning costs quality, error stops learning."""

    info = 0
    warning = 1
    error = 2


class Link(NamedTuple):
    """One link of the chain cause -> event -> end state.

    `what` is a code ("EF703"), a cause ("learning-rate-too-high") or a state ("frozen").
    """

    role: str  # "cause", "event" or "end"
    what: str
    step: int | None = None
    site: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault, where it is, since when, with the numbers that say so.

    Attributes:
        code: stable, never reused ("EF101").
        name: the fault in kebab case ("vanishing-gradient").
        severity: see `Severity`.
        sites: ids into `Run.sites`, worst first; empty when the fault is the whole run's.
        params: names of parameters, where the fault is a parameter's.
        first_step, last_step: first and last sampled step that showed it.
        evidence: measured numbers by name; only measured ones.
        threshold: what the main piece of evidence was held against, by the same name.
        cause: a code ("EF601") or a cause in kebab case ("depth-times-activation"); "" = unknown.
        chain: cause -> event -> end state, with steps.
        treatments: texts of treatments, best first (filled by a later layer).
        message: put into words when shown; "" in the store.

    >>> from evenflow import Finding, Severity
    >>> dead = Finding("EF202", "dead-units", Severity.warning, (3,), 0, 40, {"dead": 0.6})
    >>> dead.as_dict()["severity"], Finding.from_dict(dead.as_dict()) == dead
    ('warning', True)
    """

    code: str
    name: str
    severity: Severity
    sites: tuple[int, ...]
    first_step: int
    last_step: int
    evidence: Mapping[str, float]
    threshold: Mapping[str, float] = field(default_factory=dict)
    params: tuple[str, ...] = ()
    cause: str = ""
    chain: tuple[Link, ...] = ()
    treatments: tuple[str, ...] = ()
    message: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types, losslessly read back by `from_dict`."""
        return {
            "code": self.code,
            "name": self.name,
            "severity": self.severity.name,
            "sites": list(self.sites),
            "params": list(self.params),
            "first_step": self.first_step,
            "last_step": self.last_step,
            "evidence": dict(self.evidence),
            "threshold": dict(self.threshold),
            "cause": self.cause,
            "chain": [list(link) for link in self.chain],
            "treatments": list(self.treatments),
            "message": self.message,
        }

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> Finding:
        """Inverse of `as_dict`. Raises KeyError or ValueError on a foreign dict."""
        return cls(
            code=str(d["code"]),
            name=str(d["name"]),
            severity=Severity[d["severity"]],
            sites=tuple(int(s) for s in d["sites"]),
            params=tuple(str(p) for p in d["params"]),
            first_step=int(d["first_step"]),
            last_step=int(d["last_step"]),
            evidence={str(k): float(v) for k, v in d["evidence"].items()},
            threshold={str(k): float(v) for k, v in d["threshold"].items()},
            cause=str(d["cause"]),
            chain=tuple(Link(*link) for link in d["chain"]),
            treatments=tuple(str(t) for t in d["treatments"]),
            message=str(d["message"]),
        )


def verdict(findings: Iterable[Finding], run: Run | None = None, partial: bool = False) -> str:
    """The worst severity in a word: "healthy" (none, or info only), "warning" or "sick".

    Health is never claimed of what was not looked at: without an error a `run` in which nothing
    moved or nothing was sampled is "unjudged", and without a warning one of too few samples; where
    only some rules were asked (`partial`), the word for no fault is "no-fault".

    >>> from evenflow import Finding, Severity, verdict
    >>> dead = Finding("EF202", "dead-units", Severity.warning, (3,), 0, 40, {"dead": 0.6})
    >>> verdict([]), verdict([dead])
    ('healthy', 'warning')
    """
    worst = max((f.severity for f in findings), default=Severity.info)
    why = run.unjudged if run is not None and worst < Severity.error else ""
    if why and (worst is Severity.info or why != "few-samples"):
        return "unjudged"
    if partial and worst is Severity.info:
        return "no-fault"
    return {Severity.info: "healthy", Severity.warning: "warning", Severity.error: "sick"}[worst]
