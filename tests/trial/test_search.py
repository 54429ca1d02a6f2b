"""The search and the proof against a made-up world, where the best treatment is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from evenflow.schema import Treatment
from evenflow.schema import parse_treatments as parse
from evenflow.schema import treatment_text as text
from evenflow.trial.budget import TrialBudget
from evenflow.trial.candidates import base, decayed, rescaled, steady
from evenflow.trial.confirm import Confirmation, uncontrolled
from evenflow.trial.goal import CureGoal, Tried
from evenflow.trial.job import Job, Outcome
from evenflow.trial.search import Search

FULL = 270
PRESCRIBED = [parse(t) for t in (
    "init=lsuv", "init=he", "norm=batch", "activation=relu", "warmup=50", "dropout=0.1",
    "skip=rezero", "bias=zero",
)]  # fmt: skip
World = Callable[[frozenset[str], float, int], float]  # texts, rate, seed -> loss lost a step


def scale(candidate: Sequence[Treatment]) -> float:
    return next((float(t.value[1:]) for t in candidate if t.kind == "lr"), 1.0)


class Engine:
    """Losses fall from 2.3 at a speed that `world` gives; the metric is what was gained."""

    def __init__(self, world: World, full: int = FULL, fails: str = "") -> None:
        self.world, self.full, self.fails = world, full, fails
        self.jobs: list[Job] = []

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Outcome]]:
        for job in jobs:
            self.jobs.append(job)
            yield job, self.outcome(job)

    def outcome(self, job: Job) -> Outcome:
        candidate = parse(job.treatments)
        if self.fails and self.fails in job.treatments:
            return Outcome("refused", f"{self.fails} does not suit it")
        texts = frozenset(str(t) for t in candidate if not str(t).startswith("lr=x"))
        speed = self.world(texts, scale(candidate), job.seed)
        steps = min(job.steps or self.full, self.full)
        losses = tuple(max(0.0, 2.3 - speed * s / self.full) for s in range(steps))
        whole = not job.steps or job.steps >= self.full
        return Outcome(
            "finished" if whole else "horizon",
            steps=steps,
            seconds=1.0 + steps / 100,
            start=1.0,
            loss_steps=tuple(range(steps)),
            losses=losses,
            metric=2.3 - losses[-1] if whole else None,
        )


def search(engine: Engine, **budget: float) -> tuple[Search, Outcome]:
    baseline = engine.outcome(Job())
    account = TrialBudget(**budget)  # type: ignore[arg-type]
    account.measured(baseline.seconds, baseline.start, baseline.steps, whole=True)
    account.spend(baseline.steps)
    found = Search(engine, account, CureGoal(metric=True, larger=True), baseline)
    return found, baseline


def test_a_single_cure_is_found_within_twelve_runs() -> None:
    def world(texts: frozenset[str], rate: float, seed: int) -> float:
        return (2.0 if "skip=rezero" in texts else 0.01) * min(1.0, rate)

    engine = Engine(world)
    found, baseline = search(engine, runs=12.0)
    finalists = found.run(PRESCRIBED, reserve=4.0)
    assert text(finalists[0]) == "skip=rezero"
    proof = Confirmation(
        engine, found.budget, found.goal, baseline, found.trials, lambda *_: None
    ).of(finalists, 2)
    assert proof is not None and proof[1].proven and proof[1].seeds == 2
    spent = 1 + sum(engine.outcome(j).steps for j in engine.jobs) / FULL
    assert spent <= 12.0
    assert max(j.steps for j in engine.jobs if j.steps) < FULL


def test_the_learning_rate_that_depth_demands_is_found() -> None:
    """Only one initialisation trains, and only near a rate of 0.003; above it losses wobble."""

    def world(texts: frozenset[str], rate: float, seed: int) -> float:
        if "init=he" not in texts or rate > 0.011:
            return 0.0
        return 1.5 * min(rate / 0.003, 0.003 / rate)

    found, _ = search(Engine(world), seconds=10_000.0)
    best = found.run(PRESCRIBED, reserve=0.0)[0]
    assert {str(t) for t in best if t.kind != "lr"} >= {"init=he"}
    assert 0.002 < scale(best) < 0.0045


def test_winners_are_combined() -> None:
    def world(texts: frozenset[str], rate: float, seed: int) -> float:
        together = {"init=lsuv", "norm=batch"} <= texts
        return (2.0 if together else 0.2 * len(texts & {"init=lsuv", "norm=batch"})) * (rate == 1.0)

    found, _ = search(Engine(world), runs=12.0)
    assert text(found.run(PRESCRIBED, reserve=4.0)[0]) == "init=lsuv; norm=batch"


def test_what_is_refused_is_a_trial_and_never_a_finalist() -> None:
    engine = Engine(lambda texts, rate, seed: 1.0, fails="init=lsuv")
    found, _ = search(engine, runs=12.0)
    finalists = found.run(PRESCRIBED, reserve=4.0)
    assert all("init=lsuv" not in text(c) for c in finalists)
    assert any(t.outcome.ended == "refused" for t in found.trials)


def test_a_budget_for_short_runs_only_ranks_by_them() -> None:
    engine = Engine(lambda texts, rate, seed: 2.0 if "init=he" in texts else 0.01)
    found, _ = search(engine, runs=1.9)
    assert found.short
    found.run(PRESCRIBED[:4], reserve=0.0)
    assert all(0 < j.steps < FULL for j in engine.jobs)
    assert "init=he" in text(found.leader())


def test_nothing_leads_where_nothing_helps() -> None:
    found, _ = search(Engine(lambda texts, rate, seed: 1.0 - 0.5 * bool(texts)), runs=1.9)
    found.run(PRESCRIBED[:4], reserve=0.0)
    assert found.leader() == ()


def confirmation(
    world: World, *texts: str, seeds: int = 3, runs: float = 100.0
) -> tuple[object, list[Tried]]:
    """The proof after finals of these treatments on seed 0; and all that was run."""
    engine = Engine(world)
    found, baseline = search(engine, runs=runs)
    candidates = [parse(t) for t in texts or ("init=he",)]
    for c in candidates:
        job = Job(text(c))
        found.trials.append(Tried("final", c, job, engine.outcome(job)))
    told = Confirmation(engine, found.budget, found.goal, baseline, found.trials, lambda *_: None)
    return told.of(candidates, seeds), found.trials


def test_luck_on_one_seed_is_no_proof() -> None:
    lucky, _ = confirmation(lambda texts, rate, seed: 1.0 if texts and seed == 0 else 0.5)
    assert lucky is None
    mostly, _ = confirmation(
        lambda texts, rate, seed: 0.5 + 0.3 * bool(texts) * (seed != 2) + seed / 100
    )
    assert mostly is not None and not mostly[1].proven and mostly[1].wins == 2


def test_what_is_reported_had_no_say_in_the_choice() -> None:
    """One treatment is lucky on the seed of the search; the other is better on all others."""

    def world(texts: frozenset[str], rate: float, seed: int) -> float:
        if "init=he" in texts:
            return 2.0 if seed == 0 else 0.3
        return 1.2 if texts else 0.1

    proof, trials = confirmation(world, "init=he", "init=lsuv")
    assert proof is not None and text(proof[0]) == "init=lsuv"
    proven = {t.job.seed for t in trials if t.stage == "confirm"}
    chosen = {t.job.seed for t in trials if t.stage in ("final", "choice")}
    assert proven == {3, 4, 5} and chosen == {0, 1, 2}
    assert len(proof[3].per_seed) == 3


def test_a_finalist_that_fails_its_proof_gives_way_to_the_next() -> None:
    def world(texts: frozenset[str], rate: float, seed: int) -> float:
        if "init=he" in texts:
            return 2.0 if seed < 3 else 0.05
        return (1.2 if texts else 0.1) + seed / 100

    proof, _ = confirmation(world, "init=he", "init=lsuv")
    assert proof is not None and text(proof[0]) == "init=lsuv" and proof[1].proven


def test_after_a_failed_proof_another_change_comes_before_another_rate() -> None:
    def world(texts: frozenset[str], rate: float, seed: int) -> float:
        if "init=lsuv" in texts:
            return 1.2 + seed / 100
        return 2.0 if texts and seed < 3 else 0.05 + seed / 100

    texts = ("init=he", "init=he; lr=x3.16", "init=lsuv")
    proof, trials = confirmation(world, *texts)
    assert proof is not None and text(proof[0]) == "init=lsuv" and proof[1].proven
    confirmed = {t.text for t in trials if t.stage == "confirm"}
    assert confirmed == {"", "init=he", "init=lsuv"}


def test_of_equals_the_one_that_never_lost_its_way_goes_first() -> None:
    """Both reach the end; one of them by a leap back on the way, and it is the smaller change."""

    class Leaps(Engine):
        def outcome(self, job: Job) -> Outcome:
            done = super().outcome(job)
            if "clip" in job.treatments or "init=he" not in job.treatments:
                return done
            leap = tuple(v + 2.0 * (s == len(done.losses) // 2) for s, v in enumerate(done.losses))
            return replace(done, losses=leap)

    engine = Leaps(lambda texts, rate, seed: 2.2 if "init=he" in texts else 0.01)
    found, _ = search(engine, runs=60.0)
    steady, rash = parse("init=he; clip=norm:1.0"), parse("init=he")
    assert [text(c) for c in found._final([rash, steady])] == [text(steady), text(rash)]


def test_of_equals_the_one_that_learned_sooner_goes_first() -> None:
    """Both end alike on every seed; the larger change gets there in half the time."""

    class Early(Engine):
        def outcome(self, job: Job) -> Outcome:
            done = super().outcome(job)
            early = tuple(done.losses[min(2 * s, done.steps - 1)] for s in range(done.steps))
            return replace(done, losses=early) if "clip" in job.treatments else done

    engine = Early(lambda texts, rate, seed: 2.2 if "init=he" in texts else 0.01)
    found, baseline = search(engine, runs=60.0)
    late, early = parse("init=he"), parse("init=he; clip=norm:1.0")
    assert [text(c) for c in found._final([late, early])] == [text(early), text(late)]
    told = Confirmation(engine, found.budget, found.goal, baseline, found.trials, lambda *_: None)
    ranked, seeds = told._choice([late, early], 3)
    assert [text(c) for c in ranked] == [text(early), text(late)] and seeds == 3


def test_two_seeds_more_where_the_budget_holds_them() -> None:
    """A training that breaks on every third seed is not the one that is put to the proof."""

    def world(texts: frozenset[str], rate: float, seed: int) -> float:
        if "init=he" in texts:
            return 0.3 if seed % 3 == 2 else 2.0
        return (1.9 if texts else 0.1) + seed / 1000

    proof, trials = confirmation(world, "init=he", "init=lsuv")
    assert proof is not None and text(proof[0]) == "init=lsuv" and proof[1].proven
    assert {t.job.seed for t in trials if t.stage == "choice"} == {1, 2}


def test_a_proof_is_broken_off_where_a_seed_breaks_down() -> None:
    """What promised 2.0 gives 0.3 on the second seed of its proof: better than nothing, though."""

    def world(texts: frozenset[str], rate: float, seed: int) -> float:
        if "init=he" in texts:
            return 0.3 if seed == 4 else 2.0
        return (1.2 if texts else 0.1) + seed / 1000

    proof, trials = confirmation(world, "init=he", "init=lsuv")
    assert proof is not None and text(proof[0]) == "init=lsuv" and proof[1].proven
    run = [t.job.seed for t in trials if t.stage == "confirm" and t.text == "init=he"]
    assert run == [3, 4]
    alone, _ = confirmation(world, "init=he")  # nothing to give way to: all its seeds are told
    assert alone is not None and alone[1].seeds == 3


def test_the_budget_cuts_whole_pairs() -> None:
    world: World = lambda texts, rate, seed: 1.0 + bool(texts) + seed / 100  # noqa: E731
    found, _ = confirmation(world, runs=6.0)
    assert found is not None and found[1].seeds == 2
    three = ("init=he", "init=lsuv", "norm=batch")
    _, trials = confirmation(world, *three, runs=5.0)  # no room for a second seed of the choice
    assert not [t for t in trials if t.stage == "choice"]
    one, trials = confirmation(world, runs=2.0)
    assert one is not None and not one[1].proven and one[1].seeds == 1
    assert {t.stage for t in trials} == {"final"}


def same(seed: int, losses: tuple[float, ...]) -> Tried:
    steps = tuple(range(len(losses)))
    outcome = Outcome("finished", steps=len(losses), loss_steps=steps, losses=losses)
    return Tried("confirm", (), Job(seed=seed), outcome)


def test_runs_tell_whether_seeds_govern_them() -> None:
    baseline = same(0, (3.0, 2.0, 1.0)).outcome
    assert uncontrolled(baseline, [same(0, (3.0, 2.0)), same(1, (3.1, 2.0, 1.0))]) == []
    assert "part at step 1" in uncontrolled(baseline, [same(0, (3.0, 2.1))])[0]
    assert "ignores seeds" in uncontrolled(baseline, [same(1, (3.0, 2.0, 1.0))])[0]


@pytest.mark.parametrize("full", [3, 10, 24, 25, 60, 5000])
def test_horizons_suit_scripts_of_any_length(full: int) -> None:
    engine = Engine(lambda texts, rate, seed: 1.0 + ("norm=batch" in texts), full=full)
    found, _ = search(engine, runs=30.0)
    finalists = found.run(PRESCRIBED, reserve=4.0)
    assert "norm=batch" in text(finalists[0])
    assert all(job.steps <= full for job in engine.jobs)


def test_no_prescription_no_trial() -> None:
    engine = Engine(lambda texts, rate, seed: 1.0)
    found, _ = search(engine, runs=12.0)
    assert found.run([], reserve=4.0) == [] and engine.jobs == []


def test_equal_trials_prefer_the_smaller_change() -> None:
    engine = Engine(lambda texts, rate, seed: 2.0 if "init=he" in texts else 0.0)
    found, _ = search(engine, runs=30.0)
    found._ask("screen", [parse("init=he; norm=batch"), parse("init=he")], 30)
    assert [text(c) for c in found._ranked(30)][:2] == ["init=he", "init=he; norm=batch"]
    assert isinstance(found._ranked(30)[0][0], Treatment)


def test_beside_a_loss_that_exploded_not_all_are_equal() -> None:
    """What lies 1e30 below it may still be far from the best."""

    class Explodes(Engine):
        def outcome(self, job: Job) -> Outcome:
            done = super().outcome(job)
            return done if job.treatments else replace(done, losses=(1e30,) * done.steps)

    def world(texts: frozenset[str], rate: float, seed: int) -> float:
        together = {"init=lsuv", "norm=batch"} <= texts
        return (2.0 if together else 0.7 * len(texts & {"init=lsuv", "norm=batch"})) * (rate == 1.0)

    found, _ = search(Explodes(world), runs=12.0)
    found.run(PRESCRIBED, reserve=4.0)
    raced = max(t.job.steps for t in found.trials if t.job.steps)
    assert text(found._ranked(raced)[0]) == "init=lsuv; norm=batch"


def test_a_rate_far_too_low_is_not_taken_for_a_network_that_cannot_learn() -> None:
    """One treatment trains, and only far above the script's own rate; all else stays flat."""

    def world(texts: frozenset[str], rate: float, seed: int) -> float:
        if "init=he" not in texts or rate > 150.0:
            return 0.0
        return 2.0 * min(rate / 50.0, 1.0)

    engine = Engine(world)
    first = [parse("init=he"), *(c for c in PRESCRIBED if text(c) != "init=he")]
    found, _ = search(engine, runs=12.0)
    best = found.run(first, reserve=4.0)[0]
    assert 10.0 <= scale(best) <= 150.0 and "init=he" in text(best)


