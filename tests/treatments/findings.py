"""Findings made by hand."""

from __future__ import annotations

from evenflow.schema import Finding, Severity


def finding(
    code: str,
    severity: Severity = Severity.error,
    cause: str = "",
    evidence: dict[str, float] | None = None,
) -> Finding:
    return Finding(code, "a-fault", severity, (), 0, 9, evidence or {"share": 0.9}, cause=cause)
