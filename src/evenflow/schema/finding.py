"""What a rule says: a finding, how bad it is, and the verdict over several."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .run import Run
from .where import Where


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
        where: lines of the script that it is about, the most telling first; a library's own line
            follows the user's that called it. Filled by `judge`.

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
    where: tuple[Where, ...] = ()

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
            "where": [where.as_dict() for where in self.where],
        }

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> Finding:
        """Inverse of `as_dict`. Raises KeyError or ValueError on a foreign dict."""
        values: dict[str, Any] = {key: str(d[key]) for key in ("code", "name", "cause", "message")}
        values |= {key: int(d[key]) for key in ("first_step", "last_step")}
        values |= {key: tuple(map(str, d[key])) for key in ("params", "treatments")}
        for key in ("evidence", "threshold"):
            values[key] = {str(name): float(number) for name, number in d[key].items()}
        values["severity"] = Severity[d["severity"]]
        values["sites"] = tuple(map(int, d["sites"]))
        values["where"] = tuple(map(Where.from_dict, d.get("where", ())))
        values["chain"] = tuple(Link(*link) for link in d["chain"])
        return cls(**values)


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
