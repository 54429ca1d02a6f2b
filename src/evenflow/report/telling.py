"""What both reports say of a run and its findings, free of any markup."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..schema import Finding, Run, Severity, Site, verdict
from ..words import advice, cause, decades, number, share, title
from ..words.evidence import LABELS
from .layers import cost, now

#: Roles of a chain's links as its timeline heads them.
_ROLES = {"cause": "cause", "event": "then", "end": "end"}


def headline(run: Run, findings: Sequence[Finding]) -> tuple[str, str]:
    """The verdict as a word, and what stands behind it as a sentence."""
    if not len(run.steps):
        return "No verdict", "Nothing was measured: no training step was seen."
    word = {"healthy": "Healthy", "warning": "Warning", "sick": "Sick"}[verdict(findings)]
    counts = [
        _count(sum(f.severity == severity for f in findings), noun)
        for severity, noun in (
            (Severity.error, "error"),
            (Severity.warning, "warning"),
            (Severity.info, "note"),
        )
    ]
    said = ", ".join(count for count in counts if count)
    if not said:
        return word, "No fault was found: every layer learns."
    return word, said[0].upper() + said[1:] + "."


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' if count > 1 else ''}" if count else ""


def facts(run: Run) -> list[tuple[str, str]]:
    """What the run was, in a few figures: (name, value)."""
    out = []
    if len(run.steps):
        last = int(run.steps[-1])
        if len(run.curve_steps):
            last = max(last, int(run.curve_steps[-1]))
        out.append(("Steps", f"{last + 1:,}"))
        out.append(("Measured at", f"{len(run.steps):,} steps"))
    known = np.flatnonzero(np.isfinite(run.curve_loss))
    if len(known):
        first, end = run.curve_loss[known[0]], run.curve_loss[known[-1]]
        out.append(("Loss", f"{number(first)} → {number(end)}"))
    if run.sites:
        out.append(("Sites", f"{len(run.sites):,}"))
    if run.params:
        out.append(("Weights", f"{sum(p.size for p in run.params):,}"))
    spent = cost(run)
    if spent is not None:
        out.append(("Cost of watching", f"{share(spent)} of time"))
    return out


def evidence(finding: Finding) -> list[tuple[str, str, str]]:
    """What was measured against what: (label, value, threshold or ""), judged numbers first."""
    keys = [k for k in finding.threshold if k in finding.evidence]
    keys += [k for k in finding.evidence if k not in finding.threshold]
    rows = []
    for key in keys:
        label, form = LABELS.get(key, (key.replace("_", " "), "number"))
        limit = finding.threshold.get(key)
        shown = "" if limit is None else write(limit, form)
        rows.append((label, write(finding.evidence[key], form), shown))
    return rows


def write(value: float, form: str) -> str:
    """A number in one of the forms of `words`: "number", "share" or "decades"."""
    return {"share": share, "decades": decades}.get(form, number)(value)


def chain(finding: Finding, run: Run) -> list[tuple[str, str, str, str]]:
    """Cause, event, end state in order: (role, what, when or "", site's name or "")."""
    out = []
    for link in finding.chain:
        if not link.what:
            continue
        what = title(link.what) if link.what.startswith("EF") else cause(link.what)
        when = "" if link.step is None else f"step {link.step:,}"
        known = link.site is not None and 0 <= link.site < len(run.sites)
        where = name(run.sites[link.site], run) if known and link.site is not None else ""
        out.append((_ROLES.get(link.role, link.role), what[:1].upper() + what[1:], when, where))
    return out


def remedies(finding: Finding) -> list[str]:
    """Treatments tried on this run first, then general advice."""
    return list(dict.fromkeys([*finding.treatments, *advice(finding)]))


def when(finding: Finding) -> str:
    """ "step 0 to 1,200", or "step 5"."""
    first, last = finding.first_step, finding.last_step
    return f"step {first:,}" if first == last else f"step {first:,} to {last:,}"


def name(site: Site, run: Run) -> str:
    """A site's name, without the root where all sites have the same."""
    return names(run, [site])[0]


def names(run: Run, sites: Sequence[Site]) -> list[str]:
    """Names of many sites at once, without the root where all sites of the run have the same."""
    if len({site.root for site in run.sites if site.root}) > 1:
        return [site.name for site in sites]
    return [s.name[len(s.root) :].lstrip(". ") if s.root else s.name for s in sites]


def profile(run: Run, sites: Sequence[Site]) -> list[float]:
    """log10 of the latest rms of δ by site; -inf where it is 0, inf where it is not finite."""
    out = []
    for site in sites:
        value = now(run, site.id, "delta")
        out.append(float("-inf") if value == 0 else float(np.log10(value)))
    return out
