"""From a diagnosis to a proof, with made-up trainings and a real diagnosis."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn

import evenflow
from evenflow.schema import Channel, Run
from evenflow.script import Program
from evenflow.trial import CannotCure, Cure, Job, Outcome, Settings, conduct, render
from evenflow.trial.cure_run import falls
from evenflow.trial.curing import sized

CHILD = (sys.executable, str(Path(__file__).with_name("fake_child.py")))
METRIC = Settings(metric=r"acc (\S+)", budget="14x", jobs=2)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A sick run and a healthy one, as the tape saw them."""
    folder = tmp_path_factory.mktemp("runs")
    found = {}
    for name, layers in (("sick", 24), ("healthy", 1)):
        torch.manual_seed(0)
        blocks = [m for _ in range(layers) for m in (nn.Linear(16, 16), nn.Sigmoid())]
        model = nn.Sequential(*blocks, nn.Linear(16, 2))
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)
        found[name] = folder / f"{name}.evenflow"
        with evenflow.watch(run=found[name], every=4):
            for _ in range(90):
                x = torch.randn(64, 16)
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(x), (x[:, 0] > 0).long())
                loss.backward()
                optimizer.step()
    return found


@pytest.fixture
def cure(
    tmp_path: Path, runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Cure]:
    def call(
        world: dict[str, Any], settings: Settings = METRIC, run: str = "sick", **more: Any
    ) -> Cure:
        project = tmp_path / "project"
        project.mkdir(exist_ok=True)
        (project / "train.py").write_text("# stands in for a training")
        monkeypatch.setenv("WORLD", json.dumps({"speed": {}, **world}))
        monkeypatch.setenv("RUN", str(runs[run]))
        return conduct(Program("train.py", str(project)), settings, CHILD, **more)

    return call


def said(found: Cure) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    render(found, console)
    return console.export_text()


def test_a_cure_is_found_and_proven(cure: Any) -> None:
    found = cure({"speed": {"rezero": 2.0, "norm=batch": 1.0}})
    assert (found.verdict, found.chosen) == ("cured", "rezero")
    assert found.before.per_seed == pytest.approx([0.0048, 0.0052, 0.0057], abs=1e-4)
    assert found.after.mean == pytest.approx(2.002 / 2.3, abs=1e-4)
    assert found.comparison.proven and found.comparison.wins == 3
    assert "EF101 vanishing-gradient" in found.findings
    assert found.line == 'evenflow.treat_(model, optimizer, "rezero", batch)'
    assert any("rezero" in e.treatment and e.code for e in found.chosen_edits)
    text = said(found)
    for words in ("cured, proven over 3 seeds", "better on 3 of 3 seeds", found.line, "Refused:"):
        assert words in text
    whole = [t for t in found.trials if not t.job.steps]
    assert len(whole) + sum(t.outcome.steps for t in found.trials if t.job.steps) / 90 <= 14


def test_a_rate_that_falls_by_itself_is_not_made_to_fall(cure: Any, runs: dict[str, Path]) -> None:
    run = evenflow.load(runs["sick"])
    assert run.step("lr") is not None and not falls(run)

    def at(rates: np.ndarray[Any, Any]) -> bool:
        changed = {**run.columns, Channel("step", 0, "lr"): rates}
        return falls(dataclasses.replace(run, columns=changed))

    n = len(run.steps)
    assert at(np.linspace(1.0, 0.0, n)) and at(np.r_[np.linspace(1.0, 0.1, n - 1), np.nan])
    assert not at(np.linspace(0.0, 1.0, n)) and not at(np.full(n, np.nan))
    tried = [t.text for t in cure({"speed": {"rezero": 2.0}}).trials]
    assert any("decay=90" in t for t in tried)
    unwanted = dataclasses.replace(METRIC, without=("decay",), fresh=True)
    tried = [t.text for t in cure({"speed": {"rezero": 2.0}}, unwanted).trials]
    assert not any("decay" in t for t in tried)


