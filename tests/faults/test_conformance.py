"""What every rule owes, tested over the registry: a new rule is tested on arrival."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import evenflow.faults as rules
from evenflow.faults import CAUSES, COMMON, REGISTRY, RETIRED, Rule, View, judge
from evenflow.schema import Run, Severity

from .rule_pages import PAGES, index, page
from .synthetic import ACTIVATIONS, Builder, perceptron

FOLDER = Path(inspect.getfile(rules)).parent
DOCS = Path(__file__).parents[2] / "docs" / "rules"
SECTIONS = ["What it means", "Why is this bad?", "How it is measured", "Threshold", "What to do"]
each = pytest.mark.parametrize("rule", REGISTRY.values(), ids=REGISTRY)


def bare() -> list[Run]:
    """Runs that give a rule nothing to go by."""
    empty = Builder(steps=[]).run()
    no_sites = Builder().run()
    one = perceptron(3, steps=[0]).run()
    blank = perceptron(3, "tanh").run()
    nan = {c: np.full_like(v, np.nan) for c, v in blank.columns.items()}
    nothing = np.empty(0)
    unknown = dataclasses.replace(
        blank, columns=nan, curve_steps=nothing.astype(np.int64), curve_loss=nothing
    )
    no_columns = dataclasses.replace(unknown, columns={})
    return [empty, no_sites, one, unknown, no_columns]


@each
def test_docstring_is_a_page(rule: type[Rule]) -> None:
    doc = inspect.getdoc(rule) or ""
    assert re.findall(r"^## (.+)$", doc, re.M) == SECTIONS
    for section in SECTIONS:
        body = doc.split(f"## {section}\n")[1].split("\n## ")[0]
        assert len(body.split()) >= 5, f"{rule.code}: section {section!r} says nothing"


@each
def test_code_file_and_class_agree(rule: type[Rule]) -> None:
    assert REGISTRY[rule.code] is rule
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name)
    stem = f"{rule.code.lower()}_{rule.name.replace('-', '_')}"
    assert inspect.getfile(rule).endswith(f"{stem}.py")
    assert rule.__name__ == "".join(w.title() for w in rule.name.split("-"))
    assert rule.status in ("preview", "stable", "deprecated", "removed")
    assert rule.since


@each
def test_what_is_said_of_it_is_whole(rule: type[Rule]) -> None:
    assert rule.title and "{at}" in rule.sentence and rule.remedies
    assert not {label.name for label in rule.labels} & COMMON.keys(), "named twice"
    for cause in rule.causes:
        assert CAUSES[cause.name] is cause, "two rules mean different causes by one name"
        assert cause.name not in {r.name for r in REGISTRY.values()}, "that is a code's"


def test_a_cause_that_is_not_declared_is_an_error_of_ours() -> None:
    rule = REGISTRY["EF101"]()
    with pytest.raises(AssertionError, match="no-such-cause"):
        rule.finding(Severity.error, steps=(0, 0), evidence={}, cause="no-such-cause")


def test_registry_is_complete_ordered_and_never_reuses_a_code() -> None:
    files = {f"EF{p.name[2:5]}" for p in FOLDER.glob("ef[0-9]*.py")}
    assert set(REGISTRY) == files
    assert list(REGISTRY) == sorted(REGISTRY)
    assert not set(REGISTRY) & set(RETIRED)


@each
@pytest.mark.parametrize("case", range(5), ids=["empty", "no-sites", "1-step", "nan", "no-columns"])
def test_says_nothing_without_evidence(rule: type[Rule], case: int) -> None:
    assert list(rule().check(View(bare()[case]))) == []


@each
@pytest.mark.parametrize("act", [*ACTIVATIONS[:4], ""])
def test_says_nothing_of_a_healthy_net(rule: type[Rule], act: str) -> None:
    if rule.code == "EF702" and not act:
        pytest.skip("a stack without activations is that rule's own fault")
    assert list(rule().check(View(perceptron(4, act).run()))) == []


def test_findings_are_sound_and_runs_untouched() -> None:
    """Whatever is thrown at the rules, what they say is finite, in range, and about this run."""
    rng = np.random.default_rng(0)
    said = set()
    for trial in range(60):
        b = perceptron(int(rng.integers(1, 8)), str(rng.choice(["relu", "sigmoid", "tanh"])))
        for channel in b.columns:
            if rng.random() < 0.3:
                size = 10.0 ** rng.uniform(-12, 4)
                share = channel.metric in ("zeros", "saturated", "dead", "delta_zeros")
                b.columns[channel] = np.full(len(b.steps), rng.random() if share else size)
            if rng.random() < 0.05:
                b.columns[channel][rng.integers(len(b.steps)) :] = rng.choice([np.nan, np.inf, 0.0])
        if trial % 2:
            b.loss(float(rng.choice([2.3, 1.0, 1e9])))
        run = b.run()
        before = {c: v.copy() for c, v in run.columns.items()}
        for f in judge(run):
            said.add(f.code)
            assert all(np.isfinite(v) for v in f.evidence.values()), f
            assert set(f.threshold) <= set(f.evidence), f
            assert all(0 <= s < len(run.sites) for s in f.sites), f
            assert {*f.params} <= {p.name for p in run.params}, f
            assert 0 <= f.first_step <= f.last_step <= run.curve_steps[-1], f
            assert isinstance(f.severity, Severity)
            assert REGISTRY[f.code].name == f.name
            assert f.message == ""
            names = {label.name for label in REGISTRY[f.code].labels}
            assert f.evidence.keys() <= names | COMMON.keys(), f
            assert all(x.role in ("cause", "event", "end") for x in f.chain), f
            assert f == type(f).from_dict(f.as_dict())
        assert all(np.array_equal(v, run.columns[c], equal_nan=True) for c, v in before.items())
    assert len(said) >= 8, f"the storm woke only {said}"


def test_pages_are_what_the_docstrings_say() -> None:
    wanted = {name: page(rule) for name, rule in PAGES.items()} | {"README.md": index()}
    there = {p.name: p.read_text(encoding="utf-8") for p in DOCS.glob("*.md")}
    assert there == wanted, "run `python tests/faults/rule_pages.py docs/rules`"


@each
def test_zoo_has_two_sick_networks_of_each_code(rule: type[Rule]) -> None:
    import zoo  # late: it brings torch

    kept = zoo.STARTS if rule.code.startswith("EF6") else zoo.REGISTRY
    sick = [c.name for c in kept.values() if rule.code in c.expect]
    assert len(sick) >= 2, f"{rule.code} is expected of {sick} only"
