"""Cures and models on the server: what it lists, what it answers, what it makes of strangers'."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evenflow.views.cures import CURE_LARGEST, cure_line, read_cure
from evenflow.views.fits import read_fit
from evenflow.views.plain import shaped

from .cures import cure_file, model, model_folder, record
from .runs import EVIL, written
from .test_server import listed, told


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "evenflow-runs"
    (made / "inner").mkdir(parents=True)
    written(made / "train-cure-1-before.evenflow")
    written(made / "train-cure-1-after.evenflow")
    cure_file(made, "train-cure-1", record())
    cure_file(made / "inner", "other", record(verdict="uncured", chosen=None))
    model_folder(made / "own-model", model())
    return made


def test_the_list_has_runs_cures_and_models(folder: Path) -> None:
    found = listed(folder)
    kinds = {name: each["kind"] for name, each in found.items()}
    assert kinds == {
        "train-cure-1": "cure", "inner/other": "cure", "own-model": "fit",
        "train-cure-1-before": "run", "train-cure-1-after": "run",
    }  # fmt: skip
    cure, fit = found["train-cure-1"], found["own-model"]
    assert (cure["verdict"], cure["chosen"], cure["script"]) == ("cured", "rezero", "train.py")
    assert cure["started"] == 1.0 and cure["changed"] > 1e9
    assert (fit["verdict"], fit["script"], fit["steps"]) == ("healthy", "houses.csv: price", 400)


def test_models_beside_the_runs_are_listed_and_answered(folder: Path) -> None:
    model_folder(folder.parent / "houses-model", model())
    model_folder(folder.parent / ".houses-model-x1", model())  # one that is being written
    foreign = folder.parent / "foreign"
    foreign.mkdir()
    (foreign / "model.json").write_text("{}")
    found = listed(folder)
    assert {"houses-model", "own-model"} <= set(found)
    assert not {"foreign", ".houses-model-x1", "../houses-model"} & set(found)
    assert told(folder, "fit/houses-model")["fit"]["kept"] == 30
    assert told(folder, "fit/foreign", 404)
    elsewhere = folder.rename(folder.parent / "mine")
    assert told(elsewhere, "fit/houses-model", 404)


def test_a_record_whose_name_alone_is_taken_is_not_listed(folder: Path) -> None:
    cure_file(folder, "soon", "")
    assert "soon" not in listed(folder)


def test_a_cure_is_answered_whole_with_its_runs(folder: Path) -> None:
    found = told(folder, "cure/train-cure-1")
    assert found["runs"] == {"before": "train-cure-1-before", "after": "train-cure-1-after"}
    meant = record()
    meant["arms"] = [{**each, "treatment": each["treatment"] or ""} for each in meant["arms"]]
    for key in ("chosen", "goal", "larger", "seeds", "arms", "findings", "lines", "notes"):
        assert found[key] == meant[key], key
    assert found["before"]["per_seed"] == meant["before"]["per_seed"]
    assert [t["curve"] for t in found["trials"]] == [t["curve"] for t in meant["trials"]]
    (folder / "train-cure-1-after.evenflow").unlink()
    assert told(folder, "cure/train-cure-1")["runs"] == {"before": "train-cure-1-before"}
    assert told(folder, "cure/inner/other")["runs"] == {}


@pytest.mark.parametrize("name", ["../secret", "inner/../../secret", "/etc/passwd", "gone", ""])
@pytest.mark.parametrize("kind", ["cure", "fit"])
def test_no_path_leads_out_of_the_folder(folder: Path, kind: str, name: str) -> None:
    cure_file(folder.parent, "secret", record())
    model_folder(folder.parent.parent / f"{folder.parent.name}-far" / "secret", model())
    assert "error" in told(folder, f"{kind}/{name.replace('/', '%2F')}", 404)


def test_a_link_out_of_the_folder_is_not_followed(folder: Path) -> None:
    (folder / "linked.cure.json").symlink_to(cure_file(folder.parent, "secret", record()))
    assert "error" in told(folder, "cure/linked", 404)


WRONG: dict[str, Any] = {
    "no JSON": "{",
    "NaN": '{"schema": 1, "verdict": "cured", "wins": NaN}',
    "an infinity by its size": '{"schema": 1, "verdict": "cured", "gain": {"mean": 1e999}}',
    "5000 digits": '{"schema": 1, "verdict": "cured", "wins": ' + "9" * 5000 + "}",
    "400 digits": '{"schema": 1, "verdict": "cured", "wins": ' + "9" * 400 + "}",
    "nested": "[" * 100_000,
    "a list": [],
    "another schema": record(schema=2),
    "no known verdict": record(verdict="sick"),
    "a verdict that is a list": record(verdict=["cured"]),
    "trials that are text": record(trials="many"),
    "trials that are numbers": record(trials=[1, 2]),
    "a text for a number": record(written="now"),
    "a flag for a number": record(seeds=[True]),
    "a curve of one side": record(trials=[{"curve": [[1.0]]}]),
    "a curve of unequal sides": record(trials=[{"curve": [[1.0, 2.0], [1.0]]}]),
    "a curve without steps": record(trials=[{"curve": [[None], [1.0]]}]),
    "too large": json.dumps(record(notes=["x" * CURE_LARGEST])),
    "too many": record(notes=[""] * 5_001),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_record_of_strangers_is_refused_in_one_sentence(folder: Path, what: str) -> None:
    cure_file(folder, "odd", WRONG[what])
    said = told(folder, "cure/odd", 422)["error"]
    assert 5 < len(said) <= 500 and "\n" not in said
    assert listed(folder)["odd"]["verdict"] == "unreadable"


def test_what_a_record_lacks_is_empty_and_what_it_has_beside_is_left_out(tmp_path: Path) -> None:
    found = read_cure(cure_file(tmp_path, "x", {"schema": 1, "verdict": "edit", "more": {"a": 1}}))
    assert found["trials"] == [] and found["before"]["mean"] is None and "more" not in found
    assert found["patch"] == {"offered": False, "why": "", "diff": ""}
    assert cure_line(tmp_path / "x.cure.json")["finding"] == ""


def test_texts_are_made_visible_and_markup_stays_text(tmp_path: Path) -> None:
    odd = "a\x1b[2Jb\u202e\ud800"
    edit = {"treatment": odd, "why": EVIL, "code": "a\n\tb"}
    found = read_cure(cure_file(tmp_path, "x", record(goal=odd, edits=[edit])))
    assert found["goal"] == "a\\x1b[2Jb\\u202e\\ud800"
    assert found["edits"][0] == {"treatment": found["goal"], "why": EVIL, "code": "a\n\tb"}


MODELS: dict[str, Any] = {
    "another format": {**model(), "format": 2},
    "no course": {k: v for k, v in model().items() if k != "fit"},
    "NaN": '{"format": 3, "fit": {"cost": NaN}}',
    "columns that are text": {**model(), "columns": ["size"]},
    "metrics that are a list": {**model(), "metrics": [1]},
    "a metric that is text": {**model(), "metrics": {"R²": "good"}},
    "no known verdict": model(verdict="fine"),
    "curves of unequal sides": model(training=[[1], []]),
    "a curve of texts": model(rate=[["a"], ["b"]]),
}


@pytest.mark.parametrize("what", MODELS)
def test_a_model_of_strangers_is_refused_in_one_sentence(folder: Path, what: str) -> None:
    model_folder(folder / "odd", MODELS[what])
    said = told(folder, "fit/odd", 422)["error"]
    assert 5 < len(said) <= 500 and "\n" not in said


def test_a_model_tells_at_most_five_hundred_columns(tmp_path: Path) -> None:
    column = model()["columns"][0]
    path = model_folder(tmp_path / "m", {**model(), "columns": [column] * 700})
    found = read_fit(path)
    assert len(found["columns"]) == 500 and found["left"] == 200


def test_a_shape_of_any_keys(tmp_path: Path) -> None:
    assert shaped({"a": 1}, {"*": "number"}) == {"a": 1.0}
    with pytest.raises(ValueError, match="record is not a number"):
        shaped({"a": "1"}, {"*": "number"})
