"""Metric, scores, budgets, candidates, evenflow.toml: each by itself."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evenflow.schema import parse_treatments as parse
from evenflow.schema import treatment_text as text
from evenflow.script import Program
from evenflow.trial import budget, metric, project_config
from evenflow.trial.candidates import base, combinations, hot, rescaled, spread, union
from evenflow.trial.job import Job, Outcome, as_json, outcome_from, thinned
from evenflow.trial.score import better, compare, estimate, loss_at, order, unlearned
from evenflow.trial.seeding import STRIDE, Seeds

# -- metric -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "printed", "value"),
    [
        (r"acc ([0-9.]+)", "acc 0.1\nacc 0.95\n", 0.95),
        (r"acc (\S+)", "acc 0.5\nacc nan\n", None),
        (r"acc (\S+)", "acc inf", None),
        (r"acc ([0-9.]+)", "loss 3", None),
        (r"\d+\.\d+%", "a 1.5% b 2.5%", 2.5),
        (r"(?P<what>acc|top1) (?P<value>\S+)", "acc 1 top1 -2e-1", -0.2),
        (r"acc (\S+)", "acc 1_0", None),
    ],
)
def test_the_last_match_counts(pattern: str, printed: str, value: float | None) -> None:
    assert metric.last(metric.compiled(pattern), printed) == value


@pytest.mark.parametrize(
    ("pattern", "said"), [("acc (", "no regular expression"), ("(a)(b)", "catches 2 things")]
)
def test_a_wrong_pattern_is_told(pattern: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        metric.compiled(pattern)


# -- scores -----------------------------------------------------------------------------------


def outcome(losses: list[float], ended: str = "horizon") -> Outcome:
    return Outcome(
        ended, steps=len(losses), loss_steps=tuple(range(len(losses))), losses=tuple(losses)
    )


def test_a_score_is_the_mean_of_the_last_fifth_at_the_horizon() -> None:
    falling = outcome([100.0 - i for i in range(100)])
    assert loss_at(falling, 50) == pytest.approx(np.mean(100.0 - np.arange(40, 50)))
    assert loss_at(falling) == pytest.approx(np.mean(100.0 - np.arange(80, 100)))
    assert loss_at(outcome([3.0, 2.0]), 0) == 2.5


@pytest.mark.parametrize(
    "broken",
    [
        outcome([1.0] * 9 + [math.nan]),
        outcome([1.0] * 9 + [math.inf]),
        outcome([1.0] * 8, "error"),
        outcome([1.0] * 8, "time"),
        outcome([1.0] * 10, "refused"),
        outcome([], "horizon"),
    ],
)
def test_what_broke_off_has_no_score(broken: Outcome) -> None:
    assert loss_at(broken, 10) is None


def test_a_script_that_ends_by_itself_is_judged_where_it_ended() -> None:
    assert loss_at(outcome([1.0] * 8, "finished"), 10) == 1.0


def test_nothing_is_below_everything() -> None:
    assert better(0.0, None, larger=True) and better(9e9, None, larger=False)
    assert not better(None, None, larger=True) and not better(None, -1.0, larger=True)
    values = [None, 1.0, 3.0, None, 2.0]
    assert sorted(values, key=lambda v: order(v, True))[:3] == [3.0, 2.0, 1.0]
    assert sorted(values, key=lambda v: order(v, False))[:3] == [1.0, 2.0, 3.0]


def test_intervals_are_students() -> None:
    values = [0.91, 0.95, 0.93]
    got = estimate(values)
    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert (got.mean, got.low, got.high) == pytest.approx((np.mean(values), low, high))
    assert estimate([1.0]).low is None
    assert estimate([1.0, None]).mean is None


def test_proof_needs_every_seed_and_an_interval_off_zero() -> None:
    assert compare([0.1, 0.1, 0.1], [0.9, 0.91, 0.92], larger=True).proven
    assert compare([2.3, 2.3, 2.3], [0.1, 0.12, 0.11], larger=False).proven
    wide = compare([0.1, 0.1, 0.1], [0.9, 0.1001, 0.11], larger=True)
    assert wide.wins == 3 and not wide.proven
    assert not compare([0.1, 0.1, 0.1], [0.9, 0.91, 0.05], larger=True).proven
    assert not compare([0.1], [0.9], larger=True).proven
    assert compare([None, None], [0.9, 0.8], larger=True).proven
    assert not compare([None, None], [0.9, None], larger=True).proven


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=30), st.booleans())
def test_outcomes_survive_json(losses: list[float], applied: bool) -> None:
    import json

    had = Outcome("horizon", losses=tuple(losses), applied=applied, uncontrolled=("a", "b"))
    got = outcome_from(json.loads(json.dumps(as_json(had), allow_nan=False)))
    assert [math.isfinite(v) for v in got.losses] == [math.isfinite(v) for v in losses]
    assert [v for v in got.losses if v == v] == [v for v in losses if math.isfinite(v)]
    assert (got.applied, got.uncontrolled) == (applied, ("a", "b"))


def test_long_curves_are_thinned_and_keep_their_breaks() -> None:
    steps, losses = list(range(1000)), [1.0] * 1000
    losses[555] = math.inf
    at, mean = thinned(steps, losses, most=100)
    assert len(at) == 100 and at[-1] == 999
    assert [i for i, v in enumerate(mean) if not math.isfinite(v)] == [55]


def test_jobs_that_must_agree_have_one_key() -> None:
    assert Job("a", seconds=1).key == Job("a", seconds=2).key
    kinds = [
        Job(t, s, n, watch=w)
        for t in ("", "a")
        for s in (0, 1)
        for n in (0, 9)
        for w in (True, False)
    ]
    assert len({job.key for job in kinds}) == 16


def test_the_run_that_learned_sooner_spent_less_of_itself_unlearned() -> None:
    def run(*losses: float) -> Outcome:
        return Outcome(
            "finished", steps=len(losses), loss_steps=tuple(range(len(losses))), losses=losses
        )

    sooner, later = run(2.0, 0.4, 0.1, 0.1), run(2.0, 1.8, 1.2, 0.1)
    assert unlearned(sooner) == pytest.approx(2.6 / 4 / 2)
    back = run(2.0, 0.4, 1.9, 0.1)  # it lost its way and found it again
    assert unlearned(sooner) < unlearned(back) < unlearned(later) < 1 == unlearned(run(3.0, 3.0))
    assert unlearned(run()) == unlearned(run(2.0, math.nan, 0.1)) == math.inf


# -- budget -----------------------------------------------------------------------------------


def test_budgets_are_read() -> None:
    assert budget.parse("10m") == (600.0, None)
    assert budget.parse("1.5h") == (5400.0, None)
    assert budget.parse("90") == budget.parse("90s") == (90.0, None)
    assert budget.parse("12x") == (None, 12.0)
    for wrong in ("", "ten", "-3m", "0s", "5d"):
        with pytest.raises(ValueError, match="is no budget"):
            budget.parse(wrong)


def test_runs_are_accounted_by_steps() -> None:
    account = budget.TrialBudget(runs=12.0)
    account.measured(seconds=10.0, start=1.0, steps=90, whole=True)
    account.spend(90)
    account.spend(30)
    assert account.left() == pytest.approx(12 - 4 / 3)
    assert account.affordable(10) == 96 and account.affordable(0, keep=4.0) == 6


def test_wall_time_counts_for_all_processes() -> None:
    account = budget.TrialBudget(seconds=100.0, size=2)
    account.measured(seconds=12.0, start=2.0, steps=100, whole=True)
    assert account.cost(50) == pytest.approx(7.0) and account.cost(0) == pytest.approx(12.0)
    assert account.affordable(0) == 16
    assert account.limit(0) <= 100.0


def test_trials_cost_what_the_script_does_without_a_watch() -> None:
    account = budget.TrialBudget(seconds=100.0)
    account.measured(seconds=32.0, start=2.0, steps=10, whole=True)
    assert account.cost(0) == pytest.approx(32.0)
    account.unwatched(seconds=7.0, start=2.0, steps=5)
    assert account.cost(0) == pytest.approx(12.0) and account.cost(5) == pytest.approx(7.0)
    account.unwatched(seconds=20.0, start=4.0, steps=2)  # a slow moment
    assert account.cost(0) == pytest.approx(12.0)


def test_planned_costs_follow_what_runs_really_take() -> None:
    account = budget.TrialBudget(seconds=1000.0)
    account.measured(seconds=12.0, start=2.0, steps=100, whole=True)
    for _ in range(3):
        account.spend(100, 24.0)  # another program has come to share the machine
    assert account.cost(0) == pytest.approx(24.0) and account.cost(50) == pytest.approx(14.0)
    for _ in range(40):
        account.spend(100, 12.0)  # it has gone again
    assert account.cost(0) == pytest.approx(12.0, rel=0.02)
    account.spend(100, 1.0)  # a run that is cheaper than an untreated one promises nothing
    assert account.cost(0) >= 12.0
    counted = budget.TrialBudget(runs=12.0)
    counted.measured(seconds=12.0, start=2.0, steps=100, whole=True)
    counted.spend(100, 500.0)
    assert counted.cost(0) == 1.0


# -- candidates -------------------------------------------------------------------------------


def test_rates_multiply_and_come_last() -> None:
    c = parse("lr=x0.1; init=lsuv")
    assert text(rescaled(c, 0.1)) == "init=lsuv; lr=x0.01"
    assert text(rescaled(c, 10.0)) == "init=lsuv"
    assert text(rescaled(parse("lr=0.02"), 0.1)) == "lr=0.002"
    assert text(rescaled((), 0.1)) == "lr=x0.1"
    half = rescaled(parse("lr=x0.316"), 10**-0.5)
    assert text(half) == "lr=x0.1" and rescaled(rescaled(c, 10**-0.5), 10**1.5) == parse(
        "init=lsuv"
    )
    assert text(union(parse("lr=x0.1"), parse("clip=norm:1.0")) or ()) == "clip=norm:1.0; lr=x0.1"
    assert union(parse("init=lsuv"), parse("init=he")) is None
    tailored = parse("tailored=auto; lr=x0.1")  # it draws orthogonal weights itself
    assert union(tailored, parse("init=orthogonal")) is None
    assert union(tailored, parse("init=lsuv")) is not None


def test_a_raised_rate_that_never_falls_is_hot() -> None:
    assert hot(parse("recurrent=gru; lr=x3.16")) and not hot(parse("recurrent=gru; lr=x0.316"))
    assert not hot(parse("decay=160; lr=x3.16")) and not hot(parse("lr=0.1")) and not hot(())


def test_an_optimizer_of_its_own_has_the_rate_of_its_ladder() -> None:
    c = parse("clip=norm:1.0; optimizer=adam:0.001")
    assert text(rescaled(c, 0.1)) == "clip=norm:1.0; optimizer=adam:0.0001"
    assert base(c) == base(rescaled(c, 0.1)) == "clip=norm:1.0; optimizer=adam"
    assert rescaled(parse("optimizer=sgd"), 0.1) == parse("optimizer=sgd")
    assert union(parse("lr=x0.1"), parse("optimizer=adam:0.001")) is None  # lr would have no say


def test_combinations_are_of_different_kinds_and_new() -> None:
    ranked = [parse(t) for t in ("init=lsuv", "init=he", "norm=batch", "init=lsuv; clip=norm:1.0")]
    got = [text(c) for c in combinations(ranked, 5)]
    assert "init=lsuv; norm=batch" in got and "init=he; norm=batch" in got
    assert "init=lsuv; clip=norm:1.0" not in got  # it has been tried
    assert all(len({t.kind for t in parse(c)}) == len(parse(c)) for c in got)


def test_one_ladder_does_not_crowd_out_the_rest() -> None:
    ranked = [parse(t) for t in ("a=1", "a=1; lr=x0.1", "a=1; lr=x0.01", "b=1", "c=1")]
    assert [text(c) for c in spread(ranked, 4)] == ["a=1", "a=1; lr=x0.1", "b=1", "c=1"]


# -- evenflow.toml ----------------------------------------------------------------------------

CHOSEN = 'init=lsuv-centred; activation=relu->leaky_relu:0.1; note=say "x" \\ y'


def test_what_is_written_is_read_and_the_rest_stays(tmp_path: Path) -> None:
    assert project_config.read(tmp_path) == {}
    path = project_config.write(Program("train.py", str(tmp_path)), CHOSEN)
    assert project_config.read(tmp_path) == {"train.py": CHOSEN}
    path.write_text(path.read_text() + "# mine\n\n[other]\nkey = 1\n")
    project_config.write(Program("sub/b.py", str(tmp_path)), "lr=x0.1")
    project_config.write(Program("train.py", str(tmp_path)), "init=he")
    assert project_config.read(tmp_path) == {"train.py": "init=he", "sub/b.py": "lr=x0.1"}
    assert "# mine" in path.read_text() and "[other]\nkey = 1" in path.read_text()


def test_a_form_that_cannot_be_changed_safely_is_left_alone(tmp_path: Path) -> None:
    odd = 'treat = {"train.py" = "init=he"}\n'
    (tmp_path / "evenflow.toml").write_text(odd)
    with pytest.raises(ValueError, match="by hand"):
        project_config.write(Program("other.py", str(tmp_path)), "init=he")
    assert (tmp_path / "evenflow.toml").read_text() == odd


@pytest.mark.parametrize(("told", "said"), [("[treat", "as TOML"), ("treat = 3", "must name")])
def test_a_broken_file_is_told(tmp_path: Path, told: str, said: str) -> None:
    (tmp_path / "evenflow.toml").write_text(told)
    with pytest.raises(ValueError, match=said):
        project_config.read(tmp_path)


def test_the_file_says_whether_source_is_kept(tmp_path: Path) -> None:
    assert project_config.keeps_source(tmp_path)
    path = tmp_path / "evenflow.toml"
    for said, kept in (("", True), ("source = true", True), ("source = false", False)):
        path.write_text(f"{said}\n")
        assert project_config.keeps_source(tmp_path) is kept
    project_config.write(Program("train.py", str(tmp_path)), CHOSEN)
    assert project_config.read(tmp_path) == {"train.py": CHOSEN}
    assert not project_config.keeps_source(tmp_path)
    path.write_text("source = 'no'\n")
    with pytest.raises(ValueError, match="source is 'no'; it must be true or false"):
        project_config.keeps_source(tmp_path)


def test_scripts_are_named_from_the_folder(tmp_path: Path) -> None:
    def key(target: str, module: bool = False) -> str:
        return project_config.key_of(Program(target, str(tmp_path), module=module))

    assert key("./sub/../train.py") == key(str(tmp_path / "train.py")) == "train.py"
    assert key("/elsewhere/train.py") == "/elsewhere/train.py"
    assert key("pack.train", module=True) == "pack.train"


# -- seeds ------------------------------------------------------------------------------------


def test_seeds_of_every_kind_are_shifted() -> None:
    unshifted, seeds = Seeds(0), Seeds(2)
    for given_ in (5, np.int64(5), 2**32 - 1, 1.5, "text", b"bytes", [1, 2], np.array([1, 2])):
        moved = seeds.number(given_)
        assert np.any(np.asarray(moved != given_)) if not isinstance(moved, list) else moved[2] == 2
        assert unshifted.number(given_) is given_
    assert seeds.number(5) == 5 + 2 * STRIDE
    np.random.RandomState(seeds.number(2**32 - 1))  # within what NumPy takes
    random.Random(seeds.number("text"))
