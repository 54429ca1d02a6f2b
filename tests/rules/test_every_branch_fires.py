"""Every branch of every rule is reached by a network that was really trained, or foreseen.

A check that reads a metric nobody records can never fire, and no synthetic run shows it. Here a
copy of the rules notes which of its branches (`marked`) real runs reach: small trainings written
for a branch with their healthy twins (`real`), and a part of the zoo.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import evenflow
from evenflow.schema import EDGE_METRICS, PARAM_METRICS, SITE_METRICS, STEP_METRICS, Finding, Run
from evenflow.zoo import REGISTRY, STARTS

from .marked import FOLDER, MODULES, Marked, marked
from .real import BOOK, Entry

#: Branches that no run on one processor can reach, each with the reason.
ELSEWHERE: dict[str, str] = {
    "ef103._at_row: not (view.step('grad_nonfinite')[row] > 0) < "
    "(view.step('update_nonfinite')[row] > 0)": "a GPU's gradients are counted without names",
}
#: Cases of the zoo that reach what the trainings of the book do not, cheapest first.
ZOO = (
    "autoencoder-dead",
    "autoencoder-half",
    "autoencoder-raw-measurements",
    "cnn-paralysed",
    "cnn-rate",
    "cnn-stalled",
    "decoder-rate",
    "decoder-sharp",
    "encoder-no-norm",
    "gated-shuffled-labels",
    "generative-cut-off",
    "perceptron-batchnorm-of-two",
    "perceptron-groups-of-one",
    "perceptron-large-start",
    "perceptron-linear-stack",
    "perceptron-random-features",
    "perceptron-rate-decay",
    "perceptron-relu-30",
    "perceptron-sgd-rate",
    "perceptron-softmax-twice",
    "perceptron-zero-start",
    "residual-rate-jump",
    "tabular-classification-all-pairs",
    "tabular-classification-bounces",
    "tabular-classification-raw-wine",
    "tabular-classification-sigmoid-twice",
    "tabular-classification-softmax-of-one",
    "tabular-regression-batchnorm-of-two",
    "tabular-regression-huber",
    "tabular-regression-outlier",
)
#: Landed by others while this test was written; each has real runs in a test of its own (see
#: test_raw_inputs, test_start, test_alike_by_design), which are to be entered in the book.
AWAITED = frozenset(
    {
        "causes._direct: or g.code in STRUCTURE of f.cause not in OWN or g.code in STRUCTURE",
        "ef102._began: either 'EF703' if moved(view, row)",
        "ef102._began: if row > 0",
        "ef205._base: either 1.0 if not measured > ROUNDING",
        "ef501._severity: either Severity.info if learned and (not _spoilt(view, into))",
        "ef501._severity: or view.loss.left <= WON of view.unmeasured or view.loss.left <= WON",
        "ef501._severity: or view.unmeasured of view.unmeasured or view.loss.left <= WON",
        "ef501._spoilt: or (flat > LOST).any() of (flat > LOST).any() or (view.recent('dead')[behind] > LOST).any()",  # noqa: E501
        "ef501._spoilt: or (view.recent('dead')[behind] > LOST).any() of (flat > LOST).any() or (view.recent('dead')[behind] > LOST).any()",  # noqa: E501
        "ef602._saturated: either MOST if worst >= MOST",
        "ef602._saturated: either Severity.error if worst >= MOST",
        "ef602.check: or normed and b.blame == 'chaos' of normed and b.blame == 'chaos' or timed",
        "ef604.check: or normed and blame == 'chaos' of usual or normed and blame == 'chaos'",
        "start.usual: or gates > 1 of gates > 1 or 'rnn' in op",
    }
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)


def rest(reached: set[str], points: Iterable[str]) -> list[str]:
    """What was missed, and what was said to be out of reach and is not."""
    return [p for p in points if (p in reached) == (p in ELSEWHERE or p in AWAITED)]


def zoo(folder: Path) -> Iterator[Run]:
    for name in ZOO:
        case = REGISTRY[name]
        with evenflow.watch(run=folder / name) as watch:
            case.train(100 if case.half == "calibration" else 0)
        yield evenflow.load(watch.path)
    for start in STARTS.values():
        yield evenflow.preflight(start.build(0), start.batch(), advise=False).run


def wrong(entry: Entry, sick: bool, found: list[Finding]) -> bool:
    """Whether a training of the book was told something else than it should be."""
    mine = [f for f in found if f.code == entry.code]
    fits = [
        f
        for f in mine
        if entry.severity in ("", f.severity.name) and entry.cause in (None, f.cause)
    ]
    if not entry.code:
        return any(f.severity.name == "error" for f in found)
    if sick:
        return not fits
    return any(f.severity.name != "info" or entry.severity == "info" for f in mine)


@pytest.mark.slow
def test_every_branch_is_reached_by_a_real_run(tmp_path: Path) -> None:
    """And each training of the book is told what it should be, its twin nothing of the kind."""
    bad: list[str] = []
    names: set[tuple[str, str]] = set()
    with marked() as (finder, rules):

        class Outside(rules.Rule):  # type: ignore[misc, name-defined, unused-ignore]
            """One that a plug-in brings: its code stands in no order of ours."""

            code, name = "XX101", "always"

            def check(self, view: Any) -> Iterable[Finding]:
                yield self.finding(evenflow.schema.Severity.info, first=0, last=0, evidence={})

        def judged(run: Run) -> list[Finding]:
            rules.judge(run, rules=[*rules.REGISTRY.values(), Outside])
            rules.unmeasuring(run)
            names.update((c.of, c.metric) for c, v in run.columns.items() if not np.isnan(v).all())
            view = rules.View(run)
            return [f for rule in rules.REGISTRY.values() for f in rule().check(view)]

        for entry, sick in itertools.product(BOOK.values(), (True, False)):
            found = judged(entry.record(sick, tmp_path / f"{entry.name}-{sick}"))
            if wrong(entry, sick, found):
                told = [(f.code, f.severity.name, f.cause) for f in found]
                bad.append(f"{entry.name} ({'sick' if sick else 'twin'}): {told}")
        for run in zoo(tmp_path):
            judged(run)
        missed = rest(finder.seen, finder.points)
    assert bad == []
    assert missed == [], f"{len(missed)} of {len(finder.points)} branches"
    unread = sorted(metrics_read() - {m for _, m in names})
    assert unread == [], "read by a rule, recorded by no run"


def metrics_read() -> set[str]:
    """Every metric named in the rules: constants handed to a reader of readings."""
    known = {*SITE_METRICS, *EDGE_METRICS, *PARAM_METRICS, *STEP_METRICS}
    out: set[str] = set()
    for module in MODULES:
        for node in ast.walk(ast.parse((FOLDER / f"{module}.py").read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func).split(".")[-1]
                given = [a.value for a in node.args if isinstance(a, ast.Constant)]
                words = [w for w in given if isinstance(w, str)]
                if called in ("site", "param", "step", "recent"):
                    assert set(words) <= known, f"{module}: {ast.unparse(node)}"
                out |= known & set(words)
    return out


def test_every_metric_that_a_rule_reads_is_one_of_the_tapes() -> None:
    assert len(metrics_read()) > 40


def test_a_branch_that_cannot_fire_is_found(tmp_path: Path) -> None:
    """The test can fail: a rule with dead branches, of each kind, is told apart."""
    from .marked import Marker

    source = (
        "def check(view):\n"
        "    if view > 0:\n        cause = 'a'\n"
        "    elif view > 9 and view < 0:\n        cause = 'dead'\n"
        "    if view < 9 or view > view:\n        return 'x' if view > 0 else 'dead too'\n"
        "    return 'rest'\n"
    )
    marker, seen = Marker("ef999_x"), Marked()
    tree = ast.fix_missing_locations(marker.visit(ast.parse(source)))
    space = {"__seen__": seen._seen, "__true__": seen._true}
    exec(compile(tree, "x", "exec"), space)
    space["check"](1)
    missed = [p.split(": ")[1] for p in marker.points if p not in seen.seen]
    assert missed == [
        "if view > 9 and view < 0",
        "or view > view of view < 9 or view > view",
        "either 'dead too' if not view > 0",
        "not view < 9 or view > view",
    ]
    assert space["check"](12) == "rest"


@pytest.mark.slow
def test_no_branch_is_broken_by_the_whole_zoo(tmp_path: Path) -> None:
    """The fuller sweep: all cases of the zoo, judged by the copy; what is out of reach stays so."""
    with marked() as (finder, rules):
        for case in REGISTRY.values():
            with evenflow.watch(run=tmp_path / case.name) as watch:
                case.train(100 if case.half == "calibration" else 0)
            rules.judge(evenflow.load(watch.path))
        assert not finder.seen & set(ELSEWHERE)
        assert len(finder.seen) > len(finder.points) / 2
