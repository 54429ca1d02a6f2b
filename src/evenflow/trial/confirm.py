"""The proof: the chosen treatment against none, over seeds; and what the runs say of themselves.

    choice    the finalists over two more seeds, where the budget holds that beside the proof
    confirm   the best of them and the untreated script, pair by pair, on seeds that had no say

Among treatments that train, the best on one seed is the best by luck of that seed, too: a mean over
the seeds it was chosen on would promise too much.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..schema import treatment_text
from .candidates import Candidate, spread
from .goal import Trials, Tried, merit
from .job import Job, Outcome
from .score import Comparison, Estimate, better, compare, estimate

#: Seeds of the choice beside 0, and how many finalists run on them.
MORE_SEEDS, MOST_CHOSEN = (1, 2), 3
#: At most so many are put to the proof, one after the other, until one passes.
MOST_PROOFS = 3
#: What a run of a treatment may cost beyond an untreated one, when the budget is planned.
DEARER = 1.25

Proof = tuple[Candidate, Comparison, Estimate, Estimate]


class Confirmation(Trials):
    """Runs pairs of treated and untreated trainings, full length, seed by seed."""

    @property
    def before(self) -> dict[int, Outcome]:
        """The untreated run of each seed."""
        proof = (t for t in self.trials if t.stage == "confirm" and not t.candidate)
        return {0: self.baseline} | {t.job.seed: t.outcome for t in proof}

    def of(self, finalists: Sequence[Candidate], seeds: int) -> Proof | None:
        """The first finalist that proves better on `seeds` seeds which had no say in its choice.

        Finalists that are no better than nothing on seed 0 are passed over; the others are put in
        order by their mean over the seeds of the choice. The first is put to the proof; where it
        fails, or breaks down on one seed, and the budget holds it, the next, of another ladder of
        rates if there is one. If none passes: the first that is better on more seeds than worse,
        one that ran on all of them if there is any; else None. With no budget
        for a pair on a new seed (or `seeds` 0) the comparison is of seed 0 alone, and never proven.
        """
        untreated = self.goal.of(self.before[0])
        first = {c: o for c in finalists if (o := self._on(c, 0)) is not None}
        able = [c for c, o in first.items() if better(self.goal.of(o), untreated, self.goal.larger)]
        if not able:
            return None
        able, used = self._choice(able, seeds)
        fresh = range(used, used + seeds)
        # Where one rate fails on other seeds, its neighbours are no better bet than another change.
        ladders = spread(able, len(able), each=1)
        in_turn = [*ladders, *(c for c in able if c not in ladders)][:MOST_PROOFS]
        ahead: list[Candidate] = []
        for k, candidate in enumerate(in_turn):
            if k and not self._affords(seeds):
                break
            proof = self._over_seeds(candidate, fresh, give_way=candidate != in_turn[-1])
            if proof is None:
                break
            if proof[1].proven and proof[1].seeds == seeds:
                return proof
            if proof[1].ahead:
                ahead.append(candidate)
        if not ahead:
            tried = any(t.stage == "confirm" for t in self.trials)
            return None if tried else self._compared(able[0], [0])
        # Those whose proof was broken off fell short on a seed: they are the last resort.
        whole = [c for c in ahead if all(self._on(c, s) is not None for s in fresh)]
        return self._over_seeds((whole or ahead)[0], fresh)

    def _affords(self, seeds: int) -> bool:
        """Another proof, of a treatment that has not run on these seeds."""
        return self.budget.affordable(0) >= DEARER * seeds

    def _choice(self, able: list[Candidate], seeds: int) -> tuple[list[Candidate], int]:
        """Best first over the seeds of the choice (`merit`); how many seeds.

        Seed 0, where the finals were; seeds 1 and 2, if the proof leaves room for them.
        """
        ranked, asked = list(able), list(able)
        for seed in MORE_SEEDS:
            room = int(self.budget.affordable(0) - (1 + DEARER) * seeds) if seeds else 0
            asked = asked[: min(MOST_CHOSEN, room)] if room > 0 else []
            if len(asked) < 2:
                return ranked, seed
            limit = self.budget.limit(0)
            self._run("choice", [(c, Job(treatment_text(c), seed, seconds=limit)) for c in asked])
            seen = range(seed + 1)
            asked.sort(key=lambda c: merit(self.goal, c, [self._on(c, s) for s in seen]))
            ranked = [*asked, *(c for c in ranked if c not in asked)]
        return ranked, MORE_SEEDS[-1] + 1

    def _over_seeds(
        self, candidate: Candidate, seeds: Sequence[int], give_way: bool = False
    ) -> Proof | None:
        """Pairs of runs seed by seed, as far as the budget goes; those that were run are kept.

        Broken off where a seed falls far short of what the seeds of the choice promised, if it may
        `give_way` to another and the budget holds that.
        """
        pairs: list[tuple[Candidate, Job]] = []
        for seed in seeds:
            limit = self.budget.limit(0)
            # Untreated and treated side by side: a budget that ends cuts whole pairs.
            pair: list[tuple[Candidate, Job]] = []
            if seed not in self.before:
                pair.append(((), Job(seed=seed, seconds=limit)))
            if self._on(candidate, seed) is None:
                pair.append((candidate, Job(treatment_text(candidate), seed=seed, seconds=limit)))
            if len(pairs) + len(pair) > self.budget.affordable(0):
                break
            pairs += pair
            if len(pairs) < self.budget.size and seed != seeds[-1]:
                continue  # no process idles
            self._run("confirm", pairs)
            pairs = []
            if give_way and self._fell_short(candidate, seeds) and self._affords(len(seeds)):
                break
        self._run("confirm", pairs)
        both = [s for s in seeds if s in self.before and self._on(candidate, s) is not None]
        return self._compared(candidate, both) if both else None

    def _fell_short(self, candidate: Candidate, seeds: Sequence[int]) -> bool:
        """On one of these seeds nearer to the untreated mean than to what the choice showed?"""
        done = [o for s in seeds if (o := self._on(candidate, s)) is not None]
        values = [self.goal.of(o) for o in done]
        untreated = self._known(self.before.values())
        shown = self._known(self._on(candidate, s) for s in range(seeds[0]))
        if None in values or not shown or not untreated:
            return None in values
        middle = (sum(untreated) / len(untreated) + sum(shown) / len(shown)) / 2
        return any(better(middle, v, self.goal.larger) for v in values)

    def _known(self, outcomes: Iterable[Outcome | None]) -> list[float]:
        return [v for o in outcomes if o is not None and (v := self.goal.of(o)) is not None]

    def _run(self, stage: str, jobs: Sequence[tuple[Candidate, Job]]) -> None:
        if jobs:
            self.ask(stage, {job: candidate for candidate, job in jobs})

    def _compared(self, candidate: Candidate, seeds: Sequence[int]) -> Proof:
        after = [self._on(candidate, s) for s in seeds]
        old = [self.goal.of(self.before[s]) for s in seeds]
        new = [self.goal.of(o) if o is not None else None for o in after]
        return candidate, compare(old, new, self.goal.larger), estimate(old), estimate(new)

    def _on(self, candidate: Candidate, seed: int) -> Outcome | None:
        """Its run of the whole length on a seed."""
        for t in self.trials:
            if t.candidate == candidate and not t.job.steps and t.job.seed == seed:
                return t.outcome
        return None


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
