"""A judged run as JSON for other programs, with every number JSON can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..faults import Asked
from ..schema import Finding, Run, damaged_rows, interventions, source_of, verdict
from ..words import healed, with_messages
from .network import network_of
from .sentences import headline, remedies


def as_json(run: Run, findings: Sequence[Finding], asked: Asked | None = None) -> dict[str, Any]:
    """`{"schema": 1, "run": name, "verdict": ..., "findings": [...], "sites": {id: name}}`.

    NaN and infinities, which JSON lacks, are the strings "NaN", "Infinity" and "-Infinity":
    `float()` and so `Finding.from_dict` read them back. Messages are filled in; "remedies" of a
    finding are its treatments and then general advice, as the reports say them; "where" has lines
    of the script (`Where`), each with its "source" where the run has kept that. A run under heal
    has "healed" too: each intervention (`Intervention.as_dict`) and its message. "said" is the
    sentence behind the verdict; where rules were left out, "asked" has the codes of the others. A
    file of which rows were left out has "damaged": how many of each table.
    """
    spoken = with_messages(findings, run)
    named = sorted({site for finding in spoken for site in finding.sites})
    network = network_of(run) if spoken else None
    data: dict[str, Any] = {
        "schema": 1,
        "run": run.name,
        "verdict": verdict(spoken, run, asked is not None),
        "said": headline(run, spoken, asked)[1],
        "findings": [
            finite({**f.as_dict(), "where": _lines(f, run), "remedies": remedies(f, run, network)})
            for f in spoken
        ],
        "sites": {str(site): run.sites[site].name for site in named if site < len(run.sites)},
    }
    if asked is not None:
        data["asked"] = list(asked.codes)
    if left_out := damaged_rows(run):
        data["damaged"] = dict(left_out)
    done = interventions(run.events)
    if done or run.meta.get("heal"):
        data["healed"] = [finite({**d.as_dict(), "message": healed(d)}) for d in done]
    return data


def _lines(finding: Finding, run: Run) -> list[dict[str, Any]]:
    rows = [(where.as_dict(), source_of(run.meta, where)) for where in finding.where]
    return [{**row, "source": text} if text else row for row, text in rows]


def finite(value: Any) -> Any:
    """The same value with floats that JSON lacks turned into strings."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value
