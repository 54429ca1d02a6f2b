"""The proof: the chosen treatment against none, over seeds; and what the runs say of themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..schema.treatment import text
from .budget import Budget
from .candidates import Candidate
from .engine import Engine
from .job import Job, Outcome
from .score import Comparison, Estimate, better, compare, estimate, order
from .search import Goal, Tried

#: Finalists put to the proof, where the budget holds them: among those that train, the best on one
#: seed is the best by luck of that seed, too.
MOST_PROOFS = 3


class Confirmation:
    """Runs pairs of treated and untreated trainings, full length, seed by seed."""

    def __init__(
        self,
        engine: Engine,
        budget: Budget,
        goal: Goal,
        baseline: Outcome,
        trials: list[Tried],
        tell: Callable[[str, int], None],
    ) -> None:
        self.engine, self.budget, self.goal, self.tell = engine, budget, goal, tell
        self.trials = trials
        self.before: dict[int, Outcome] = {0: baseline}

    def of(
        self, finalists: Sequence[Candidate], seeds: int
    ) -> tuple[Candidate, Comparison, Estimate, Estimate] | None:
        """The finalist with the best mean over the seeds among those that prove better.

        As many are put to the proof as the budget holds, at most `MOST_PROOFS`. If none proves
        better, the one that wins on most seeds, if on more than half; else None. A finalist that
        is no better on seed 0 is passed over.
        """
        proofs: list[tuple[Candidate, Comparison, Estimate, Estimate]] = []
        for candidate in finalists:
            first = self._first(candidate)
            if first is None or not self._better(first, self.before[0]):
                continue
            if len(proofs) == MOST_PROOFS or (
                proofs and self.budget.affordable(0) < 1.5 * (seeds - 1)
            ):
                break
            proofs.append((candidate, *self._over_seeds(candidate, first, seeds)))
        proven = [p for p in proofs if p[1].proven]
        if proven:
            return min(proven, key=lambda p: (order(p[3].mean, self.goal.larger), len(p[0])))
        winning = [p for p in proofs if p[1].wins * 2 > p[1].seeds]
        return max(winning, key=lambda p: p[1].wins, default=None)

    def _over_seeds(
        self, candidate: Candidate, first: Outcome, seeds: int
    ) -> tuple[Comparison, Estimate, Estimate]:
        missing = [s for s in range(1, seeds) if s not in self.before]
        limit = self.budget.limit(0)
        # Seed by seed, untreated and treated side by side: a budget that ends cuts whole pairs.
        jobs = []
        for s in range(1, seeds):
            jobs += [Job(seed=s, seconds=limit)] if s in missing else []
            jobs.append(Job(text(candidate), seed=s, seconds=limit))
        cut = self.budget.affordable(0)
        jobs = jobs[:cut]
        self.tell("confirm", len(jobs))
        after = {0: first}
        for job, outcome in self.engine.run(jobs):
            self.budget.spend(outcome.steps)
            treated = bool(job.treatments)
            (after if treated else self.before)[job.seed] = outcome
            self.trials.append(Tried("confirm", candidate if treated else (), job, outcome))
        both = sorted(self.before.keys() & after.keys())
        old = [self.goal.of(self.before[s]) for s in both]
        new = [self.goal.of(after[s]) for s in both]
        return compare(old, new, self.goal.larger), estimate(old), estimate(new)

    def _first(self, candidate: Candidate) -> Outcome | None:
        found = [t.outcome for t in self.trials if t.candidate == candidate and not t.job.steps]
        return found[0] if found else None

    def _better(self, a: Outcome, b: Outcome) -> bool:
        return better(self.goal.of(a), self.goal.of(b), self.goal.larger)


def uncontrolled(baseline: Outcome, trials: Sequence[Tried]) -> list[str]:
    """What pairs of runs that should be equal, or should differ, say of the script."""
    said = list(baseline.uncontrolled)
    for t in trials:
        said += t.outcome.uncontrolled
        if t.candidate:
            continue
        at = _parted(baseline, t.outcome)
        if t.job.seed == 0 and at is not None:
            said.append(
                f"two runs with the same seed part at step {at}: the script draws random numbers "
                "that seeds do not govern, or sums in no fixed order"
            )
        same = t.outcome.losses and at is None and t.outcome.ended == baseline.ended
        if t.job.seed and same:
            said.append(
                "another seed gives the same losses to the bit: the script ignores seeds, so the "
                "intervals tell of repetition only"
            )
    return said


def _parted(a: Outcome, b: Outcome) -> int | None:
    """The first step at which two loss curves differ; None if they do not where both are known."""
    if len(a.loss_steps) > 2 and len(b.loss_steps) > 2 and a.loss_steps[1] != b.loss_steps[1]:
        return None  # thinned differently
    for step, other, x, y in zip(a.loss_steps, b.loss_steps, a.losses, b.losses, strict=False):
        if step != other or (x != y and x == x and y == y):
            return step
    return None
