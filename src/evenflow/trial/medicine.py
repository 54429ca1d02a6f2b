"""What the trials ask of the treatments: a list to try, and edits to hand over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .. import treatments
from ..schema import Run
from ..schema.treatment import Treatment
from .record import Edit


@dataclass(frozen=True, slots=True)
class Prescription:
    """What may be tried, what can only be proposed, and what was refused with why."""

    tried: tuple[Treatment, ...]
    proposed: tuple[Edit, ...]
    refused: tuple[tuple[str, str], ...]


def prescription(run: Run) -> Prescription:
    """For a run, best first."""
    refused: list[tuple[Treatment, str]] = []
    ranked = treatments.prescribe(run, refused=refused)
    return Prescription(
        tuple(t for t in ranked if applicable(t)),
        tuple(edit(t) for t in ranked if not applicable(t)),
        tuple((str(t), why) for t, why in refused),
    )


def applicable(treatment: Treatment) -> bool:
    """Can it be injected? What lies outside the model can only be proposed."""
    return bool(treatments.entry(treatment).apply)


def edit(treatment: Treatment) -> Edit:
    """The same change as code for the user's script."""
    code = treatments.entry(treatment).edit(treatment.value)
    return Edit(str(treatment), treatment.reason, code)


def edits(chosen: Sequence[Treatment]) -> tuple[Edit, ...]:
    """Of each."""
    return tuple(map(edit, chosen))
