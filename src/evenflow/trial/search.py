"""The search: successive halving over treatments, their combinations and learning rates.

    screen    every course by itself                 shortest horizon
    rates     the best, decade by decade, down and up, while it helps
    combine   unions of the best                     shortest horizon
    race      the best of all these                  three times as long
    refine    half decades of rate around the best, on in the direction that helps
    final     the best, with a rate that falls to    the script's whole length
              the end, as it is, and gentler

Losers are stopped at their horizon. The untreated script runs along at each: same seed, same data
order, so that scores are differences of treatment alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..schema import treatment_text
from .candidates import (
    DECADE,
    HALF,
    HIGHEST,
    LOWEST,
    RATE,
    Candidate,
    base,
    change,
    combinations,
    decayed,
    neighbours,
    rescaled,
    spread,
    union,
)
from .goal import Trials, merit
from .job import Job, Outcome
from .score import alike, better, first_loss, loss_at, order

#: Ratio of one horizon to the one before.
RATIO = 3
#: No horizon is shorter: the first losses of a run tell of the start only.
FEWEST_STEPS = 12
#: The shortest rung is at most this part of the whole.
LONGEST = 5
#: At most so many courses are tried by themselves.
WIDEST = 20
#: Room is kept for so many combinations, runs over the second horizon, and whole runs.
UNIONS, RACERS, FINALS = 3, 5, 5
#: At most so many finalists run with a decaying rate first.
DECAYED = 3
#: Of what is free for short runs the race is kept at most this share.
RACE_SHARE = 0.5
#: With room for fewer runs than this the race is among treatments that learn already.
DEAR = 4
#: At least so many courses are tried by themselves.
FEWEST_SCREENED = 4
#: A loss lower by this share than the untreated one's at the same step counts as learning.
LEARNS = 0.03
#: How a trial ended whose treatment need not be tried again.
UNABLE = ("refused", "error", "killed")
#: Among losses closer than this share of what the best has gained the smaller change is preferred.
TIE = 0.01


@dataclass(slots=True)
class Search(Trials):
    """State of one search.

    Attributes:
        companion, decay: whether clipping, and a decaying rate, may be put on top of the best.
        singles: the courses to try. reserve: of the budget, kept for what follows.
        first, second: updates of the two rungs. finals: runs of the whole length to keep room for.
    """

    companion: bool = True
    decay: bool = True
    singles: list[Candidate] = field(default_factory=list)
    reserve: float = 0.0
    first: int = 0
    second: int = 0
    finals: int = 1

    def run(self, prescribed: Sequence[Candidate], reserve: float) -> list[Candidate]:
        """Finalists, best first; `reserve` of the budget is kept for what follows.

        With a budget for short runs only (`short`), they are ranked at the longest of these.
        """
        self.singles = list(prescribed[:WIDEST])
        if not self.singles:
            return []
        short = self.short
        self.reserve = 0.0 if short else reserve
        whole = self.budget.cost(0) or 1.0
        # A third of the search for runs of the whole length: only they tell the metric itself.
        ample = (self.budget.left() - self.reserve) / (2.2 * whole)
        self.finals = max(1, int(min(FINALS, ample)))
        self.first, self.second = self._horizons()
        # Dear scripts: the first of the prescription only, as rates and a race must follow.
        room = self.budget.affordable(self.first, self.reserve) - 1
        if self.second > self.first:
            room = min(room, max(FEWEST_SCREENED, self._room() // 2))
        self._ask("screen", [(), *self.singles[: max(1, room)]], self.first)
        if self.second > self.first:
            self._rates()
            self._combine()
            self._race()
        ranked = self._treated(self.second)
        if short:
            return ranked[:3]
        return self._closing(self._alternating(ranked, self.second), self._finals())

    @property
    def short(self) -> bool:
        """Is there no room for a treated run of the whole length?"""
        whole = self.baseline.whole and self.budget.full > 0
        return not whole or self.budget.affordable(0) < 1

    def _horizons(self) -> tuple[int, int]:
        """Updates of the first two rungs."""
        budget = self.budget
        full = self.baseline.steps
        if full <= 2 * FEWEST_STEPS and not self.short:
            return full, full
        first = max(FEWEST_STEPS, -(-full // RATIO**2))
        if budget.runs is None and budget.per_step > 0:
            # Below the time a process takes to start, fewer updates save nothing.
            first = max(first, min(int(budget.start / budget.per_step), full // LONGEST))
        # Half of what there is goes to the shortest rung (screen, rates, combinations).
        runs = 1.6 * len(self.singles) + 4
        while first > FEWEST_STEPS and runs * budget.cost(first) > 0.5 * (
            budget.left() - self.reserve
        ):
            first = max(FEWEST_STEPS, first * 2 // 3)
        return min(first, full), min(first * RATIO, full)

    def _rates(self) -> None:
        """Along the ladders of the best: down as long as lower is better, and up likewise.

        A network that cannot learn yet shows it by a loss that only wobbles: there the ladder goes
        on down, until a rung is reached on which any network learns. So the rate that depth
        demands is found, however low it lies.
        """

        def room() -> int:
            return max(0, self._room() - unions)

        unions = min(UNIONS, self._room() // 2)

        treated = self._treated(self.first)
        tops = spread(treated, 3, each=1)
        if not self._learners():
            # Nothing trains at the script's own rate: then the order of prescription counts, too.
            turns = zip(self._able(self.singles), treated, strict=False)
            tops = spread([c for pair in turns for c in pair], 6, each=1)
            # Three rungs for each, if there is no more: a rate tells more than another treatment.
            tops = tops[: max(2, room() // 3)]
            # Too low a rate looks the same over so short a way as one that lets nothing be learned.
            self._ask("rates", [rescaled(c, DECADE) for c in tops[:2]][: room()], self.first)
            if self._learners():
                tops = tops[:1]
        else:
            keep = self.reserve + 4 * self.budget.cost(self.second)
            if self.budget.affordable(self.first, keep) < 12:
                tops = tops[:1]
        self._walk(tops, 1 / DECADE, LOWEST, room)
        learners = self._learners()
        up = [c for c in self._treated(self.first) if base(c) in learners]
        self._walk(spread(up, 2, each=1), DECADE, HIGHEST, room)

    def _walk(
        self, starts: Sequence[Candidate], factor: float, rungs: int, room: Callable[[], int]
    ) -> None:
        """From each start rung by rung, while the last rung is the best of its ladder so far."""
        going = list(starts)
        for _ in range(rungs):
            before = {base(c): self._best(base(c)) for c in going}
            searching = factor < 1 and not self._learners()
            following = [rescaled(c, factor) for c in going][: room()]
            if not following:
                return
            self._ask("rates", following, self.first)
            going = [
                c
                for c in self._able(following)
                if searching or _clearly(self._value(c, self.first), before[base(c)])
            ]

    def _best(self, name: str) -> float | None:
        """Of all rungs of a ladder that were run over the first horizon."""
        runs = self._at(self.first).items()
        values = [loss_at(o, self.first) for c, o in runs if base(c) == name and c]
        return min((v for v in values if v is not None), default=None)

    def _learners(self) -> set[str]:
        """Ladders with a rung that learns within the first horizon."""
        return {base(c) for c in self._at(self.first) if c and self._learns(c)}

    def _able(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Without those that could not be applied, or that the script failed with."""
        unable = {t.candidate for t in self.trials if t.outcome.ended in UNABLE}
        return [c for c in candidates if c not in unable]

    def _combine(self) -> None:
        """Unions of the best."""
        tops = spread(self._treated(self.first), 4, each=1)
        both = combinations(tops, min(5, self._room()), companion=self.companion)
        if both:
            self._ask("combine", both, self.first)

    def _race(self) -> None:
        """The best of the short rung, and the first prescription, over a longer distance."""
        steps = self.second
        keep = self.reserve + (0.0 if self.short else self.finals * self.budget.cost(0))
        affordable = self.budget.affordable(steps, keep)
        room = max(2, min(7, affordable - (3 if affordable > 5 else 2)))
        runners = spread(self._alternating(self._treated(self.first), self.first), room - 1)
        kept = {base(c) for c in runners}
        late = [c for c in self._able(self.singles) if base(c) not in kept]
        learners = self._learners()
        if learners and affordable < DEAR:
            # The rate of what learns tells more than what may yet begin to.
            runners, late = [c for c in runners if base(c) in learners], []
        self._ask("race", list(dict.fromkeys([*runners, *late[:1]]))[:room], steps)
        # What is slow to begin with is met here first, and may go with what began well.
        tops = spread(self._treated(steps), 3, each=1)
        slower = (tuple(t for t in c if t.kind != RATE) for c in tops[1:])
        joined = [u for c in slower if (u := union(tops[0], c))]  # at the rate of the first
        self._ask("combine", joined[: max(0, self.budget.affordable(steps, keep) - 2)], steps)
        for best in spread(self._treated(steps), 2, each=1):
            if self.budget.affordable(steps, keep) >= 2:
                self._refine(best, steps, keep)

    def _refine(self, best: Candidate, steps: int, keep: float) -> None:
        """Half a decade down and up; and on in the direction that helps."""
        both = (1 / HALF, HALF)
        self._ask("refine", [c for f in both if (c := rescaled(best, f))], steps)
        for factor in both:
            at, here = rescaled(best, factor), self._value(best, steps)
            while better(self._value(at, steps), here, larger=False):
                here, at = self._value(at, steps), rescaled(at, factor)
                if self.budget.affordable(steps, keep) < 1:
                    return
                self._ask("refine", [at], steps)

    def _closing(self, ranked: list[Candidate], most: int) -> list[Candidate]:
        """The finals: the best with a decaying rate; then, one by one, from the best so far, as it
        is, and gentler and bolder by half a decade; then others.

        Over a short way the largest rate that holds looks best; over the whole length it often is
        so only if it is let down, and what is held out may ask for a lower one still (measured:
        docs/decisions.md, 50).
        """
        plain = spread(ranked, most)
        if not self.decay or most < 2:
            return self._final(plain)
        steps = self.baseline.steps
        first = spread(ranked, min(DECAYED, most - 1, max(most - 2, 2)), each=1)
        ranked = self._final([decayed(c, steps) for c in first])
        for _ in range(most - len(ranked)):
            near = [c for best in ranked[:1] for c in neighbours(best, steps)]
            done = set(map(treatment_text, ranked))
            fresh = [c for c in self._able([*near, *plain]) if treatment_text(c) not in done]
            if fresh := fresh[: min(most - len(ranked), self.budget.size)]:
                ranked = self._final(fresh)
        return ranked

    def _final(self, candidates: list[Candidate]) -> list[Candidate]:
        """Over the whole length, best first (`merit`)."""
        self._ask("final", candidates, 0)
        done = {t.candidate: t.outcome for t in self.trials if t.stage == "final"}
        return sorted(done, key=lambda c: merit(self.goal, c, [done[c]]))

    def leader(self) -> Candidate:
        """Best at the longest horizon run, if it beats the untreated script there; else ()."""
        longest = max((t.job.steps for t in self.trials), default=0)
        best = next(iter(self._treated(longest)), ()) if longest else ()
        value, untreated = self._value(best, longest), loss_at(self.baseline, longest)
        return best if best and better(value, untreated, larger=False) else ()

    def _finals(self) -> int:
        """Runs of the whole length: up to five; six if the proof is paid for twice over."""
        room = self.budget.affordable(0, self.reserve)
        ample = self.budget.affordable(0, 2.0 * self.reserve)
        return max(1, min(6, ample), min(FINALS, room))

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
        return list(dict.fromkeys(c for pair in zip(ranked, by_metric, strict=False) for c in pair))

    # -- asking and ranking -------------------------------------------------------------------
    def _ask(self, stage: str, candidates: Sequence[Candidate], steps: int) -> None:
        """Run those over so many updates that can be run and were not."""
        asked = {treatment_text(c) for c in self._at(steps)}
        fresh = {
            treatment_text(c): c for c in self._able(candidates) if treatment_text(c) not in asked
        }
        limit = self.budget.limit(steps)
        # Whole runs are watched as the untreated one was, so that the two can be laid side by side.
        jobs = {Job(t, steps=steps, seconds=limit, watch=not steps): c for t, c in fresh.items()}
        self.ask(stage, jobs)

    def _at(self, steps: int) -> dict[Candidate, Outcome]:
        return {t.candidate: t.outcome for t in self.trials if t.job.steps == steps}

    def _value(self, candidate: Candidate, steps: int) -> float | None:
        outcome = self._at(steps).get(candidate)
        return None if outcome is None else loss_at(outcome, steps)

    def _treated(self, steps: int) -> list[Candidate]:
        return [c for c in self._ranked(steps) if c]

    def _ranked(self, steps: int) -> list[Candidate]:
        """By loss; of equals (within 1 % of what the best gains) the smaller change first.

        Of those that did the same (clipping that never clipped, or that the script does itself)
        all but the smallest change come last.
        """
        at = {c: o for c, o in self._at(steps).items() if o.ended not in UNABLE}
        scores = {c: loss_at(o, steps) for c, o in at.items()}
        ranked = sorted(scores, key=lambda c: (order(scores[c], larger=False), change(c)))
        # An untreated loss that has exploded is no measure of what was gained.
        worst = (*map(first_loss, at.values()), loss_at(self.baseline, steps))
        best, tie = scores[ranked[0]] if ranked else None, 0.0
        if best is not None:
            tie = TIE * max(0.0, min((v for v in worst if v is not None), default=best) - best)
        for i in range(len(ranked) - 1, 0, -1):
            above, here = scores[ranked[i - 1]], scores[ranked[i]]
            if above is None or here is None:
                continue
            if here - above < tie and change(ranked[i]) < change(ranked[i - 1]):
                ranked[i - 1], ranked[i] = ranked[i], ranked[i - 1]
        seen: list[Sequence[float]] = []
        again = []
        for c in sorted(ranked, key=len):
            if any(alike(at[c].losses, curve) for curve in seen):
                again.append(c)
            seen.append(at[c].losses)
        return [*(c for c in ranked if c not in again), *again]

    def _learns(self, candidate: Candidate) -> bool:
        """Does it bring the loss clearly below the untreated one's, and below its own start?

        The untreated loss counts as it is at its worse, then or at the end: a training that is
        about to break down may be ahead for a while.
        """
        steps = self.first
        value, start = self._value(candidate, steps), first_loss(self._at(steps)[candidate])
        if value is None:
            return False
        untreated = [loss_at(self.baseline, steps), loss_at(self.baseline)]
        worse = [math.inf if u is None else u for u in untreated]
        fell = start is None or value < start - LEARNS * abs(start)
        return fell and value < max(w - LEARNS * abs(w) if w < math.inf else w for w in worse)

    def _room(self) -> int:
        """Runs of the shortest rung that leave room for a race and a final."""
        whole = 0.0 if self.short else self.finals * self.budget.cost(0)
        race = RACERS * self.budget.cost(self.second)
        free = self.budget.left() - self.reserve - whole
        if self.budget.runs is None and free < math.inf:  # a dear script's race is smaller
            race = min(race, RACE_SHARE * max(0.0, free))
        return self.budget.affordable(self.first, self.reserve + whole + race)


def _clearly(value: float | None, before: float | None) -> bool:
    """Better by more than a loss wobbles that only nears that of a network's own indifference."""
    margin = TIE * abs(before) if before is not None else 0.0
    return better(value, None if before is None else before - margin, larger=False)
