"""SARIF 2.1.0, which code scanning and editors read: a result a finding, at its lines."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..faults import REGISTRY, faults, headline
from ..lang import _
from ..schema import Finding, Run, Severity, Where, source_of, verdict
from ..words import title, what_happened, what_to_do, with_messages
from .located import path_from
from .network import network_of

_LEVELS = {Severity.error: "error", Severity.warning: "warning", Severity.info: "note"}
_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def as_sarif(run: Run, findings: Sequence[Finding], root: Path) -> dict[str, Any]:
    """A log of one run, as plain JSON types. Files are named from `root`, the repository's folder.

    A finding that follows from another has that one's place among its related locations.
    """
    spoken = with_messages(findings, run)
    codes = sorted({f.code for f in spoken})
    network = network_of(run) if spoken else None
    results = []
    for cause, followed in faults(spoken):
        todo = " ".join(text for text, _by in what_to_do(cause, network) if text)
        results.append(_result(run, cause, codes, root, todo, None))
        results += [_result(run, f, codes, root, "", cause) for f in followed]
    judged = verdict(spoken, run)
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "Evenflow",
                        "version": version("evenflow"),
                        "rules": [_rule(code) for code in codes],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "invocations": [{"executionSuccessful": judged != "unjudged"}],
                "results": results,
                "properties": {"run": run.name, "verdict": judged},
            }
        ],
    }


def _rule(code: str) -> dict[str, Any]:
    rule = REGISTRY.get(code)
    if rule is None:
        return {"id": code}
    return {
        "id": code,
        "name": rule.name,
        "shortDescription": {"text": title(code)},
        "fullDescription": {"text": headline(rule)},
    }


def _result(
    run: Run, finding: Finding, codes: Sequence[str], root: Path, todo: str, cause: Finding | None
) -> dict[str, Any]:
    said = what_happened(finding, run)
    follows = "" if cause is None else _("It follows from {code}.").format(code=cause.code)
    own = [w for w in finding.where if not w.file.startswith("cell ")]
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": codes.index(finding.code),
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{said} {follows or todo}".strip()},
        "locations": [_location(run, finding, where, root) for where in own[:1]],
        "properties": {
            "firstStep": finding.first_step,
            "lastStep": finding.last_step,
            "sites": [run.sites[i].name for i in finding.sites if 0 <= i < len(run.sites)],
        },
    }
    more = [*own[1:], *(() if cause is None else cause.where[:1])]
    related = [_location(run, finding, where, root) for where in more if where not in own[:1]]
    if related:
        result["relatedLocations"] = [{"id": i, **at} for i, at in enumerate(related, 1)]
    return result


def _location(run: Run, finding: Finding, where: Where, root: Path) -> dict[str, Any]:
    region: dict[str, Any] = {"startLine": where.line}
    if where.column and where.end > where.column:
        region |= {"startColumn": where.column, "endColumn": where.end}
    text = source_of(run.meta, where)
    if text:
        region["snippet"] = {"text": text}
    uri = quote(path_from(run, where, root))
    if uri.startswith("/"):
        uri = f"file://{uri}"
    out: dict[str, Any] = {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}}
    if where.function:
        out["logicalLocations"] = [{"fullyQualifiedName": where.function, "kind": "function"}]
    return out
