"""A damaged log is told; one that a kill tore is not."""

from __future__ import annotations

import random
import shutil
import sqlite3
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_checksums import whole

from evenflow.schema import Channel, Reading, Site
from evenflow.store import StoreError, Writer, follow, load

FRAME = 4120


def copy(path: Path, folder: Path) -> Path:
    """What is on disk now: as a kill leaves it."""
    folder.mkdir()
    new = folder / path.name
    for end in ("", "-wal"):
        shutil.copyfile(f"{path}{end}", f"{new}{end}")
    return new


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A file whose log holds most of it."""
    writer = Writer(tmp_path / "r.evenflow", {"script": "x.py"})
    writer.sites([Site(0, "MLP", "layers.0", "linear", "affine")])
    names = (Channel("site", 0, "rms"),)
    for step in range(12):
        writer.reading(Reading(step, names, np.ones(1) + step))
        writer.flush()
    out = copy(writer.path, tmp_path / "killed")
    writer.close()
    return out


def told(path: Path, log: bytes) -> Any:
    """All of the run, or None if refused; an index that SQLite made of another log is gone."""
    Path(f"{path}-wal").write_bytes(log)
    Path(f"{path}-shm").unlink(missing_ok=True)
    try:
        return whole(load(path))
    except StoreError:
        return None


def test_a_flipped_bit_of_a_log_is_told_or_has_no_effect(killed: Path) -> None:
    log = Path(f"{killed}-wal").read_bytes()
    true = told(killed, log)
    assert true is not None
    heads = [n for n in range(len(log)) if n < 32 or (n - 32) % FRAME < 24]
    dice, refused = random.Random(0), 0
    for at in [*dice.sample(heads, 60), *(dice.randrange(len(log)) for _ in range(40))]:
        changed = bytearray(log)
        changed[at] ^= 1 << dice.randrange(8)
        now = told(killed, bytes(changed))
        assert now in (None, true), at
        refused += now is None
    assert refused > 60


def test_the_rest_of_a_damaged_log_is_judged(killed: Path) -> None:
    log = bytearray(Path(f"{killed}-wal").read_bytes())
    log[len(log) - FRAME // 2] ^= 1
    assert told(killed, bytes(log)) is None
    with pytest.raises(StoreError, match=r"damaged.*1 log"):
        load(killed)
    run = load(killed, partial=True)
    assert run.events[-1].detail["rows"] == {"log": 1}
    assert run.steps.tolist() == list(range(len(run.steps)))
    assert 8 < len(run.steps) < 12


def test_who_follows_is_told_of_a_damaged_log(killed: Path) -> None:
    true, log = follow(killed), bytearray(Path(f"{killed}-wal").read_bytes())
    assert len(true.readings) == 12
    log[len(log) - FRAME // 2] ^= 1
    told(killed, bytes(log))
    for position in (None, true.position):
        with pytest.raises(StoreError, match=r"damaged.*1 log"):
            follow(killed, position)
        assert follow(killed, position, partial=True).damaged == {"log": 1}


def test_an_end_torn_by_a_kill_alarms_nobody(killed: Path) -> None:
    """Cut anywhere: what a process wrote before it was killed is a beginning of what it would."""
    log, dice = Path(f"{killed}-wal").read_bytes(), random.Random(1)
    cuts = [*range(32, len(log), FRAME), *(dice.randrange(len(log)) for _ in range(20))]
    assert all(told(killed, log[:cut]) is not None for cut in cuts)


def test_an_older_log_behind_the_end_alarms_nobody(tmp_path: Path) -> None:
    """A log begun anew lies over its older frames; a kill leaves the last one half written."""
    writer = Writer(tmp_path / "r.evenflow", {})
    writer.sites([Site(0, "MLP", "layers.0", "linear", "affine")])
    names = (Channel("site", 0, "rms"),)
    for step in range(4):
        writer.reading(Reading(step, names, np.ones(1)))
        writer.flush()
    other = sqlite3.connect(writer.path)
    other.execute("PRAGMA wal_checkpoint(RESTART)")
    other.close()
    for step in range(4, 6):
        writer.reading(Reading(step, names, np.ones(1)))
        writer.flush()
    path = copy(writer.path, tmp_path / "killed")
    writer.close()
    log = Path(f"{path}-wal").read_bytes()
    assert struct.unpack(">I", log[12:16])[0] > 0
    assert told(path, log) is not None
    salts, frames = log[16:24], range(32, len(log), FRAME)
    new = [at for at in frames if log[at + 8 : at + 16] == salts]
    assert 0 < len(new) < len(frames)
    torn = bytearray(log)
    torn[new[-1] + 2000 : new[-1] + FRAME] = bytes(FRAME - 2000)
    assert told(path, bytes(torn)) is not None
    torn[new[0] + 2000] ^= 1
    assert told(path, bytes(torn)) is None or len(new) < 3
