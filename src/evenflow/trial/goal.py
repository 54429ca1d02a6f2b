"""What a search is for, what it has tried, and which of its finalists is the best."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..schema import treatment_text
from .budget import TrialBudget
from .candidates import Candidate, change, hot
from .engine import Engine
from .job import Job, Outcome
from .score import estimate, loss_at, order, unlearned


@dataclass(frozen=True, slots=True)
class CureGoal:
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
        return treatment_text(self.candidate)


@dataclass(slots=True)
class Trials:
    """What a search and its proof share. `on_stage(stage, jobs)` hears of each stage before it
    runs; `trials` are all runs so far."""

    engine: Engine
    budget: TrialBudget
    goal: CureGoal
    baseline: Outcome
    trials: list[Tried] = field(default_factory=list)
    on_stage: Callable[[str, int], None] = lambda stage, jobs: None

    def ask(self, stage: str, jobs: Mapping[Job, Candidate]) -> None:
        """Run the jobs, each for its candidate, and keep the account."""
        self.on_stage(stage, len(jobs))
        for job, outcome in self.engine.run(list(jobs)):
            if not job.treatments and outcome.ended == "horizon":
                self.budget.unwatched(outcome.seconds, outcome.start, outcome.steps)
            self.budget.spend(outcome.steps, outcome.seconds)
            self.trials.append(Tried(stage, jobs[job], job, outcome))


def merit(
    goal: CureGoal, candidate: Candidate, runs: Sequence[Outcome | None]
) -> tuple[tuple[bool, float], bool, float, tuple[int, float]]:
    """A key that sorts the best finalist first: the mean over its runs of the script's whole
    length, one a seed; of equals what cools down, what learned sooner on its slowest seed, and the
    smaller change."""
    mean = estimate([None if o is None else goal.of(o) for o in runs]).mean
    slow = max((math.inf if o is None else unlearned(o) for o in runs), default=math.inf)
    return order(mean, goal.larger), hot(candidate), slow, change(candidate)
