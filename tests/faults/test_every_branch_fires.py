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
from evenflow.faults import COMMON
from evenflow.schema import METRICS, Finding, Run
from zoo import REGISTRY, STARTS

from .marked import FOLDER, MODULES, Marked, marked, marks
from .real import BOOK, Entry

#: Branches that no training of the book can reach, each with the reason.
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
#: Parts of the book that the quick test trains.
QUICK = ("births", "data", "scores", "starts", "wiring")


@pytest.fixture(autouse=True)
def by_steps_alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is sampled hangs on no clock (conftest grants the time), and sums on no thread."""
    monkeypatch.setattr("evenflow.monitor.cadence.Cadence.gap", lambda self: 32)
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)


def rest(reached: set[str], points: Iterable[str]) -> list[str]:
    """What was missed, and what was said to be out of reach and is not."""
    return [p for p in points if (p in reached) == (p in ELSEWHERE)]


def zoo(folder: Path) -> Iterator[Run]:
    for name in ZOO:
        case = REGISTRY[name]
        with evenflow.watch(run=folder / name) as watch:
            case.train(100 if case.half == "calibration" else 0)
        yield evenflow.load(watch.path)
    for start in STARTS.values():
        yield evenflow.preflight(start.build(0), start.batch(), advise=False).run
    yield gathered(folder / "gathered")


def gathered(path: Path) -> Run:
    """A run as it is read before its first update, while gradients are gathered."""
    net = torch.nn.Linear(4, 1)
    with evenflow.watch(net, torch.optim.SGD(net.parameters(), 0.1), run=path) as watch:
        for _ in range(5):
            net(torch.randn(16, 4)).square().mean().backward()
        return watch.run()


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


class Judge:
    """Judges runs by the marked copy, and keeps what was told wrongly and which metrics were read.

    Attributes:
        bad: trainings of the book that were told something else than they should be.
        metrics: names of all metrics that a run recorded.
        unnamed: numbers of evidence that no label names.
    """

    def __init__(self, rules: Any) -> None:
        self.rules, self.bad, self.metrics = rules, list[str](), set[str]()
        self.unnamed = set[str]()

    def __call__(self, run: Run) -> list[Finding]:
        rules = self.rules
        rules.faults(rules.judge(run))
        rules.unread(run)
        self.metrics.update(c.metric for c, v in run.columns.items() if not np.isnan(v).all())
        view = rules.View(run)
        rules.drawn(view)
        found = []
        for code, rule in rules.REGISTRY.items():
            told = list(rule().check(view))
            names = {label.name for label in rule.labels} | COMMON.keys()
            self.unnamed |= {f"{code} {key}" for f in told for key in f.evidence.keys() - names}
            found += told
        return found

    def train(self, entry: Entry, sick: bool, folder: Path) -> None:
        found = self(entry.record(sick, folder / f"{entry.name}-{sick}"))
        if wrong(entry, sick, found):
            told = [(f.code, f.severity.name, f.cause) for f in found]
            self.bad.append(f"{entry.name} ({'sick' if sick else 'twin'}): {told}")


@pytest.mark.slow
def test_every_branch_is_reached_by_a_real_run(tmp_path: Path) -> None:
    """And each training of the book is told what it should be, its twin nothing of the kind."""
    with marked() as (finder, rules):
        judge = Judge(rules)
        for entry, sick in itertools.product(BOOK.values(), (True, False)):
            judge.train(entry, sick, tmp_path)
        for run in zoo(tmp_path):
            judge(run)
        missed = rest(finder.seen, finder.points)
    assert judge.bad == []
    assert judge.unnamed == set()
    assert not missed, f"{len(missed)} of {len(finder.points)} branches: {missed}"
    unread = sorted(metrics_read() - judge.metrics)
    assert unread == [], "read by a rule, recorded by no run"


def test_most_branches_are_reached_by_a_part_of_the_book(tmp_path: Path) -> None:
    """The same, quick: what the parts of `QUICK` reach; the whole is slow."""
    with marked() as (finder, rules):
        judge = Judge(rules)
        for entry in BOOK.values():
            if entry.part in QUICK:
                judge.train(entry, True, tmp_path)
        seen, points = finder.seen, finder.points
    assert judge.bad == []
    assert judge.unnamed == set()
    assert len(seen) > len(points) / 2, f"{len(seen)} of {len(points)} branches"
    assert not seen & set(ELSEWHERE)


def test_what_is_out_of_reach_is_still_there() -> None:
    assert set(ELSEWHERE) <= {point for module in MODULES for point in marks(module)[1]}


def metrics_read() -> set[str]:
    """Every metric named in the rules: constants handed to a reader of readings."""
    known = {name for _, name in METRICS}
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