def test_twelve_runs_hold_three_of_the_whole_length_beside_the_proof() -> None:
    many = [*PRESCRIBED, *(parse(f"l2=1e-{k}") for k in range(2, 12))]
    engine = Engine(lambda texts, rate, seed: 0.3 * len(texts) * min(rate, 1.0))
    found, _ = search(engine, runs=12.0)
    assert len(found.run(many, reserve=4.0)) == 3
    assert sum(t.stage == "race" for t in found.trials) >= 3
    assert found.budget.left() >= 4.0


def test_a_rate_that_has_to_fall_is_let_down() -> None:
    """Over a short way it makes no difference, over the whole length it decides."""

    class Settles(Engine):
        def outcome(self, job: Job) -> Outcome:
            done = super().outcome(job)
            fell = f"decay={FULL}" in job.treatments and done.ended == "finished"
            return replace(done, metric=9.0) if fell else done

    def world(texts: frozenset[str], rate: float, seed: int) -> float:
        return (1.5 if "init=he" in texts else 0.01) * (min(rate, 3.0) if rate < 50.0 else 0.0)

    engine = Settles(world)
    found, _ = search(engine, runs=12.0)
    best = found.run(PRESCRIBED, reserve=4.0)[0]
    assert "init=he" in text(best) and f"decay={FULL}" in text(best)
    assert not any("decay" in j.treatments for j in engine.jobs if j.steps)
    as_it_is, _ = search(Settles(world), runs=12.0)
    as_it_is.decay = False
    finalists = as_it_is.run(PRESCRIBED, reserve=4.0)
    assert finalists and not any("decay" in text(c) for c in finalists)


