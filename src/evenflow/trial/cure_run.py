"""One cure, whatever engine runs it: watch, diagnose, prescribe, search, prove."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ..diagnosis import diagnose
from ..report import headline
from ..schema import Finding, Run, treatment_text, verdict
from ..store import load
from ..words import line
from .budget import TrialBudget
from .candidates import Candidate
from .confirm import Confirmation, Proof, uncontrolled
from .engine import Engine
from .goal import CureGoal, Tried
from .job import Job, Outcome
from .prescribing import Prescription, edit, prescription
from .record import Cure
from .score import Estimate, estimate
from .search import WIDEST, Search
from .settings import Settings

#: The untreated run gets this share of the wall time: what is left must hold a treated one.
FIRST_SHARE = 0.45

#: Hears of a stage and how many jobs it has.
OnStage = Callable[[str, int], None]


class CannotCure(Exception):
    """The script could not be run or judged; the message says why."""


class CureRun:
    """One training, whatever engine runs it: the stages after one another."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        budget: TrialBudget,
        on_stage: OnStage = lambda stage, jobs: None,
        prescribe: Callable[[Run, Sequence[Finding]], Prescription] = prescription,
    ) -> None:
        self.settings, self.engine, self.budget = settings, engine, budget
        self.on_stage, self.prescribe = on_stage, prescribe
        named = bool(settings.metric)
        self.goal = CureGoal(named, larger=named and not settings.minimize)
        self.words = settings.metric or "training loss"

    def cure(
        self, notes: Sequence[str] = (), fit: Callable[[Outcome], int] = lambda baseline: 1
    ) -> Cure:
        """Run it as it is, judge it, and treat it; `fit` says how many jobs run side by side."""
        seconds = self.budget.seconds
        baseline = self.untreated(3600.0 if seconds is None else FIRST_SHARE * seconds)
        self.budget.spend(baseline.steps)
        self.budget.size = fit(baseline)
        return self.judge(baseline, notes)

    def untreated(self, limit: float) -> Outcome:
        """The script as it is, watched, to its end if there is time."""
        self.on_stage("watch", 1)
        ((_, outcome),) = self.engine.run([Job(watch=True, seconds=limit)])
        if not outcome.steps or not outcome.run:
            raise CannotCure(_why_nothing(outcome))
        self.budget.measured(outcome.seconds, outcome.start, outcome.steps, outcome.whole)
        finite = outcome.losses and outcome.losses[-1] == outcome.losses[-1]
        if self.goal.metric and outcome.ended == "finished" and outcome.metric is None and finite:
            raise CannotCure(
                f"--metric {self.settings.metric!r} finds no finite number in what the script "
                f"prints. It ends with:\n{_tail(outcome)}"
            )
        return outcome

    def judge(self, baseline: Outcome, notes: Sequence[str]) -> Cure:
        """The diagnosis, and what follows from it."""
        run = load(baseline.run)
        findings = [f for f in diagnose(run) if f.severity.name != "info"]
        cure = Cure(
            "healthy",
            self.words,
            self.goal.larger,
            before=estimate([self.goal.of(baseline)]) if baseline.whole else Estimate(None, ()),
            findings=tuple(f"{f.code} {f.name}" for f in findings),
            lines=tuple(line(w) for f in findings[:1] for w in f.where if not w.library),
            trials=(Tried("watch", (), Job(watch=True), baseline),),
            uncontrolled=tuple(dict.fromkeys([*notes, *baseline.uncontrolled])),
        )
        if verdict(findings) == "healthy" and not (self.settings.first and baseline.steps):
            if baseline.ended == "error":
                raise CannotCure(_why_nothing(baseline))
            if run.unjudged:
                raise CannotCure(_why_not_judged(run))
            return cure
        found = self.prescribe(run, findings).led_by(self.settings.first)
        found = found.without(self.settings.without)
        return self._treat(cure, baseline, found, decay=not falls(run))

    def _treat(self, cure: Cure, baseline: Outcome, found: Prescription, decay: bool) -> Cure:
        """The search, the proof, and what they come to."""
        tried = list(cure.trials)
        shared = self.engine, self.budget, self.goal, baseline, tried, self.on_stage
        search = Search(*shared)
        search.companion = not {"clip", "clip=norm"} & set(self.settings.without)
        search.decay = decay and "decay" not in set(self.settings.without)
        # half of what is left may go on the pairs of the proof
        seeds = min(self.settings.seeds, int(self.budget.affordable(0) // 4))
        short = search.short
        finalists = search.run(found.tried, 2 * seeds * self.budget.cost(0))
        proof = None
        if not short:
            proof = Confirmation(*shared).of(finalists, seeds)
        failed = [(t.text, t.outcome.error) for t in tried if t.outcome.ended == "refused"]
        told = uncontrolled(baseline, tried)
        cure = replace(
            cure,
            trials=tuple(tried),
            refused=tuple(dict.fromkeys([*found.refused, *failed])),
            proposed=found.proposed,
            uncontrolled=tuple(dict.fromkeys([*cure.uncontrolled, *told])),
        )
        if proof is not None:
            return self._proven(cure, proof)
        unfinished = "" if short else _missed(found.tried, tried)
        if short:
            best = search.leader()
            return replace(
                cure,
                verdict="unproven" if best else "out-of-budget",
                chosen=treatment_text(best),
                chosen_edits=tuple(map(edit, best)),
                notes=(
                    f"the budget of {self.settings.budget} is too small for one treated and one "
                    "untreated run of the script's whole length: treatments are ranked by the "
                    "training loss after a short horizon only, and nothing is proven",
                ),
            )
        if unfinished:
            ended = (
                f"the budget of {self.settings.budget} ended before {unfinished}: give more with "
                "--budget; what was run is kept"
            )
            cure = replace(cure, notes=(ended,))
        verdict = "edit" if found.proposed else "out-of-budget" if unfinished else "uncured"
        return replace(cure, verdict=verdict)

    def _proven(self, cure: Cure, proof: Proof) -> Cure:
        """With what was chosen, and how far the budget let it be proven."""
        candidate, comparison, before, after = proof
        said = ""
        if not any(t.stage == "confirm" for t in cure.trials):
            said = (
                f"the budget of {self.settings.budget} left no pair of runs for a proof: "
                "before and after are of the seed that the treatment was chosen on"
            )
        elif comparison.seeds < self.settings.seeds:
            said = (
                f"the budget of {self.settings.budget} allowed {comparison.seeds} of "
                f"{self.settings.seeds} seeds"
            )
        return replace(
            cure,
            verdict="cured" if comparison.proven else "improved",
            chosen=treatment_text(candidate),
            before=before,
            after=after,
            comparison=comparison,
            chosen_edits=tuple(map(edit, candidate)),
            notes=(said,) if said else (),
        )


def _missed(prescribed: Sequence[Candidate], trials: Sequence[Tried]) -> str:
    """What a search without a result has left undone, in words; "" if nothing."""
    planned = prescribed[:WIDEST]
    tried = {t.candidate for t in trials}
    untried = [c for c in planned if c not in tried]
    if untried:
        return f"{len(untried)} of {len(planned)} treatments could run"
    whole = any(t.candidate and not t.job.steps for t in trials)
    return "" if whole or not planned else "any treatment could run over the script's whole length"


def falls(run: Run) -> bool:
    """Does the script let its own learning rate fall? Then another fall is one too many."""
    column = run.step("lr")
    rate = [] if column is None else [x for x in column.tolist() if math.isfinite(x)]
    return len(rate) > 2 and rate[-1] < 0.5 * max(rate)


def _why_nothing(outcome: Outcome) -> str:
    if outcome.ended in ("time", "killed"):
        return (
            f"no update was seen within {outcome.seconds:.0f} s"
            f"{': ' + outcome.error if outcome.error else ''}. Its output ends with:\n"
            f"{_tail(outcome)}"
        )
    if outcome.ended == "error":
        return f"the script failed ({outcome.error}). Its output ends with:\n{_tail(outcome)}"
    return "the script ran and no training step was seen in its process: there is nothing to treat"


def _why_not_judged(run: Run) -> str:
    more = ""
    if run.unjudged == "few-samples":
        more = (
            " (These are options of `evenflow run`; on a machine less busy, `evenflow cure "
            "--fresh` may see more.)"
        )
    return f"the untreated run was not judged. {headline(run, ())[1]}{more}"


def _tail(outcome: Outcome, lines: int = 8) -> str:
    try:
        text = Path(outcome.output).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "  (nothing)"
    last = [f"  {line[:300]}" for line in text.splitlines() if line.strip()][-lines:]
    return "\n".join(last) or "  (nothing)"
