"""Scratch copies: complete, and the original cannot be reached through them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evenflow.trial import beside, scratch
from evenflow.trial.beside import own
from evenflow.trial.scratch import LARGE, FolderSnapshot, clear_abandoned, translated


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
    copy = FolderSnapshot(project, tmp_path / "state" / "snapshot").copy(tmp_path / "state" / "one")
    assert copy.name == project.name
    assert contents(copy) == contents(project)
    assert not (copy / ".venv").exists()
    assert (copy / ".." / "data" / "x.txt").read_text() == "shared"


def test_nothing_written_in_a_copy_reaches_the_original(project: Path, tmp_path: Path) -> None:
    before = contents(project)
    snapshot = FolderSnapshot(project, tmp_path / "state" / "snapshot")
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
    snapshot = FolderSnapshot(project, tmp_path / "state" / "snapshot")
    one, two = (snapshot.copy(tmp_path / "state" / n) for n in ("one", "two"))
    assert os.path.samefile(one / "model.pt", two / "model.pt")
    assert not os.path.samefile(one / "model.pt", project / "model.pt")
    assert not os.path.samefile(one / "sub" / "data.csv", two / "sub" / "data.csv")


def test_links_lead_into_the_copy_and_outward_ones_are_told(project: Path, tmp_path: Path) -> None:
    snapshot = FolderSnapshot(project, tmp_path / "state" / "snapshot")
    copy = snapshot.copy(tmp_path / "state" / "one")
    assert (copy / "latest.pt").resolve() == (copy / "model.pt").resolve()
    assert (copy / "absolute.csv").resolve() == (copy / "sub" / "data.csv").resolve()
    assert (copy / "outward" / "x.txt").read_text() == "shared"
    assert len(snapshot.notes) == 1
    assert "'outward' is a link out of the folder" in snapshot.notes[0]


def test_the_state_may_lie_in_the_folder_itself(project: Path) -> None:
    snapshot = FolderSnapshot(project, project / "evenflow-cure" / "x" / "snapshot")
    copy = snapshot.copy(project / "evenflow-cure" / "x" / "jobs" / "1")
    assert not (copy / "evenflow-cure").exists()
    assert (copy / "train.py").exists()


def test_too_little_space_is_said_before_anything_is_copied(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = scratch.shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(scratch.shutil, "disk_usage", lambda _: free)
    with pytest.raises(ValueError, match=r"takes 0\.0 GB.*--in-place"):
        FolderSnapshot(project, tmp_path / "state" / "snapshot")


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


def test_keys_and_passwords_are_never_copied(project: Path, tmp_path: Path) -> None:
    keys = (".env", "server.pem", "sub/id_rsa", "sub/credentials.json")
    for name in keys:
        (project / name).write_text("hunter2")
    (project / ".ssh").mkdir()
    (project / ".ssh" / "config").write_text("hunter2")
    (project / "secrets.py").write_text("import os")  # code, to be imported
    snapshot = FolderSnapshot(project, tmp_path / "state" / "snapshot")
    copy = snapshot.copy(tmp_path / "state" / "one")
    for name in (*keys, ".ssh/config"):
        assert (copy / name).read_text() == "hunter2"  # a script that needs it finds it
        assert (copy / name).resolve() == project / name
    written = [p for p in (tmp_path / "state").rglob("*") if p.is_file() and not p.is_symlink()]
    assert not [
        p
        for p in written
        if p.resolve().is_relative_to(tmp_path / "state") and p.read_bytes() == b"hunter2"
    ]
    assert not (copy / "secrets.py").is_symlink()


def test_a_snapshot_is_gone_however_it_ends(project: Path, tmp_path: Path) -> None:
    where = tmp_path / "state" / "snapshot"
    with pytest.raises(KeyboardInterrupt), FolderSnapshot(project, where) as snapshot:
        assert (snapshot.where / "train.py").exists()
        raise KeyboardInterrupt
    assert not list((tmp_path / "state").iterdir())


def test_what_a_killed_cure_left_is_cleared_by_the_next(project: Path, tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    states = tmp_path / "states"
    for name, pid in (("killed", dead.pid), ("running", os.getppid())):
        FolderSnapshot(project, states / name / "snapshot").copy(
            states / name / "jobs" / "k" / "scratch"
        )
        (states / name / "snapshot.owner").write_text(str(pid))
        (states / name / "journal.jsonl").write_text("{}")
    clear_abandoned(states)
    assert sorted(p.name for p in (states / "killed").iterdir()) == ["jobs", "journal.jsonl"]
    assert not list((states / "killed").glob("jobs/*/scratch"))
    assert (states / "running" / "snapshot" / "train.py").exists()
    assert list((states / "running").glob("jobs/*/scratch"))


def test_what_is_written_beside_the_folder_stays_in_the_scratch(
    project: Path, tmp_path: Path
) -> None:
    snapshot = FolderSnapshot(project, tmp_path / "state" / "snapshot")
    copy = snapshot.copy(tmp_path / "state" / "one")
    (copy / ".." / "data" / "new.txt").write_text("new")
    old = copy / ".." / "data" / "x.txt"
    own(str(old), str(tmp_path / "state"))  # what a trial does before a file is written
    old.write_text("changed")
    neighbour = project.parent / "data"
    assert [p.name for p in neighbour.iterdir()] == ["x.txt"]
    assert (neighbour / "x.txt").read_text() == "shared"


def test_a_neighbour_too_large_to_be_made_anew_is_told(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "MOST", 1)
    snapshot = FolderSnapshot(project, tmp_path / "state" / "snapshot")
    assert any("'../data' holds too much" in note for note in snapshot.notes)
    copy = snapshot.copy(tmp_path / "state" / "one")
    assert (copy / ".." / "data" / "x.txt").read_text() == "shared"