def test_a_decay_that_changes_nothing_is_not_kept() -> None:
    engine = Engine(lambda texts, rate, seed: (2.0 if "init=he" in texts else 0.01) * min(rate, 1))
    found, _ = search(engine, runs=12.0)
    finalists = [text(c) for c in found.run(PRESCRIBED, reserve=4.0)]
    assert finalists[0] == "init=he" and f"init=he; decay={FULL}" in finalists


def test_a_decaying_rate_is_a_rung_of_the_same_ladder() -> None:
    c = parse("init=he; lr=x0.1")
    assert text(decayed(c, 80)) == "init=he; decay=80; lr=x0.1"
    assert steady(decayed(c, 80)) == c and base(decayed(c, 80)) == base(c)
    assert rescaled(decayed(c, 80), 10.0) == decayed(parse("init=he"), 80)
    assert decayed(decayed(c, 80), 90) == decayed(c, 80) and decayed(c, 1) == c


def test_what_is_held_out_may_ask_for_a_gentler_rate() -> None:
    """The loss falls fastest at the highest rate that holds; the metric is best below it."""

    class Overfits(Engine):
        def outcome(self, job: Job) -> Outcome:
            done = super().outcome(job)
            rate = scale(parse(job.treatments))
            gentle = "decay" in job.treatments and rate < 1.0
            return replace(done, metric=9.0 if gentle else 1.0) if done.metric else done

    engine = Overfits(
        lambda texts, rate, seed: (2.0 if "init=he" in texts else 0.01) * min(rate, 1)
    )
    found, _ = search(engine, runs=12.0)
    finalists = [text(c) for c in found.run(PRESCRIBED, reserve=2.0)]
    assert finalists[0] == f"init=he; decay={FULL}; lr=x0.316"
    assert "init=he" in finalists and f"init=he; decay={FULL}" in finalists
    assert not any(text(c) == "" for c in found._at(0))


