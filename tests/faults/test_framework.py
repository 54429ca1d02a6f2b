"""The frame around the rules: choosing them, joining what they found, surviving a broken one."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Iterable

import numpy as np
import pytest

from evenflow.faults import REGISTRY, Rule, View, judge
from evenflow.faults.chains import link
from evenflow.faults.loss import Loss
from evenflow.faults.select import select_codes
from evenflow.faults.series import (
    earliest,
    first_of_last_spell,
    holds_at_end,
    largest,
    last_few,
    latest,
    longest,
    median,
    ratio,
    smooth,
)
from evenflow.schema import Finding, Link, Severity

from .synthetic import Builder, decay, perceptron

CODES = ("EF101", "EF102", "EF201", "EF401")
NAN = float("nan")


# --- selection --------------------------------------------------------------------------------


def test_select_all_by_default() -> None:
    assert select_codes(CODES) == frozenset(CODES)


def test_select_by_code_and_prefix_in_any_case() -> None:
    assert select_codes(CODES, ["EF1"]) == {"EF101", "EF102"}
    assert select_codes(CODES, ["ef401", "EF101"]) == {"EF101", "EF401"}
    assert select_codes(CODES, ["EF"], ["EF10"]) == {"EF201", "EF401"}


@pytest.mark.parametrize("where", ["select", "ignore"])
def test_unknown_prefix_repeats_it_and_offers_close_ones(where: str) -> None:
    with pytest.raises(ValueError, match=r"'EF110'.*did you mean EF10[12] or "):
        select_codes(CODES, **{where: ["EF110"]})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"'xyz'.*groups are EF1, EF2, EF4"):
        select_codes(CODES, **{where: ["xyz"]})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="''"):
        select_codes(CODES, **{where: [""]})  # type: ignore[arg-type]


def test_judge_selects_after_linking() -> None:
    run = decay(perceptron(5, "sigmoid"), -2).loss(2.3).run()
    assert {f.code for f in judge(run, select=["EF101"])} == {"EF101"}
    assert "EF101" not in {f.code for f in judge(run, ignore=["EF1"])}
    with pytest.raises(ValueError, match="EF9"):
        judge(run, select=["EF9"])


# --- a broken rule ----------------------------------------------------------------------------


class Broken(Rule):
    code, name = "EF101", "broken"

    def check(self, view: View) -> Iterable[Finding]:
        yield self.finding(Severity.info, steps=(0, 0), evidence={})
        raise RuntimeError("boom")


class Fine(Rule):
    code, name = "EF102", "fine"

    def check(self, view: View) -> Iterable[Finding]:
        yield self.finding(Severity.warning, steps=(0, 0), evidence={"a": 1.0, "b": NAN})


def test_a_broken_rule_does_not_silence_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVENFLOW_STRICT", raising=False)
    errors: list[tuple[str, str]] = []
    found = judge(
        perceptron().run(),
        rules=[Broken, Fine],
        on_error=lambda code, e: errors.append((code, str(e))),
    )
    assert [f.name for f in found] == ["fine", "broken"]
    assert errors == [("EF101", "boom")]


def test_strict_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENFLOW_STRICT", "1")
    with pytest.raises(RuntimeError, match="boom"):
        judge(perceptron().run(), rules=[Broken, Fine])


def test_a_finding_holds_measured_numbers_only() -> None:
    (f,) = judge(perceptron().run(), rules=[Fine])
    assert f.evidence == {"a": 1.0}
    named = Fine().finding(
        Severity.info, steps=(0, 0), evidence={"a": 1.0}, threshold={"a": 2.0, "b": 3.0}
    )
    assert named.threshold == {"a": 2.0}


# --- chains -----------------------------------------------------------------------------------


def finding(code: str, first: int = 0, severity: str = "error", cause: str = "") -> Finding:
    number = int(code[2:])
    return Finding(code, code, Severity[severity], (number,), first, 288, {}, cause=cause)


def linked(*findings: Finding) -> list[Finding]:
    return link(findings, REGISTRY)


def test_learning_rate_then_explosion_then_dead_units_then_plateau() -> None:
    root, *rest = linked(
        finding("EF401"),
        finding("EF202", 40),
        finding("EF102", 32, "warning"),
        finding("EF703", 32, "warning"),
    )
    assert root.code == "EF703"
    assert root.severity is Severity.error  # as bad as the worst it has brought about
    assert [x[:2] for x in root.chain] == [("event", "EF703"), ("end", "EF401")]
    plateau = next(f for f in rest if f.code == "EF401")
    assert plateau.cause == "EF703"
    assert [(x.role, x.what, x.step) for x in plateau.chain] == [
        ("cause", "EF703", 32),
        ("event", "EF102", 32),
        ("event", "EF202", 40),
        ("end", "EF401", 0),
    ]


def test_unscaled_input_saturates_and_paralyses() -> None:
    found = linked(finding("EF203"), finding("EF201"), finding("EF501", 0, "warning"))
    assert [f.code for f in found] == ["EF501", "EF201", "EF203"]
    assert [f.cause for f in found] == ["", "EF501", "EF501"]
    assert [x.what for x in found[2].chain] == ["EF501", "EF201", "EF203"]


def test_what_came_later_explains_nothing() -> None:
    found = linked(finding("EF202", 20), finding("EF703", 200))
    assert [f.cause for f in found] == ["", ""]


def test_what_is_so_from_the_start_explains_what_was_read_before_it() -> None:
    """Uncleared gradients are only read in full samples, the climbing loss in each step."""
    root, climb, rate = linked(
        finding("EF402", 27), finding("EF703", 25), finding("EF801", 40, cause="others-cleared")
    )
    assert root.code == "EF801"
    assert (climb.code, climb.cause) == ("EF402", "EF801")
    assert (rate.code, rate.cause) == ("EF703", "EF801")


def test_a_cause_read_off_the_evidence_stands() -> None:
    found = linked(finding("EF202", 0, cause="negative-bias"), finding("EF703"), finding("EF401"))
    dead = next(f for f in found if f.code == "EF202")
    assert dead.cause == "negative-bias"
    assert next(f for f in found if f.code == "EF401").cause == "EF202"
    assert next(f for f in found if f.code == "EF401").chain[0] == Link("cause", "negative-bias")


def test_order_is_severity_then_roots_then_code() -> None:
    found = linked(
        finding("EF404", 0, "warning"), finding("EF702", 0, "warning"), finding("EF301", 0, "error")
    )
    assert [f.code for f in found] == ["EF301", "EF702", "EF404"]


def test_what_a_rule_leads_to_is_registered_and_stands_after_it() -> None:
    stages = [s for r in REGISTRY.values() for s in (r.stage, r.stage_if_sure) if s is not None]
    assert len(stages) == len(set(stages)), "two rules at one stage: which is the closer cause?"
    for rule in REGISTRY.values():
        assert set(rule.leads_to) <= set(REGISTRY)
        first = rule.stage if rule.stage_if_sure is None else rule.stage_if_sure
        early = [c for c in rule.leads_to if REGISTRY[c].stage <= first]
        assert not early, f"{rule.code} can never explain {early}"


# --- series -----------------------------------------------------------------------------------


def test_median_leaves_nan_out_without_a_warning() -> None:
    a = np.array([[1.0, NAN, np.inf], [3.0, NAN, np.inf], [NAN, NAN, 1.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(median(a), [2.0, NAN, np.inf], equal_nan=True)
        assert np.isnan(median(np.empty((0, 2)))).all()
        assert np.array_equal(largest(a), [3.0, NAN, np.inf], equal_nan=True)
        assert np.array_equal(latest(a), [3.0, NAN, 1.0], equal_nan=True)
        assert np.array_equal(earliest(a), [1.0, NAN, np.inf], equal_nan=True)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 9])
def test_median_against_numpy(n: int) -> None:
    a = np.random.default_rng(n).standard_normal((n, 4))
    a[0, :2] = NAN if n > 1 else a[0, :2]
    assert np.allclose(median(a), np.nanmedian(a, axis=0))
    assert np.allclose(median(a, axis=1), np.nanmedian(a, axis=1))


def test_ratio_by_zero_is_unknown() -> None:
    assert np.array_equal(
        ratio(np.array([1.0, 0.0, 2.0]), np.array([0.0, 0.0, 4.0])), [NAN, NAN, 0.5], equal_nan=True
    )


def spells(text: str) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """ "x" holds, "." does not, "?" unknown."""
    return np.array([c == "x" for c in text]), np.array([c != "?" for c in text])


@pytest.mark.parametrize(
    ("text", "at_end", "spell", "first"),
    [
        ("..xxx", True, 3, 2),
        ("xx.xx", False, 2, 3),
        ("x?x?x", True, 3, 0),
        (".xxx.", False, 3, 1),
        ("xx", False, 2, 0),
        ("....", False, 0, -1),
        ("????", False, 0, -1),
    ],
)
def test_spells(text: str, at_end: bool, spell: int, first: int) -> None:
    mask, known = spells(text)
    assert bool(holds_at_end(mask, known, 3)) is at_end
    assert int(longest(mask, known)) == spell
    assert first_of_last_spell(mask, known) == first


@pytest.mark.parametrize("gap", [1, 7, 400])
def test_long_columns_are_judged_by_their_tail_as_by_the_whole(gap: int) -> None:
    known = np.zeros((5000, 2), dtype=np.bool_)
    known[::gap, 0] = True
    known[::3, 1] = True
    mask = np.zeros_like(known)
    mask[-3 * gap :, 0] = True
    mask[4000:4990, 1] = True  # over before the end
    assert holds_at_end(mask, known, 3).tolist() == [True, False]
    values = np.where(known, np.arange(5000.0)[:, None], NAN)
    rows = np.flatnonzero(known[:, 0])
    assert last_few(values).tolist() == [rows[-2], np.flatnonzero(known[:, 1])[-2]]


def test_smooth_is_a_running_median() -> None:
    assert np.array_equal(smooth(np.array([1.0, 9.0, 2.0, 3.0, NAN]), 3), [1, 5, 2, 3, 2.5])


# --- view -------------------------------------------------------------------------------------


def test_view_knows_the_graph() -> None:
    v = View(perceptron(3).run())
    assert [v.sites[i].path for i in v.layers] == ["layers.0", "layers.1", "layers.2", "head"]
    assert [v.depth[i] for i in v.layers] == [1, 2, 3, 4]
    assert [v.sites[i].path for i in v.outputs] == ["head"]
    assert v.predictions == (7,)
    assert v.data == (0,)
    assert v.consumers[0] == (1,)


def test_view_of_a_cell_over_time() -> None:
    b = Builder()
    x = b.input()
    names = (b.param("cell.weight", (64, 64)),)
    for t in range(6):
        x = b.site("cell", "linear", "affine", (x,), params=names, call=t)
    v = View(b.run())
    assert v.unrolled == (tuple(range(1, 7)),)


def test_rows_of_another_optimizer_are_left_out() -> None:
    b = perceptron(1)
    b.set_step("optimizer", np.arange(len(b.steps)) % 2)
    v = View(b.run())
    assert np.isnan(v.param("update")[1::2]).all()
    assert not np.isnan(v.param("update")[::2]).any()
    assert v.adversarial
    assert not v.stuck


def test_ruin_is_where_a_run_goes_non_finite_for_good() -> None:
    b = perceptron(1)
    loss = b.curve_loss.copy()
    loss[100:110] = NAN
    v = View(b.loss(loss).run())
    assert not v.ruined
    loss[150:] = NAN
    v = View(b.loss(loss).run())
    assert v.ruined
    assert v.steps[v.ruin] == 160


def test_late_rows_are_the_last_quarter_but_three_at_least() -> None:
    v = View(perceptron(1, steps=range(100)).run())
    assert v.steps[v.late].tolist() == list(range(75, 100))
    v = View(perceptron(1, steps=[0, 1, 2, 4, 8, 300]).run())
    assert v.steps[v.late].tolist() == [4, 8, 300]


@pytest.mark.parametrize(
    ("op", "chance"), [("cross_entropy", np.log(10)), ("binary_cross_entropy", np.log(2))]
)
def test_chance_of_a_classifier(op: str, chance: float) -> None:
    v = View(perceptron(1, loss=op).run())
    assert v.loss.chance == pytest.approx(chance)
    assert v.loss.classifies
    assert v.converged


def test_chance_of_a_regression_is_the_targets_variance() -> None:
    b = perceptron(1, loss="mse_loss").set("target", "std", 3.0)
    assert View(b.run()).loss.chance == pytest.approx(9.0)


def test_chance_of_a_language_model_whose_view_hides_the_flattening() -> None:
    b = Builder()
    x = b.linear("head", b.input((4, 16, 64)), 33)
    loss = b.loss_on(x, "cross_entropy", (64,))
    b.sites[loss] = dataclasses.replace(b.sites[loss], takes=((64, 33), (64,)))
    assert View(b.run()).loss.chance == pytest.approx(np.log(33))


def test_chance_is_unknown_where_something_else_was_minimised() -> None:
    summed = perceptron(1).set("head linear", "delta", 0.3)  # at most 1/32 an element of a mean
    assert np.isnan(View(summed.run()).loss.chance)
    weighted = perceptron(1).set("cross_entropy", "rms", 100.0)
    assert np.isnan(View(weighted.run()).loss.chance)
    two = perceptron(1)
    two.loss_on(two.id("head linear"), "mse_loss", (32, 10))
    assert np.isnan(View(two.run()).loss.chance)


def test_loss_without_a_known_chance_is_held_against_its_start() -> None:
    b = perceptron(1)
    for value, stuck, left in ((2.0, True, 1.0), (np.linspace(2, 1, 289), False, 0.53)):
        b.loss(value)
        r = b.run()
        loss = Loss(r, r.step("loss"), NAN, False)
        assert loss.stuck is stuck
        assert loss.left == pytest.approx(left, abs=0.02)
    empty = Builder(steps=[]).run()
    assert np.isnan(Loss(empty, np.empty(0), NAN, False).left)
    assert not Loss(empty, np.empty(0), NAN, False).stuck


# --- speed ------------------------------------------------------------------------------------


def test_long_runs_of_deep_nets_are_judged_fast() -> None:
    """200 sites x 10,000 sampled steps, no rule looping over them: a few times (3 to 5) what it
    takes to sort all readings, however slow the machine is."""
    b = perceptron(98, steps=range(10_000))
    noise = np.random.default_rng(0).uniform(0.9, 1.1, 10_000)
    for c, v in b.columns.items():
        b.columns[c] = v * noise
    own = [r for code, r in REGISTRY.items() if code[:3] in ("EF1", "EF2", "EF3")]

    def ratio() -> float:
        run = b.run()
        times = [time.process_time()]
        for v in b.columns.values():
            np.sort(v)
        times.append(time.process_time())
        assert judge(run, rules=own) == []
        times.append(time.process_time())
        return (times[2] - times[1]) / (times[1] - times[0])

    assert min(ratio(), ratio(), ratio()) < 12
