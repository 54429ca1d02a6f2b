"""What the trials ask of the treatments: courses to try, and edits to hand over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..lang import _
from ..nearby import did_you_mean
from ..schema import Finding, Run, Treatment, treatment_text
from ..treatments import REGISTRY, courses, kinds, of_run, parse, read
from .candidates import Candidate
from .record import Edit


@dataclass(frozen=True, slots=True)
class Prescription:
    """What may be tried, best first; what can only be proposed; what was refused, and why."""

    tried: tuple[Candidate, ...]
    proposed: tuple[Edit, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()

    def led_by(self, texts: Sequence[str]) -> Prescription:
        """The same, with these treatments to be tried before the others.

        ValueError for a text that names no treatment.
        """
        given = [parse(text) for text in texts]
        asked = [tuple(replace(t, reason="a check-up names it") for t in c) for c in given]
        outside = dict.fromkeys(t for c in asked for t in c if not read(t).entry.apply)
        led = [c for c in asked if c and outside.keys().isdisjoint(c)]
        rest = [c for c in self.tried if c not in led]
        edits = [e for e in map(edit, outside) if e not in self.proposed]
        return replace(self, tried=(*led, *rest), proposed=(*edits, *self.proposed))

    def without(self, names: Sequence[str]) -> Prescription:
        """The same, what the user does not want refused; `names` as `known` takes them."""
        if not names:
            return self

        def unwanted(treatment: Treatment) -> bool:
            return treatment.kind in names or read(treatment).entry.name in names

        kept = tuple(c for c in self.tried if not any(map(unwanted, c)))
        left = [(treatment_text(c), "not wanted: --without.") for c in self.tried if c not in kept]
        return replace(self, tried=kept, refused=(*self.refused, *left))


def known(names: Sequence[str]) -> None:
    """ValueError for a name that is neither a kind of treatment nor one of the registry."""
    there = kinds()
    for name in names:
        if name not in there and name not in REGISTRY:
            near = did_you_mean(name, [*there, *REGISTRY])
            hint = near or _("kinds are {names}.").format(names=", ".join(there))
            said = _("--without {name!r} names no treatment; {hint}")
            raise ValueError(said.format(name=name, hint=hint))


def prescription(run: Run, findings: Sequence[Finding]) -> Prescription:
    """For what was found in a run."""
    ranked, refused = courses(findings, of_run(run))
    given = [course.treatments for course in ranked]
    # what lies outside the model cannot be injected
    outside = dict.fromkeys(t for c in given for t in c if not read(t).entry.apply)
    return Prescription(
        tuple(c for c in given if outside.keys().isdisjoint(c)),
        tuple(map(edit, outside)),
        tuple((str(r.treatment), r.reason) for r in refused),
    )


def edit(treatment: Treatment) -> Edit:
    """The same change as words or code for the user's script."""
    p = read(treatment)
    return Edit(str(treatment), treatment.reason, p.entry.edit(p.value))