def test_json_is_as_promised(cure: Any) -> None:
    told = json.loads(json.dumps(cure({"speed": {"rezero": 2.0}}).as_json(), allow_nan=False))
    assert list(told) == [
        *("schema", "verdict", "chosen", "before", "after", "trials", "refused"),
        *("uncontrolled", "lines"),
    ]
    assert told["schema"] == 1 and told["chosen"] == "rezero"
    assert told["before"].keys() == told["after"].keys() == {"mean", "per_seed"}
    assert len(told["after"]["per_seed"]) == 3
    assert all(
        {"treatment", "stage", "seed", "steps", "loss", "metric"} <= t.keys()
        for t in told["trials"]
    )
    assert all(r.keys() == {"treatment", "why"} and r["why"] for r in told["refused"])


def test_smaller_can_be_better(cure: Any) -> None:
    settings = dataclasses.replace(METRIC, minimize=True)
    found = cure({"speed": {"rezero": -1.0, "norm=batch": 2.0}}, settings)
    assert found.verdict != "cured" or "rezero" in found.chosen


def test_a_healthy_run_is_left_alone(cure: Any) -> None:
    found = cure({"speed": {"": 2.0}}, run="healthy")
    assert (found.verdict, found.chosen, len(found.trials)) == ("healthy", "", 1)
    assert said(found).strip() == "verdict: healthy, nothing to do"
    assert found.as_json()["chosen"] is None


def test_what_a_check_up_names_is_tried_first(cure: Any) -> None:
    settings = dataclasses.replace(METRIC, jobs=1, first=("clip=norm:0.5", "input=clamp:3"))
    found = cure({"speed": {"": 2.0, "clip=norm:0.5": 3.0}}, settings, run="healthy")
    assert found.verdict != "healthy"  # of the run: the check-up says otherwise
    texts = [t.text for t in found.trials if t.stage == "screen"]
    assert texts[:3] == ["", "clip=norm:0.5", "input=clamp:3"]
    with pytest.raises(ValueError, match="no treatment 'clop'"):
        cure({}, dataclasses.replace(METRIC, first=("clop=norm:1",)))


