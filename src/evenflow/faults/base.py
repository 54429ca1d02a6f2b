"""What a rule is: one fault, one class, one file; its docstring is its page."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar

from ..schema import Finding, Link, Severity
from .view import View


class Rule(ABC):
    """One fault that a run can show.

    Whoever writes a rule gives `code`, `name` (after the fault, not the remedy), `since`, a
    docstring with the sections "What it means", "Why is this bad?", "How it is measured",
    "Threshold" (with its source or calibration) and "What to do", and `check`. `check` is pure:
    it reads the run, writes nothing, and yields findings whose every number was measured. It
    must yield nothing for a run that lacks what it needs (short, empty, all NaN). Sick and
    healthy examples of each code live in the repository's `zoo`.
    """

    code: ClassVar[str]
    name: ClassVar[str]
    since: ClassVar[str] = "0.1"
    status: ClassVar[str] = "stable"  # preview, stable, deprecated or removed

    @abstractmethod
    def check(self, view: View) -> Iterable[Finding]:
        """Yield what is wrong; nothing when all is well or cannot be judged."""

    def finding(
        self,
        severity: Severity,
        *,
        first: int,
        last: int,
        evidence: Mapping[str, float],
        sites: Iterable[int] = (),
        threshold: Mapping[str, float] | None = None,
        params: Iterable[str] = (),
        cause: str = "",
        chain: Iterable[Link] = (),
    ) -> Finding:
        """A finding of this rule. Evidence that is not finite was not measured and is left out;
        so are thresholds without evidence of that name. Steps are step numbers, not rows."""
        measured = {k: float(v) for k, v in evidence.items() if math.isfinite(v)}
        return Finding(
            code=self.code,
            name=self.name,
            severity=severity,
            sites=tuple(int(s) for s in sites),
            first_step=int(first),
            last_step=int(last),
            evidence=measured,
            threshold={k: float(v) for k, v in (threshold or {}).items() if k in measured},
            params=tuple(params),
            cause=cause,
            chain=tuple(chain),
        )