def test_clipping_that_the_script_does_itself_takes_nobodys_place() -> None:
    """Clipped a second time, losses differ by rounding only."""

    def world(texts: frozenset[str], rate: float, seed: int) -> float:
        rounding = 1.0 + 1e-6 * ("clip=norm:1.0" in texts)
        best = 2.0 if "init=he" in texts else 1.5 if "norm=batch" in texts else 0.01
        return best * rounding * min(rate, 1.0) * (len(texts - {"clip=norm:1.0"}) == 1)

    found, _ = search(Engine(world), runs=12.0)
    finalists = found.run(PRESCRIBED, reserve=4.0)
    tried = {text(c) for c in (*finalists, *(t.candidate for t in found.trials))}
    assert any("clip=norm:1.0" in t for t in tried)
    assert not any("clip" in text(c) for c in finalists)
    assert any("norm=batch" in text(c) for c in finalists)


def test_what_starts_slowly_is_raced_if_it_is_prescribed_first() -> None:
    """By the first horizon it has not moved; over the whole length it is the best."""

    class Late(Engine):
        def outcome(self, job: Job) -> Outcome:
            done = super().outcome(job)
            if "skip=rezero" not in job.treatments:
                return done
            losses = tuple(2.3 if s < 40 else max(0.0, 2.3 - s / 40) for s in range(done.steps))
            whole = 2.3 - losses[-1] if done.ended == "finished" else None
            return replace(done, losses=losses, metric=whole)

    engine = Late(lambda texts, rate, seed: 0.4 * (len(texts) == 1) * min(rate, 1.0))
    slow = parse("skip=rezero")
    found, _ = search(engine, runs=12.0)
    best = found.run([slow, *(c for c in PRESCRIBED if c != slow)], reserve=4.0)[0]
    assert "skip=rezero" in text(best)


