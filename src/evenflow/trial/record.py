"""What a cure found: the record that every view of it is made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..lazy import shown_by
from ..patching import Patch
from .goal import Tried
from .score import Comparison, Estimate, loss_at


@dataclass(frozen=True, slots=True)
class Edit:
    """A change to the script that is proposed and not applied, with what speaks for it."""

    treatment: str
    why: str
    code: str


@dataclass(frozen=True, slots=True)
class PatchProof:
    """A patch, and how its runs compare with the treated ones, seed by seed.

    Attributes:
        seeds: of the runs; treated, patched: the goal on each, None where there was no number.
        exact: the two are equal to the bit on every seed.
        offered: it may be handed over; `why` says why not, or how it was judged.
    """

    patch: Patch
    seeds: tuple[int, ...] = ()
    treated: tuple[float | None, ...] = ()
    patched: tuple[float | None, ...] = ()
    exact: bool = False
    offered: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Cure:
    """The outcome of `evenflow cure`.

    Attributes:
        verdict: "healthy": nothing to do. "cured": proven over the seeds. "improved": better, but
            not on every seed or not beyond chance. "unproven": the budget allowed short runs only.
            "uncured": nothing tried was better. "out-of-budget": neither, and not all could be
            tried. "edit": only a change to the script itself would mend it.
        chosen: text of the treatment, "" if none.
        before, after: the goal at the script's full length, untreated and with `chosen`, by seed.
        comparison: the two, paired by seed; None if they were not compared.
        trials: all runs, in order.
        refused: (treatment, why) that were not tried or could not be applied.
        edits: for the script itself: what was chosen, and what can only be proposed.
        uncontrolled: what could not be controlled, in sentences.
        findings: what the untreated run was found to suffer from, as "EF101 vanishing-gradient".
        lines: of the script that the first of these is about, as "train.py:18 in main".
        goal: what the numbers are, in words.
        notes: what else must be said (budget, seeds).
        patch: the chosen treatment as an edit of the script, with its proof; a sentence where none
            could be made; None where none was asked for.
    """

    verdict: str
    goal: str
    larger: bool
    chosen: str = ""
    before: Estimate = field(default_factory=lambda: Estimate(None, ()))
    after: Estimate = field(default_factory=lambda: Estimate(None, ()))
    comparison: Comparison | None = None
    trials: tuple[Tried, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    chosen_edits: tuple[Edit, ...] = ()
    proposed: tuple[Edit, ...] = ()
    uncontrolled: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    patch: PatchProof | str | None = None

    _repr_html_ = shown_by("evenflow.trial.cure_card", "cure_html")

    @property
    def line(self) -> str:
        """The chosen treatment as a line of Python for the user's script."""
        return f'evenflow.treat_(model, optimizer, "{self.chosen}", batch)' if self.chosen else ""

    def as_json(self) -> dict[str, Any]:
        """What `--json` prints."""
        more = {} if self.patch is None else {"patch": _patch(self.patch)}
        return {
            "schema": 1,
            "verdict": self.verdict,
            "chosen": self.chosen or None,
            "before": _estimate(self.before),
            "after": _estimate(self.after),
            "trials": [*map(tried_as_json, self.trials), *map(_proposal, self.proposed)],
            "refused": [{"treatment": t, "why": why} for t, why in self.refused],
            "uncontrolled": list(self.uncontrolled),
            "lines": list(self.lines),
            **more,
        }


def _patch(proof: PatchProof | str) -> dict[str, Any]:
    """What of it is text; None for a diff that is not offered."""
    if isinstance(proof, str):
        return {"offered": False, "why": proof, "diff": None, "notes": []}
    return {
        "offered": proof.offered,
        "why": proof.why,
        "exact": proof.exact,
        "seeds": list(proof.seeds),
        "treated": list(proof.treated),
        "patched": list(proof.patched),
        "diff": proof.patch.diff.decode("utf-8", "replace") if proof.offered else None,
        "notes": [str(note) for note in proof.patch.notes],
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {"mean": estimate.mean, "per_seed": list(estimate.per_seed)}


def tried_as_json(tried: Tried) -> dict[str, Any]:
    outcome = tried.outcome
    return {
        "treatment": tried.text or None,
        "stage": tried.stage,
        "seed": tried.job.seed,
        "steps": outcome.steps,
        "loss": loss_at(outcome, tried.job.steps),
        "metric": outcome.metric,
        "ended": outcome.ended,
        "error": outcome.error or None,
        "seconds": round(outcome.seconds, 2),
    }


def _proposal(edit: Edit) -> dict[str, Any]:
    """An edit of the script: not run, so it has neither loss nor metric."""
    return {
        "treatment": edit.treatment,
        "stage": "proposed",
        "why": edit.why,
        "edit": edit.code,
        "seed": None,
        "steps": 0,
        "loss": None,
        "metric": None,
        "ended": "proposed",
        "error": None,
        "seconds": 0.0,
    }
