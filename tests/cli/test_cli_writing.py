"""What commands write over: reports of ours, others only with --force, what they read never."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from programs import evenflow

from evenflow.cli import main, writing
from evenflow.schema import Channel, Parameter, Reading, Site
from evenflow.store import Writer

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one run."""
    writer = Writer(tmp_path / "r.evenflow", {})
    writer.sites(
        [
            Site(0, "N", "a", "linear", "affine", shape=(4, 2), params=("a.weight",)),
            Site(1, "N", "b", "linear", "affine", shape=(4, 2), inputs=(0,), params=("b.weight",)),
        ]
    )
    writer.params([Parameter(0, "a.weight", (2, 2)), Parameter(1, "b.weight", (2, 2))])
    names = (Channel("site", 0, "delta"), Channel("site", 1, "delta"))
    for step in range(5):
        writer.reading(Reading(step, names, np.ones(2)))
    writer.close()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commands() -> dict[str, Callable[[str], list[str]]]:
    return {
        "report": lambda to: ["report", "r.evenflow", "-o", to],
        "explain": lambda to: ["explain", "r.evenflow", "-o", to],
        "activations": lambda to: ["activations", "-o", to],
    }


@pytest.mark.parametrize("name", commands())
def test_a_file_of_others_is_kept_unless_forced(name: str, here: Path, capsys: Captured) -> None:
    command = commands()[name]("mine.html")
    Path("mine.html").write_text("<html>years of work</html>")
    assert main(command) == 2
    err = capsys.readouterr().err
    assert "'mine.html' exists and is no report of ours; name another file, or say --force" in err
    assert err.count("\n") == 1
    assert Path("mine.html").read_text() == "<html>years of work</html>"
    assert main([*command, "--force"]) == 0
    assert 'content="Evenflow"' in Path("mine.html").read_text()
    assert main(command) == 0  # it is ours by now
    assert sorted(p.name for p in here.iterdir()) == ["mine.html", "r.evenflow"]


@pytest.mark.parametrize("force", [[], ["--force"]])
@pytest.mark.parametrize("way", ["r.evenflow", "./r.evenflow", "link.evenflow"])
def test_the_run_itself_is_never_written_over(
    way: str, force: list[str], here: Path, capsys: Captured
) -> None:
    Path("link.evenflow").symlink_to("r.evenflow")
    before = Path("r.evenflow").read_bytes()
    assert main(["report", "r.evenflow", "-o", way, *force]) == 2
    assert "is what is read here" in capsys.readouterr().err
    assert Path("r.evenflow").read_bytes() == before


def test_another_run_is_not_written_over_either(here: Path, capsys: Captured) -> None:
    Writer("other.evenflow", {}).close()
    before = Path("other.evenflow").read_bytes()
    assert main(["report", "r.evenflow", "-o", "other.evenflow", "--force"]) == 2
    assert "is an Evenflow run" in capsys.readouterr().err
    assert Path("other.evenflow").read_bytes() == before


def test_the_page_beside_the_run_is_asked_for_too(here: Path, capsys: Captured) -> None:
    Path("r.html").write_text("a page of mine")
    assert main(["report", "r.evenflow"]) == 2
    assert "'r.html' exists" in capsys.readouterr().err
    assert Path("r.html").read_text() == "a page of mine"
    Path("r.html").unlink()
    assert main(["report", "r.evenflow"]) == 0
    assert main(["report", "r.evenflow"]) == 0


def test_json_of_ours_is_known_and_a_file_of_others_refused_before_the_script(here: Path) -> None:
    Path("t.py").write_text("print('ran')\nimport torch\n")
    Path("notes.json").write_text('{"notes": 1}')
    done = evenflow(here, "run", "--json", "notes.json", "t.py")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no report of ours" in done.stderr
    assert Path("notes.json").read_text() == '{"notes": 1}'
    assert main(["check", "r.evenflow", "--json"]) == 0
    for text, ours in (('{\n  "schema": 1,\n', True), ('{"schema": 1}', True), ("[]", False)):
        Path("x.json").write_text(text)
        if ours:
            writing.check(Path("x.json"))
        else:
            with pytest.raises(writing.NotWritten):
                writing.check(Path("x.json"))


def test_preflight_keeps_a_training_and_replaces_a_forecast(here: Path, capsys: Captured) -> None:
    Path("net.py").write_text("import torch\ndef make(): return torch.nn.Linear(3, 2)\n")
    command = ["preflight", "net.py:make", "--input", "4,3", "--out"]
    before = Path("r.evenflow").read_bytes()
    assert main([*command, "r.evenflow"]) == 2
    assert "is an Evenflow run" in capsys.readouterr().err
    assert Path("r.evenflow").read_bytes() == before
    for _ in range(2):
        assert main([*command, "f.evenflow"]) in (0, 1)


def test_predict_keeps_its_input(here: Path, capsys: Captured) -> None:
    Path("data.csv").write_text("a,b\n1,2\n")
    Path("model").mkdir()
    Path("model/weights.bin").write_text("w")
    for target, why in (
        ("data.csv", "is what is read here"),
        ("model/weights.bin", "is what is read here"),
        ("model", "is a folder"),
    ):
        assert main(["predict", "model", "data.csv", "-o", target, "--force"]) == 2
        assert why in capsys.readouterr().err
    assert Path("data.csv").read_text() == "a,b\n1,2\n"
    Path("old.csv").write_text("older")
    assert main(["predict", "model", "data.csv", "-o", "old.csv"]) == 2
    assert "say --force" in capsys.readouterr().err


def test_a_file_is_written_whole_or_not_at_all(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = Path("page.html")
    writing.write(target, '<meta name="generator" content="Evenflow">1')
    os.chmod(target, 0o640)

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(writing.NotWritten, match="No space left"):
            writing.write(target, "2")
    assert target.read_text().endswith("1")
    writing.write(target, "3")
    assert target.read_text() == "3"
    assert target.stat().st_mode & 0o777 == 0o640
    assert sorted(p.name for p in here.iterdir()) == ["page.html", "r.evenflow"]


def test_a_device_may_be_written_to(here: Path) -> None:
    assert main(["report", "r.evenflow", "-o", "/dev/null"]) == 0
