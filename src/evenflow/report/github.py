"""Annotations for GitHub's workflows: one command a fault, on the line that is at fault."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..faults import faults
from ..schema import Finding, Run, Severity
from ..words import title, what_happened, what_to_do
from .located import first_line, path_from
from .network import network_of

_COMMANDS = {Severity.error: "error", Severity.warning: "warning", Severity.info: "notice"}


def as_github(run: Run, findings: Sequence[Finding], root: Path) -> str:
    """Workflow commands, one a line, as a step of a workflow prints them.

    Files are named from `root`, the checked-out repository. A finding that knows no line stands
    without one. Format: GitHub's documentation, "Workflow commands for GitHub Actions".
    """
    network = network_of(run) if findings else None
    rows = []
    for cause, followed in faults(findings):
        told = [what_happened(cause, run)]
        told += [f"then {f.code} {what_happened(f, run, numbers=False)}" for f in followed]
        told += [text for text, _by in what_to_do(cause, network) if text]
        where = first_line(cause)
        at = {}
        if where is not None:
            at = {"file": path_from(run, where, root), "line": str(where.line)}
            if where.column and where.end:
                at |= {"col": str(where.column), "endColumn": str(where.end)}
        at["title"] = f"{cause.code} {title(cause.code)}"
        told_at = ",".join(f"{key}={_property(value)}" for key, value in at.items())
        rows.append(f"::{_COMMANDS[cause.severity]} {told_at}::{_data(chr(10).join(told))}")
    return "\n".join(rows)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
