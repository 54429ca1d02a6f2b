"""The search: successive halving over treatments, their combinations and learning rates.

    screen    every course by itself                 shortest horizon
    rates     the best, down the decades while it helps     "
    combine   unions of the best                            "
    race      the best of all these                  three times as long
    refine    half decades of rate around the best          "
    final     the two or three best                  the script's whole length

Losers are stopped at their horizon. The untreated script runs along at each: same seed, same data
order, so that scores are differences of treatment alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..schema.treatment import text
from .budget import Budget
from .candidates import (
    DECADES,
    FINER,
    Candidate,
    combinations,
    rescaled,
    spread,
)
from .engine import Engine
from .job import Job, Outcome
from .score import better, first_loss, loss_at, order

#: Ratio of one horizon to the one before.
RATIO = 3
#: No horizon is shorter: the first losses of a run tell of the start only.
FEWEST_STEPS = 12
#: At most so many courses are tried by themselves.
WIDEST = 20
#: A loss lower by this share than the untreated one's at the same step counts as learning.
LEARNS = 0.03
#: Among losses closer than this share the smaller change is preferred.
TIE = 0.01


@dataclass(frozen=True, slots=True)
class Goal:
    """What is to become better: the user's metric, or the training loss if `metric` is False."""

    metric: bool = False
    larger: bool = False

    def of(self, outcome: Outcome) -> float | None:
        """The value of a run of the script's whole length; None, below all, if it broke off."""
        if outcome.ended != "finished":
            return None
        return outcome.metric if self.metric else loss_at(outcome)


@dataclass(frozen=True, slots=True)
class Tried:
    """One trial of the table: a candidate, its job, and what came of it."""

    stage: str
    candidate: Candidate
    job: Job
    outcome: Outcome

    @property
    def text(self) -> str:
        """The treatments' text; "" is the untreated script."""
        return text(self.candidate)