def test_a_run_that_was_hardly_looked_at_is_not_called_healthy(
    cure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def few(path: Path) -> Run:
        run = evenflow.load(path)
        columns = {channel: column[:2] for channel, column in run.columns.items()}
        meta = {**run.meta, "every": "auto"}
        return dataclasses.replace(run, meta=meta, steps=run.steps[:2], columns=columns)

    monkeypatch.setattr("evenflow.trial.cure_run.load", few)
    with pytest.raises(CannotCure, match=r"not judged.* 2 of 90\. .*--fresh"):
        cure({"speed": {"": 2.0}}, run="healthy")


def test_where_nothing_helps_nothing_is_claimed(cure: Any) -> None:
    found = cure({}, dataclasses.replace(METRIC, budget="60x"))
    assert (found.verdict, found.chosen, found.comparison) == ("uncured", "", None)
    assert "nothing that was tried" in said(found)


def test_a_budget_that_ends_too_soon_is_no_verdict_on_what_was_not_tried(cure: Any) -> None:
    found = cure({})
    assert (found.verdict, found.chosen, found.comparison) == ("out-of-budget", "", None)
    assert "the budget ended before all treatments were tried" in said(found)
    assert re.search(r"budget of 14x ended before \d of \d treatments could run", said(found))


def test_a_small_budget_is_said_and_ranks_only(cure: Any) -> None:
    found = cure({"speed": {"rezero": 2.0}}, dataclasses.replace(METRIC, budget="1.9x"))
    assert found.verdict == "unproven" and "rezero" in found.chosen
    assert found.after.mean is None and found.comparison is None
    assert "too small for one treated and one untreated run" in found.notes[0]
    assert all(t.job.steps for t in found.trials if t.candidate)


def test_fewer_seeds_than_asked_are_said(cure: Any) -> None:
    found = cure({"speed": {"rezero": 2.0}}, dataclasses.replace(METRIC, budget="7x", seeds=5))
    assert found.comparison.seeds < 5
    assert f"allowed {found.comparison.seeds} of 5 seeds" in found.notes[0]


def test_what_is_not_wanted_is_not_tried(cure: Any) -> None:
    settings = dataclasses.replace(METRIC, without=("rezero", "init=lsuv-centred", "clip"))
    found = cure({"speed": {"rezero": 2.0, "norm=batch": 1.0}}, settings)
    assert found.chosen == "norm=batch"
    assert ("rezero", "not wanted: --without.") in found.refused
    tried = {t.text for t in found.trials}
    assert not any("rezero" in t or "lsuv-centred" in t or "clip" in t for t in tried)
    with pytest.raises(ValueError, match=r"'rezro' names no treatment; did you mean 'rezero'"):
        cure({}, dataclasses.replace(METRIC, without=("rezro",)))


def test_refusals_at_the_first_forward_are_told(cure: Any) -> None:
    found = cure({"refused": {"rezero": "no two shapes match"}, "speed": {"norm=batch": 1.0}})
    assert ("rezero", "no two shapes match") in found.refused
    assert "rezero: no two shapes match" in said(found)


def test_the_loss_counts_where_no_metric_is_named(cure: Any) -> None:
    found = cure({"speed": {"rezero": 2.0}}, dataclasses.replace(METRIC, metric=""))
    assert (found.verdict, found.chosen, found.larger) == ("cured", "rezero", False)
    assert found.after.mean < found.before.mean


def test_a_metric_that_is_never_printed_is_told_at_once(cure: Any) -> None:
    with pytest.raises(CannotCure, match=r"finds no finite number.*\n.*acc"):
        cure({}, dataclasses.replace(METRIC, metric="accuracy ([0-9.]+)"))


def test_a_broken_run_counts_as_nothing(cure: Any) -> None:
    """NaN is below everything: no number to better, and none of the trials gives one."""
    found = cure({"broken": True}, dataclasses.replace(METRIC, budget="60x"))
    assert found.verdict == "uncured" and found.before.mean is None
    assert found.as_json()["before"] == {"mean": None, "per_seed": [None]}


def test_a_script_that_fails_is_told_with_its_words(cure: Any) -> None:
    with pytest.raises(CannotCure, match=r"the script failed(.|\n)*it broke"):
        cure({"crash": True})


def test_interrupted_it_goes_on_where_it_was(cure: Any) -> None:
    ran: list[Job] = []

    def heard(job: Job, outcome: Outcome, remembered: bool) -> None:
        if not remembered:
            ran.append(job)
        if len(ran) == 6:
            raise KeyboardInterrupt

    world = {"speed": {"rezero": 2.0}}
    with pytest.raises(KeyboardInterrupt):
        cure(world, on_outcome=heard)
    kept = list(ran)
    found = cure(world, on_outcome=lambda job, outcome, known: known or ran.append(job))
    assert found.chosen == "rezero"
    assert len({j.key for j in ran}) == len(ran)  # nothing twice
    assert ran[: len(kept)] == kept
    again: list[Job] = []
    fresh = dataclasses.replace(METRIC, fresh=True)
    cure(world, fresh, on_outcome=lambda job, outcome, known: again.append(job))
    assert len(again) >= len(ran)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"seeds": 0}, "--seeds"), ({"budget": "ten"}, "no budget"), ({"metric": "("}, "expression")],
)
def test_wrong_settings_are_refused_before_anything_runs(
    cure: Any, change: Any, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        cure({}, dataclasses.replace(METRIC, **change))


def test_the_pool_is_sized_to_the_machine() -> None:
    size, threads = sized(0)
    assert size >= 1 and threads == 1
    assert sized(1)[0] == 1 and sized(1)[1] >= 1
