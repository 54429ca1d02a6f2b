"""What a file may cost: rows, bytes, memory, time; and what is no file at all."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from hostile import bomb, seal

from evenflow.cli import main
from evenflow.schema import Channel, Reading, Site
from evenflow.store import StoreError, Writer, budget, load

TABLES = ("layout", "reading", "curve", "event", "finding", "site", "param", "meta", "checksum")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Every table fills several pages, so that each b-tree has inner ones."""
    from evenflow.schema import Event, Finding, Parameter, Severity

    long = "x" * 1500
    writer = Writer(tmp_path / "r.evenflow", {f"key{i}": long for i in range(9)})
    writer.sites([Site(i, long, "", "linear", "affine") for i in range(9)])
    writer.params([Parameter(i, long + str(i), (3, 3)) for i in range(9)])
    for step in range(400):
        channels = tuple(Channel("site", i % 9, f"m{step % 9}{i}") for i in range(600))
        writer.reading(Reading(step, channels[: 9 + step % 9], np.full(9 + step % 9, 1.0)))
        writer.curve([step], [1.0])
        writer.event(Event("note", step, {"text": long}))
        writer.flush() if step % 100 == 0 else None
    found = Finding("EF101", "vanishing-gradient", Severity.error, (1,), 0, 9, {}, cause=long)
    writer.findings([found] * 9)
    writer.close()
    assert writer.error is None
    return writer.path


def refused(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence; code 3, within ten seconds of processor time."""
    began = time.process_time()
    assert main(["check", str(path)]) == 3
    assert time.process_time() - began < 10
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("evenflow check: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("levels", [3, 5])
@pytest.mark.parametrize("table", TABLES)
def test_rows_without_end(
    table: str, levels: int, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A b-tree whose pages name one child again and again: 580 ** levels rows in 100 kB."""
    db = sqlite3.connect(path)
    query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
    root = db.execute(query, (table,)).fetchone()[0]
    db.close()
    path.write_bytes(bomb(path.read_bytes(), root, levels))
    refused(path, capsys)


def test_a_schema_without_end(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = path.read_bytes()
    tail = bomb(data, 2, 3)  # inner pages to borrow: page 1 has its own head of 100 bytes
    path.write_bytes(data[:100] + tail[4096 : 4096 + 3996] + tail[4096:])
    refused(path, capsys)


def test_many_layouts_that_unpack_to_much(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = b'[["step",0,"loss",-1]' + b',["step",0,"loss",-1]' * 700_000 + b"]"
    packed = zlib.compress(text, 9)
    assert len(packed) < 100_000
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("BEGIN")
    for number in range(1000, 1020):
        db.execute("INSERT INTO layout VALUES (?, 'measured', ?)", (number, packed))
    seal(db)
    db.execute("COMMIT")
    db.close()
    assert "unpack to too many bytes" in refused(path, capsys)


def test_a_record_that_would_take_the_memory(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("BEGIN")
    for i in range(10):
        value = "[" + "[]," * 1_000_000 + "0]"
        db.execute("INSERT INTO meta VALUES (?, ?)", (f"m{i}", value))
    seal(db)
    db.execute("COMMIT")
    db.close()
    assert "memory" in refused(path, capsys)


def test_time_is_bounded_too(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(budget, "SECONDS", -1.0)
    assert "takes longer than" in refused(path, capsys)


def test_a_pipe_and_a_device_are_no_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe.evenflow")
    (tmp_path / "zero.evenflow").symlink_to("/dev/zero")
    (tmp_path / "circle.evenflow").symlink_to("circle.evenflow")
    for name in ("pipe", "zero"):
        assert "no regular file" in refused(tmp_path / f"{name}.evenflow", capsys)
    assert main(["check", str(tmp_path / "circle.evenflow")]) == 3
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("end", ["-wal", "-shm", "-journal"])
def test_a_pipe_for_a_log_is_not_waited_for(end: str, path: Path) -> None:
    os.mkfifo(f"{path}{end}")
    with pytest.raises(StoreError, match="no regular file"):
        load(path)


def test_a_sparse_file_of_a_terabyte(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.truncate(path, 10**12)
    began = time.process_time()
    code = main(["check", str(path)])
    assert code in (0, 1, 3)
    assert time.process_time() - began < 10


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "[treat]\nx = " + "{a=" * 50_000])
def test_a_toml_file_of_brackets_is_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "evenflow.toml").write_text(text)
    (tmp_path / "train.py").write_text("print('trained')\n")
    done = subprocess.run(
        [sys.executable, "-m", "evenflow", "run", "train.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "cannot be read as TOML" in done.stderr


def test_a_run_of_ours_stays_within_its_budget(path: Path) -> None:
    """What we write we read: rows and bytes of a true file always fit into it."""
    run = load(path)
    assert len(run.steps) == 400
    assert len(run.curve_steps) == 400
