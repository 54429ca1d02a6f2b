"""The record of a cure beside the runs: what `--json` says and more, bounded, never in the way."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest

import evenflow
from evenflow.script import Program
from evenflow.treatments import parse
from evenflow.trial import Cure, Job, Outcome, Settings
from evenflow.trial.cure_file import keep_cure, text_of
from evenflow.trial.goal import Tried
from evenflow.trial.record import Edit
from evenflow.trial.score import compare, estimate
from evenflow.views import CURE_LARGEST, CURE_SUFFIX, read_cure

SETTINGS = Settings(metric=r"acc (\S+)")


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program("train.py", str(tmp_path))


def outcome(goal: float | None, run: Path | None = None, **more: Any) -> Outcome:
    steps = tuple(range(300))
    losses = tuple(1.0 / (1 + k) for k in steps)
    return Outcome("finished", steps=300, seconds=1.25, loss_steps=steps, losses=losses,
                   metric=goal, run=str(run or ""), **more)  # fmt: skip


def found(tmp_path: Path, trials: int = 0) -> Cure:
    """A cure that was proven on three seeds."""
    (chosen,) = parse("clip=norm:1.0")
    runs = [tmp_path / f"{name}.run" for name in ("before", "after")]
    for run in runs:
        run.write_bytes(run.name.encode())
    tried = [
        Tried("watch", (), Job(watch=True), outcome(0.5, runs[0])),
        Tried("screen", (chosen,), Job("clip=norm:1.0", steps=30), outcome(None)),
        Tried("final", (chosen,), Job("clip=norm:1.0", watch=True), outcome(0.9, runs[1])),
    ]
    before, after = (0.5, 0.51, 0.52), (0.9, 0.91, 0.92)
    for seed, (b, a) in enumerate(zip(before, after, strict=True), 3):
        tried.append(Tried("confirm", (), Job(seed=seed), outcome(b)))
        tried.append(Tried("confirm", (chosen,), Job("clip=norm:1.0", seed=seed), outcome(a)))
    tried += [tried[1]] * trials
    return Cure(
        "cured", SETTINGS.metric, True, chosen="clip=norm:1.0", before=estimate(before),
        after=estimate(after), comparison=compare(before, after, True), trials=tuple(tried),
        findings=("EF102 exploding-gradient",), refused=(("norm", "why"),),
        proposed=(Edit("input=unit", "why", "x = x / 255"),),
    )  # fmt: skip


def test_the_record_is_what_json_says_and_more(program: Program, tmp_path: Path) -> None:
    cure = found(tmp_path)
    path = keep_cure(program, SETTINGS, cure)
    assert path is not None and path.parent == tmp_path / "evenflow-runs"
    told, printed = json.loads(path.read_text()), json.loads(json.dumps(cure.as_json()))
    for key in printed.keys() - {"trials", "before", "after"}:
        assert told[key] == printed[key], key
    for key in ("before", "after"):
        assert {k: told[key][k] for k in printed[key]} == printed[key]
        assert told[key]["low"] < told[key]["mean"] < told[key]["high"]
    for kept, trial in zip(told["trials"], printed["trials"], strict=True):
        assert {k: kept[k] for k in trial} == trial
    assert (path.parent / ".gitignore").read_text() == "*\n"


def test_goals_seeds_arms_and_thinned_curves(program: Program, tmp_path: Path) -> None:
    path = keep_cure(program, SETTINGS, found(tmp_path))
    assert path is not None
    told = read_cure(path)
    assert told["seeds"] == [3, 4, 5] and told["wins"] == 3
    assert told["gain"]["mean"] == pytest.approx(0.4)
    assert [t["goal"] for t in told["trials"][:3]] == [0.5, None, 0.9]
    steps, losses = told["trials"][0]["curve"]
    assert len(steps) == len(losses) <= 120 and steps[-1] == 299
    proof = [a for a in told["arms"] if a["stage"] == "confirm"]
    assert [(a["treatment"], a["seeds"]) for a in proof] == [
        ("", [3, 4, 5]),
        ("clip=norm:1.0", [3, 4, 5]),
    ]
    assert proof[1]["mean"] == pytest.approx(0.91) and proof[1]["low"] < 0.9 < proof[1]["high"]
    assert proof[1]["seconds"] == 3.75 and proof[1]["whole"]


def test_the_runs_before_and_after_are_kept(program: Program, tmp_path: Path) -> None:
    first = keep_cure(program, SETTINGS, found(tmp_path))
    assert first is not None
    for which in ("before", "after"):
        kept = first.with_name(first.name.replace(CURE_SUFFIX, f"-{which}.evenflow"))
        assert kept.read_bytes() == f"{which}.run".encode()
    (tmp_path / "after.run").unlink()
    (tmp_path / "before.run-wal").write_bytes(b"log")
    cure = found(tmp_path)
    (tmp_path / "after.run").unlink()
    second = keep_cure(program, SETTINGS, cure)
    assert second is not None and second != first  # of the same second: another name
    assert json.loads(second.read_text())["runs"].keys() == {"before"}
    name = second.name.replace(CURE_SUFFIX, "-before.evenflow-wal")
    assert second.with_name(name).read_bytes() == b"log"


def test_what_is_not_finite_is_null(program: Program, tmp_path: Path) -> None:
    cure = found(tmp_path)
    broken = dataclasses.replace(
        cure.trials[0].outcome, metric=math.nan, losses=(math.nan, math.inf), loss_steps=(0, 1)
    )
    trials = (Tried("watch", (), Job(), broken), *cure.trials[1:])
    text = text_of(program, SETTINGS, dataclasses.replace(cure, trials=trials), {})
    assert "NaN" not in text and "Infinity" not in text
    assert json.loads(text)["trials"][0]["curve"] == [[0, 1], [None, None]]


def test_very_many_trials_stay_below_a_megabyte(program: Program, tmp_path: Path) -> None:
    text = text_of(program, SETTINGS, found(tmp_path, trials=1500), {})
    assert len(text) <= CURE_LARGEST
    assert len(json.loads(text)["trials"]) == 1510
    text = text_of(program, SETTINGS, found(tmp_path, trials=8000), {})
    assert len(text) <= CURE_LARGEST and json.loads(text)["cut"]
    huge = dataclasses.replace(found(tmp_path), notes=("x" * CURE_LARGEST,))
    with pytest.raises(OSError, match="larger than a megabyte"):
        keep_cure(program, SETTINGS, huge)
    left = [p.name for p in (tmp_path / "evenflow-runs").iterdir()]
    assert not [name for name in left if name.endswith((".json", ".part"))]


def test_nothing_is_kept_where_nothing_was_tried(program: Program, tmp_path: Path) -> None:
    healthy = dataclasses.replace(found(tmp_path), verdict="healthy", trials=())
    assert keep_cure(program, SETTINGS, healthy) is None
    assert not (tmp_path / "evenflow-runs").exists()


def test_a_record_that_cannot_be_written_fails_no_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from evenflow.cli.cure import _kept
    from evenflow.trial import curing

    (tmp_path / "evenflow-runs").write_text("a file is in the way")
    cure = found(tmp_path)
    _kept(Program("train.py", str(tmp_path)), SETTINGS, cure)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("warning: the cure was not kept (")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(curing, "conduct", lambda *_: cure)
    with pytest.warns(UserWarning, match="the cure was not kept"):
        assert evenflow.cure("train.py") is cure


def test_a_module_and_an_odd_name_make_a_plain_name(tmp_path: Path) -> None:
    cure = found(tmp_path)
    for target, module, start in (("pkg.fit", True, "fit-cure-"), ("a b/ü&.py", False, "ü-cure-")):
        path = keep_cure(Program(target, str(tmp_path), (), module), SETTINGS, cure)
        assert path is not None and path.name.startswith(start)
