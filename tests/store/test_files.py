"""Files from others are data: each flaw gives one clear sentence, never a crash or a guess."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from evenflow.schema import Channel, Reading, Site
from evenflow.store import StoreError, Writer, follow, load


@pytest.fixture
def path(tmp_path: Path) -> Path:
    writer = Writer(tmp_path / "r.evenflow", {"script": "x.py"})
    writer.sites([Site(i, "MLP", f"layers.{i}", "linear", "affine") for i in range(20)])
    channels = tuple(Channel("site", i, "rms") for i in range(20))
    for step in range(300):
        writer.reading(Reading(step, channels, np.full(20, float(step))))
    writer.curve(range(300), [1.0] * 300)
    writer.close()
    return writer.path


def expect(path: Path, what: str) -> None:
    for read in (load, follow):
        with pytest.raises(StoreError) as caught:
            read(path)
        message = str(caught.value)
        assert what in message
        assert repr(str(path)) in message
        assert "\n" not in message
        assert ";" in message, "it says what to do"


def test_missing(tmp_path: Path) -> None:
    expect(tmp_path / "no" / "r.evenflow", "there is no file")


def test_folder(tmp_path: Path) -> None:
    expect(tmp_path, "is a folder")


def test_empty(tmp_path: Path) -> None:
    (tmp_path / "r.evenflow").touch()
    expect(tmp_path / "r.evenflow", "is empty")


def test_path_with_a_null(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        load("a\0b")


def test_not_sqlite(tmp_path: Path) -> None:
    file = tmp_path / "r.evenflow"
    file.write_text("loss,step\n")
    expect(file, "is not an Evenflow run")


def test_another_database(tmp_path: Path) -> None:
    file = tmp_path / "r.evenflow"
    with sqlite3.connect(file) as db:
        db.execute("CREATE TABLE site (id INTEGER)")
    db.close()
    expect(file, "an SQLite database, but not an Evenflow run")


def test_newer_schema(path: Path) -> None:
    change(path, "PRAGMA user_version = 9")
    expect(path, "newer Evenflow (schema 9, this one reads 2); update Evenflow")


@pytest.mark.parametrize("share", [0.001, 0.003, 0.1, 0.5, 0.9])
def test_cut_off(path: Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: max(17, int(share * len(data)))])
    expect(path, "damaged")


def test_flipped_bytes_give_a_run_or_a_store_error(path: Path) -> None:
    data = path.read_bytes()
    dice = random.Random(0)
    failed = 0
    for _ in range(150):
        changed = bytearray(data)
        for _ in range(dice.choice((1, 5, 50))):
            changed[dice.randrange(100, len(data))] = dice.randrange(256)
        path.write_bytes(changed)
        try:
            load(path)
        except StoreError:
            failed += 1
    assert failed > 20


def change(path: Path, statement: str, *args: object) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(statement, args)
    db.close()


BOMB = zlib.compress(b"[" + b" " * 80_000_000, 9)
FORGERIES: list[tuple[str, tuple[object, ...]]] = [
    ("UPDATE site SET record = '[]' WHERE id = 3", ()),
    ("UPDATE site SET record = '{' WHERE id = 3", ()),
    ("UPDATE site SET record = '{}' WHERE id = 3", ()),
    ("UPDATE site SET record = ?", ("[" * 100_000,)),
    ("UPDATE site SET record = replace(record, '\"inputs\":[]', '\"inputs\":[99]')", ()),
    ("UPDATE site SET record = replace(record, '\"index\":0', '\"index\":0.5')", ()),
    ("UPDATE site SET id = 77 WHERE id = 3", ()),
    ("DELETE FROM site WHERE id = 3", ()),
    ("DELETE FROM site WHERE id = 19", ()),
    ("DELETE FROM layout", ()),
    ("UPDATE layout SET source = 'guessed'", ()),
    ("UPDATE layout SET channels = x'00'", ()),
    ("UPDATE layout SET channels = 'text'", ()),
    ("UPDATE layout SET channels = ?", (BOMB,)),
    ("UPDATE layout SET channels = ?", (zlib.compress(b'[["site",0,"rms"]]'),)),
    ("UPDATE layout SET channels = ?", (zlib.compress(b'[["site",-1,"rms",-1]]'),)),
    ("UPDATE layout SET channels = ?", (zlib.compress(b'{"a": 1}'),)),
    ("UPDATE layout SET channels = ?", (zlib.compress("é".encode()),)),
    ("UPDATE reading SET data = x'0000' WHERE seq = 7", ()),
    ("UPDATE reading SET data = 'text' WHERE seq = 7", ()),
    ("UPDATE reading SET step = 'text' WHERE seq = 7", ()),
    ("UPDATE curve SET losses = x'00'", ()),
    ("UPDATE curve SET losses = x'0000000000000000'", ()),
    ("UPDATE curve SET losses = 5", ()),
    ("INSERT INTO event VALUES (1, 'note', 'soon', '{}')", ()),
    ("INSERT INTO event VALUES (1, 'note', 1, '7')", ()),
    ("INSERT INTO meta VALUES ('a', 'no json')", ()),
    ("DROP TABLE event", ()),
    (
        "CREATE VIEW more AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT 1",
        (),
    ),
]


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery[0][:50])
def test_forged(path: Path, forgery: tuple[str, tuple[object, ...]]) -> None:
    change(path, forgery[0], *forgery[1])
    with pytest.raises(StoreError, match="damaged"):
        load(path)


@pytest.mark.parametrize("record", ["{}", "[]", "nan", '{"code": 1}'])
def test_forged_finding(path: Path, record: str) -> None:
    change(path, "INSERT INTO finding VALUES (1, ?)", record)
    with pytest.raises(StoreError, match="damaged"):
        load(path)


def test_reading_leaves_nothing_behind(path: Path) -> None:
    before = path.read_bytes()
    load(path)
    follow(path)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == before


READ = """
import os, sys
from evenflow.store import load
if os.getuid() == 0:  # root may write anywhere
    import tempfile
    tempfile.gettempdir()
    os.setgid(65534)
    os.setuid(65534)
print(len(load(sys.argv[1]).steps))
"""


def lost_log(path: Path) -> int:
    for end in ("-wal", "-shm"):
        Path(f"{path}{end}").unlink()
    return 0


def lost_index(path: Path) -> int:
    Path(f"{path}-shm").unlink()
    return 300


@pytest.mark.parametrize("prepare", [lost_log, lost_index, lambda path: 300])
def test_a_killed_run_in_a_read_only_folder(prepare: Callable[[Path], int]) -> None:
    body = """
import os, sys, numpy as np
from evenflow.schema import Channel, Reading
from evenflow.store import Writer
writer = Writer(sys.argv[1], {})
for step in range(300):
    writer.reading(Reading(step, (Channel("step", 0, "loss"),), np.ones(1)))
writer.flush()
os._exit(0)
"""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "r.evenflow")
        subprocess.run([sys.executable, "-c", body, str(path)], check=True)
        want = prepare(path)
        os.chmod(folder, 0o555)
        try:
            done = subprocess.run(
                [sys.executable, "-c", READ, str(path)], capture_output=True, text=True
            )
        finally:
            os.chmod(folder, 0o755)
        assert (done.stdout, done.stderr) == (f"{want}\n", "")
