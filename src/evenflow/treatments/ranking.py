"""From findings to treatments: ranked, with reasons, and what is refused with why. Pure, no torch.

Each finding proposes courses (treatments that belong together, as `registry` lists them, best
first). A course's score is the sum over findings of severity times its place. A symptom of another
finding counts little, as a broken run has many and each would ask for smaller steps; a fault of
the data or the set-up counts more, as no treatment of the network makes up for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..schema import Finding, Severity, Treatment, parse_treatments
from . import registry
from .base import Facts, Parsed
from .parsing import read, refusals

#: What a finding's word weighs.
WEIGHT = {Severity.error: 3.0, Severity.warning: 2.0, Severity.info: 0.0}
#: Each place further down a finding's list is worth so much of the one above.
PLACE = 0.85
#: A finding that another one explains, and a fault of data or set-up that explains others.
SYMPTOM, SOURCE = 0.15, 1.5


@dataclass(frozen=True, slots=True)
class Course:
    """Treatments that belong together, such as a swap and the start it needs.

    Attributes:
        treatments: in the order of their text; each carries the reason and the codes.
        reason: why, in a sentence.
        codes: of the findings it is for, the weightiest first.
    """

    treatments: tuple[Treatment, ...]
    reason: str
    codes: tuple[str, ...]

    def __str__(self) -> str:
        return "; ".join(map(str, self.treatments))


@dataclass(frozen=True, slots=True)
class Refused:
    """A treatment that a finding would call for, and why it is not given here."""

    treatment: Treatment
    reason: str


def courses(findings: Iterable[Finding], facts: Facts) -> tuple[list[Course], list[Refused]]:
    """Courses, best first, and refusals. Both empty where nothing is worse than info.

    >>> from evenflow import Finding, Severity
    >>> from evenflow.treatments import Facts, courses
    >>> fault = Finding("EF101", "vanishing-gradient", Severity.error, (1,), 0, 9, {"decades": 8})
    >>> ranked, refused = courses([fault], Facts(depth=9, activations=("sigmoid",)))
    >>> str(ranked[0]), ranked[0].codes
    ('init=lsuv-centred', ('EF101',))
    """
    found = [f for f in findings if f.severity > Severity.info]
    codes = {f.code for f in found}
    scores: dict[str, float] = {}
    because: dict[str, list[Finding]] = {}
    for f in found:
        symptom = f.cause in codes and f.cause != f.code
        source = f.code.startswith(("EF5", "EF7")) and f.code != "EF703"
        weight = WEIGHT[f.severity] * (SYMPTOM if symptom else SOURCE if source else 1.0)
        for k, text in enumerate(registry.of(f, facts)):
            scores[text] = scores.get(text, 0.0) + weight * PLACE**k
            because.setdefault(text, []).append(f)
    out: list[Course] = []
    refused: dict[str, Refused] = {}
    for text in sorted(scores, key=lambda t: -scores[t]):
        parts = tuple(map(read, parse_treatments(text)))
        harmful = refusals(parts, facts)
        for p, why in harmful:
            refused.setdefault(str(p), Refused(p.treatment, why))
        if harmful:
            continue
        reason = _reason(text, because[text], parts)
        named = tuple(dict.fromkeys(f.code for f in because[text]))
        told = tuple(replace(p.treatment, reason=reason, codes=named) for p in parts)
        out.append(Course(told, reason, named))
    return out, list(refused.values())


def _reason(text: str, found: list[Finding], parts: tuple[Parsed, ...]) -> str:
    f = found[0]
    evidence = next(
        (f"{k} {v:.3g}" for k, v in f.evidence.items() if k in f.threshold),
        next((f"{k} {v:.3g}" for k, v in f.evidence.items()), ""),
    )
    cause = f", from {f.cause}" if f.cause else ""
    about = "; ".join(p.entry.about for p in parts)
    more = f" (also for {', '.join(g.code for g in found[1:])})" if len(found) > 1 else ""
    return f"{f.code} {f.name}{f' ({evidence})' if evidence else ''}{cause}: {about}{more}."