def test_of_rates_that_do_as_well_the_nearest_is_preferred() -> None:
    engine = Engine(lambda texts, rate, seed: 2.29 + rate / 1e4 if "init=he" in texts else 0.0)
    found, _ = search(engine, runs=30.0)
    rungs = [parse(f"init=he{more}") for more in ("; lr=x31.6", "; lr=x10", "; lr=x3.16")]
    found._ask("refine", rungs, FULL)
    assert [text(c) for c in found._ranked(FULL)][:1] == ["init=he; lr=x3.16"]


def test_where_a_race_is_dear_it_is_among_what_learns_and_its_rate_is_refined() -> None:
    """Over the short rung a rate too high looks best; half a decade below is better in the end."""

    def world(texts: frozenset[str], rate: float, seed: int) -> float:
        if "init=he" not in texts:
            return 0.0
        return {1.0: 0.0, 0.1: 1.6, 0.0316: 2.0, 0.01: 1.5}.get(round(rate, 4), 0.0)

    engine = Engine(world)
    found, _ = search(engine, runs=6.0)
    best = found.run([parse("init=he; lr=x0.1"), *PRESCRIBED[:1], *PRESCRIBED[2:3]], reserve=2.25)[
        0
    ]
    assert scale(best) == pytest.approx(0.0316)
    raced = [t.candidate for t in found.trials if t.stage == "race" and t.candidate]
    assert {base(c) for c in raced} == {"init=he"}
