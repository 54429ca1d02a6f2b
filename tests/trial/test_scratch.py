"""Scratch copies: complete, and the original cannot be reached through them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from evenflow.trial import scratch
from evenflow.trial.scratch import LARGE, Snapshot, translated


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "work" / "project"
    (folder / "sub").mkdir(parents=True)
    (folder / ".venv").mkdir()
    (folder / ".venv" / "big.bin").write_text("no part of a training")
    (folder / "train.py").write_text("print('hello')")
    (folder / "sub" / "data.csv").write_text("1,2\n")
    (folder / "model.pt").write_bytes(b"w" * (LARGE + 1))
    (folder / "latest.pt").symlink_to("model.pt")
    (folder / "absolute.csv").symlink_to(folder / "sub" / "data.csv")
    (tmp_path / "work" / "data").mkdir()
    (tmp_path / "work" / "data" / "x.txt").write_text("shared")
    (folder / "outward").symlink_to("../data")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    files = [p for p in folder.rglob("*") if p.is_file() and ".venv" not in p.parts]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def test_a_copy_holds_what_the_original_holds(project: Path, tmp_path: Path) -> None:
    copy = Snapshot(project, tmp_path / "state" / "snapshot").copy(tmp_path / "state" / "one")
    assert copy.name == project.name
    assert contents(copy) == contents(project)
    assert not (copy / ".venv").exists()
    assert (copy / ".." / "data" / "x.txt").read_text() == "shared"


def test_nothing_written_in_a_copy_reaches_the_original(project: Path, tmp_path: Path) -> None:
    before = contents(project)
    snapshot = Snapshot(project, tmp_path / "state" / "snapshot")
    one, two = (snapshot.copy(tmp_path / "state" / n) for n in ("one", "two"))
    for path in sorted(one.rglob("*")):
        if path.is_file() and "outward" not in path.parts:
            with open(path, "r+b") as file:  # in place: through every link there may be
                file.write(b"overwritten")
    assert contents(project) == before
    assert (two / "train.py").read_text() == "print('hello')"
    assert snapshot.damaged() == ["model.pt"]  # large, so shared by the copies; mended now
    assert snapshot.damaged() == []
    assert contents(snapshot.copy(tmp_path / "state" / "three")) == before


def test_large_files_are_not_copied_again(project: Path, tmp_path: Path) -> None:
    snapshot = Snapshot(project, tmp_path / "state" / "snapshot")
    one, two = (snapshot.copy(tmp_path / "state" / n) for n in ("one", "two"))
    assert os.path.samefile(one / "model.pt", two / "model.pt")
    assert not os.path.samefile(one / "model.pt", project / "model.pt")
    assert not os.path.samefile(one / "sub" / "data.csv", two / "sub" / "data.csv")


def test_links_lead_into_the_copy_and_outward_ones_are_told(project: Path, tmp_path: Path) -> None:
    snapshot = Snapshot(project, tmp_path / "state" / "snapshot")
    copy = snapshot.copy(tmp_path / "state" / "one")
    assert (copy / "latest.pt").resolve() == (copy / "model.pt").resolve()
    assert (copy / "absolute.csv").resolve() == (copy / "sub" / "data.csv").resolve()
    assert (copy / "outward" / "x.txt").read_text() == "shared"
    assert len(snapshot.notes) == 1
    assert "'outward' is a link out of the folder" in snapshot.notes[0]


def test_the_state_may_lie_in_the_folder_itself(project: Path) -> None:
    snapshot = Snapshot(project, project / "evenflow-cure" / "x" / "snapshot")
    copy = snapshot.copy(project / "evenflow-cure" / "x" / "jobs" / "1")
    assert not (copy / "evenflow-cure").exists()
    assert (copy / "train.py").exists()


def test_too_little_space_is_said_before_anything_is_copied(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = scratch.shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(scratch.shutil, "disk_usage", lambda _: free)
    with pytest.raises(ValueError, match=r"takes 0\.0 GB.*--in-place"):
        Snapshot(project, tmp_path / "state" / "snapshot")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("/a/b/data", "/s/b/data"),
        ("/a/b", "/s/b"),
        ("--out=/a/b/out", "--out=/s/b/out"),
        ("/a/bc/data", "/a/bc/data"),
        ("/a/b/../x", "/a/b/../x"),
        ("data", "data"),
        ("--lr=0.1", "--lr=0.1"),
        ("x=/a/b/y", "x=/a/b/y"),
    ],
)
def test_absolute_paths_into_the_folder_are_translated(given: str, meant: str) -> None:
    assert translated(given, Path("/a/b"), Path("/s/b")) == meant