@dataclass(slots=True)
class Search:
    """State of one search. `tell(stage, jobs)` hears of each stage before it runs."""

    engine: Engine
    budget: Budget
    goal: Goal
    baseline: Outcome
    tell: Callable[[str, int], None] = lambda stage, jobs: None
    trials: list[Tried] = field(default_factory=list)

    def run(self, prescribed: Sequence[Candidate], reserve: float) -> list[Candidate]:
        """Finalists, best first; `reserve` of the budget is kept for what follows.

        With a budget for short runs only (`short`), they are ranked at the longest of these.
        """
        singles = list(prescribed[:WIDEST])
        if not singles:
            return []
        short = self.short(reserve)
        if short:
            reserve = 0.0
        first, second = self._horizons(len(singles), reserve, short)
        room = self.budget.affordable(first, reserve)
        ranked = self._ask("screen", [(), *singles[: max(1, room - 1)]], first)
        if second > first:
            ranked = self._rates(ranked, singles, first, reserve, second)
            ranked = self._combined(ranked, first, reserve, second)
            ranked = self._race(ranked, singles, second, reserve)
        if short:
            return [c for c in ranked if c][:3]
        longest = max(t.job.steps for t in self.trials)
        ranked = self._alternating([c for c in ranked if c], longest)
        return self._final(spread(ranked, self._finals(reserve)))

    def short(self, reserve: float) -> bool:
        """Is there no room for a treated run of the whole length?"""
        whole = self.baseline.whole and self.budget.full > 0
        return not whole or self.budget.affordable(0) < 1

    def _horizons(self, singles: int, reserve: float, short: bool) -> tuple[int, int]:
        """Updates of the first two rungs."""
        budget = self.budget
        full = self.baseline.steps
        if full <= 2 * FEWEST_STEPS and not short:
            return full, full
        first = max(FEWEST_STEPS, -(-full // RATIO**2))
        # Half of what there is goes to the shortest rung (screen, rates, combinations).
        while first > FEWEST_STEPS and (1.6 * singles + 4) * budget.cost(first) > 0.5 * (
            budget.left() - reserve
        ):
            first = max(FEWEST_STEPS, first * 2 // 3)
        return min(first, full), min(first * RATIO, full)

    def _rates(
        self,
        ranked: list[Candidate],
        singles: Sequence[Candidate],
        steps: int,
        reserve: float,
        longer: int,
    ) -> list[Candidate]:
        """Down the ladder of learning rates, as long as a decade less is better."""
        treated = [c for c in ranked if c]
        tops = treated[:3]
        if not self._learns(treated, steps):
            # Nothing trains at the script's own rate: then the order of prescription counts more.
            tops = _unique([*treated[:4], *singles][:8])[:6]
        elif self.budget.affordable(steps, reserve + 4 * self.budget.cost(longer)) < 12:
            tops = tops[:1]
        going = [c for c in tops if self._value(c, steps) is not None or not treated[:1]] or tops
        before = {text(c): self._value(c, steps) for c in going}
        for factor in DECADES:
            lower = [rescaled(c, factor) for c in going]
            lower = lower[: self._room(steps, reserve, longer)]
            if not lower:
                break
            self._ask("rates", lower, steps)
            kept = []
            for c, less in zip(going, lower, strict=False):
                value, at = before[text(c)], self._value(less, steps)
                # A network that cannot learn yet shows it by a loss that only wobbles.
                if at is not None and (value is None or at < value or not self._learns([c], steps)):
                    before[text(c)] = at if value is None else min(at, value)
                    kept.append(c)
            going = kept
        return self._ranked(steps)

    def _combined(
        self, ranked: list[Candidate], steps: int, reserve: float, longer: int
    ) -> list[Candidate]:
        """Unions of the best."""
        tops = spread([c for c in ranked if c], 4, each=1)
        room = self._room(steps, reserve, longer)
        both = combinations(tops, min(5, room))
        if both:
            self._ask("combine", both, steps)
        return self._ranked(steps)

    def _race(
        self, ranked: list[Candidate], singles: Sequence[Candidate], steps: int, reserve: float
    ) -> list[Candidate]:
        """The best of the short rung, and the first prescription, over a longer distance."""
        treated = [c for c in ranked if c]
        keep = reserve if self.short(reserve) else reserve + 2 * self.budget.cost(0)
        room = max(2, min(7, self.budget.affordable(steps, keep) - 2))
        first = min(t.job.steps for t in self.trials if t.job.steps)
        runners = spread(self._alternating(treated, first), room - 1)
        runners = _unique([*runners, *spread(singles, 1)])[:room]
        ranked = self._ask("race", runners, steps)
        best = next((c for c in ranked if c), None)
        if best is not None and self.budget.affordable(steps, keep) >= 2:
            finer = [rescaled(best, factor) for factor in FINER]
            ranked = self._ask("refine", [c for c in finer if c], steps)
        return ranked

    def _final(self, candidates: list[Candidate]) -> list[Candidate]:
        """Over the script's whole length, by the goal itself."""
        self._ask("final", candidates, 0)
        scores = {t.candidate: self.goal.of(t.outcome) for t in self.trials if t.stage == "final"}
        return sorted(scores, key=lambda c: (order(scores[c], self.goal.larger), len(c)))

    def leader(self) -> Candidate:
        """Best at the longest horizon run, if it beats the untreated script there; else ()."""
        longest = max((t.job.steps for t in self.trials), default=0)
        best = next((c for c in self._ranked(longest) if c), ()) if longest else ()
        value, untreated = self._value(best, longest), loss_at(self.baseline, longest)
        return best if best and better(value, untreated, larger=False) else ()

    def _finals(self, reserve: float) -> int:
        """Three runs of the whole length; up to six if the proof is paid for twice over."""
        room = self.budget.affordable(0, reserve)
        ample = self.budget.affordable(0, 2.0 * reserve)
        return max(1, min(6, ample), min(3, room))

    def _alternating(self, ranked: list[Candidate], steps: int) -> list[Candidate]:
        """The best by training loss and the best by the user's metric, turn by turn.

        Where a script prints its metric as it goes, held-out quality shows before the end; the
        loss speaks first, as it is the smoother of the two.
        """
        at = self._at(steps)
        values = {c: at[c].metric for c in ranked if c in at}
        if not self.goal.metric or all(v is None for v in values.values()):
            return ranked
        by_metric = sorted(values, key=lambda c: order(values[c], self.goal.larger))
        return _unique([c for pair in zip(ranked, by_metric, strict=False) for c in pair])

    # -- asking and ranking -------------------------------------------------------------------
    def _ask(self, stage: str, candidates: Sequence[Candidate], steps: int) -> list[Candidate]:
        """Run them over so many updates; all of this horizon ranked, best first."""
        asked = {text(c) for c in self._at(steps)}
        fresh = {text(c): c for c in candidates if text(c) not in asked}
        limit = self.budget.limit(steps)
        jobs = {Job(t, steps=steps, seconds=limit): c for t, c in fresh.items()}
        self.tell(stage, len(jobs))
        for job, outcome in self.engine.run(list(jobs)):
            self.budget.spend(outcome.steps)
            self.trials.append(Tried(stage, jobs[job], job, outcome))
        return self._ranked(steps)

    def _at(self, steps: int) -> dict[Candidate, Outcome]:
        return {t.candidate: t.outcome for t in self.trials if t.job.steps == steps}

    def _value(self, candidate: Candidate, steps: int) -> float | None:
        outcome = self._at(steps).get(candidate)
        return None if outcome is None else loss_at(outcome, steps)

    def _ranked(self, steps: int) -> list[Candidate]:
        """By loss at the horizon; of equals (within 1 %) the smaller change first."""
        scores = {c: loss_at(o, steps) for c, o in self._at(steps).items()}
        ranked = sorted(scores, key=lambda c: order(scores[c], larger=False))
        for i in range(len(ranked) - 1, 0, -1):
            above, here = scores[ranked[i - 1]], scores[ranked[i]]
            if above is None or here is None:
                continue
            if here - above < TIE * abs(above) and len(ranked[i]) < len(ranked[i - 1]):
                ranked[i - 1], ranked[i] = ranked[i], ranked[i - 1]
        return ranked

    def _learns(self, candidates: Sequence[Candidate], steps: int) -> bool:
        """Does one of them bring the loss clearly below the untreated one's, and its own start?"""
        untreated = loss_at(self.baseline, steps)
        for c in candidates:
            value = self._value(c, steps)
            if value is None:
                continue
            start = first_loss(self._at(steps)[c])
            below = untreated is None or value < untreated - LEARNS * abs(untreated)
            fell = start is None or value < start - LEARNS * abs(start)
            if below and fell:
                return True
        return False

    def _room(self, steps: int, reserve: float, longer: int) -> int:
        """Runs of the shortest rung that leave room for a race and a final."""
        whole = 0.0 if self.short(reserve) else self.budget.cost(0)
        return self.budget.affordable(steps, reserve + 3 * self.budget.cost(longer) + whole)


def _unique(candidates: Sequence[Candidate]) -> list[Candidate]:
    return list(dict.fromkeys(candidates))
