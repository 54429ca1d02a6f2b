"""Damage is told: a row that is not as it was written is never taken for one that is."""

from __future__ import annotations

import dataclasses
import json
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import crc, written
from hypothesis import given
from hypothesis import strategies as st

from evenflow.cli import main
from evenflow.schema import Channel, Event, Finding, Parameter, Reading, Run, Severity, Site
from evenflow.store import StoreError, Writer, follow, load
from evenflow.store.format import row_sum

ROW = st.lists(st.integers() | st.text(max_size=20) | st.binary(max_size=40), max_size=4)


@given(st.sampled_from(("meta", "reading")), ROW)
def test_a_rows_checksum_is_the_crc_of_its_values(table: str, row: list[Any]) -> None:
    assert row_sum(table, *row) == crc(written(table, tuple(row)))


@given(ROW, st.integers(0, 31), st.data())
def test_any_burst_of_32_bits_is_told(row: list[Any], start: int, data: st.DataObject) -> None:
    raw = bytearray(written("reading", tuple(row)) + b"\0\0\0\0")
    wide = data.draw(st.integers(1, 2**32 - 1))
    before = crc(bytes(raw))
    at = min(start, len(raw) - 4)
    for i, byte in enumerate(wide.to_bytes(4, "big")):
        raw[at + i] ^= byte
    assert crc(bytes(raw)) != before


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Small, every table in use, and most of its bytes hold something."""
    writer = Writer(tmp_path / "r.evenflow", {"script": "x.py", "optimizers": [{"lr": 0.1}]})
    writer.sites(
        [
            Site(i, "MLP", f"layers.{i}", "linear", "affine", inputs=(i - 1,) if i else ())
            for i in range(6)
        ]
    )
    writer.params([Parameter(i, f"layers.{i}.weight", (3, 3)) for i in range(6)])
    channels = tuple(Channel("site", i, "rms") for i in range(6))
    for step in range(40):
        writer.reading(Reading(step, channels, np.arange(1, 7) + step % 3))
    for step in range(0, 40, 4):
        writer.curve(range(step, step + 4), [1 / (1 + step)] * 4)
        writer.flush()
    writer.event(Event("note", 3, {"text": "a note"}))
    writer.findings(
        [Finding("EF101", "vanishing-gradient", Severity.error, (1,), 0, 9, {"q": 1.0})]
    )
    writer.close()
    return writer.path


def whole(run: Run) -> Any:
    """All of a run in a form that can be compared."""
    columns = {c: run.columns[c].tobytes() for c in run.columns}
    plain = dataclasses.replace(
        run,
        columns=columns,
        steps=0,
        curve_steps=0,
        curve_loss=0,  # type: ignore[arg-type]
    )
    return plain, run.steps.tobytes(), run.curve_steps.tobytes(), run.curve_loss.tobytes()


def test_no_flipped_bit_loads_as_other_numbers(path: Path) -> None:
    """The file as a whole, bit by bit at random: refused, or the same in every respect; and what
    is left of a damaged one is as it was."""
    data, true = path.read_bytes(), load(path)
    told, findings = whole(true), follow(path).findings
    dice, refused, partly = random.Random(0), 0, 0
    used = [i for i, byte in enumerate(data) if byte]
    for _ in range(400):
        changed = bytearray(data)
        changed[dice.choice(used)] ^= 1 << dice.randrange(8)
        path.write_bytes(changed)
        try:
            assert whole(load(path)) == told
            assert follow(path).findings == findings
        except StoreError:
            refused += 1
        else:
            continue
        try:
            rest = load(path, partial=True)
        except StoreError:
            continue
        partly += 1
        assert rest.events[-1].kind == "damaged"
        check_rest(rest, true)
    assert refused > 100
    assert partly > 50


def check_rest(rest: Run, true: Run) -> None:
    """Whatever is there is true."""
    at = np.searchsorted(true.steps, rest.steps)
    assert true.steps[at].tolist() == rest.steps.tolist()
    for channel in rest.columns:
        np.testing.assert_array_equal(rest.columns[channel], true.columns[channel][at])
    known = dict(zip(true.curve_steps.tolist(), true.curve_loss.tolist(), strict=True))
    assert all(
        known[s] == v
        for s, v in zip(rest.curve_steps.tolist(), rest.curve_loss.tolist(), strict=True)
    )
    assert all(event in true.events for event in rest.events[:-1])
    assert all(true.meta[key] == value for key, value in rest.meta.items())
    for mine, yours in zip(rest.sites, true.sites, strict=False):
        assert mine == yours or mine.op == "(damaged)"
    for one, two in zip(rest.params, true.params, strict=False):
        assert one == two or one.name.startswith("(damaged)")


def change(path: Path, statement: str) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(statement)
    db.close()


HARM: dict[str, tuple[str, Callable[[Run], bool]]] = {
    "reading": (
        "UPDATE reading SET data = zeroblob(24) WHERE step = 7",
        lambda run: run.steps.tolist() == [s for s in range(40) if s != 7],
    ),
    "layout": ("UPDATE layout SET source = 'predicted'", lambda run: len(run.steps) == 0),
    "curve": (
        "UPDATE curve SET losses = zeroblob(32) WHERE seq = 2",
        lambda run: run.curve_steps.tolist() == [*range(4), *range(8, 40)],
    ),
    "event": ("DELETE FROM event", lambda run: [e.kind for e in run.events] == ["damaged"]),
    "meta": (
        "UPDATE meta SET value = '\"y.py\"' WHERE key = 'script'",
        lambda run: "script" not in run.meta and "optimizers" in run.meta,
    ),
    "site": (
        "DELETE FROM site WHERE id = 5",
        lambda run: len(run.sites) == 6 and run.sites[5].op == "(damaged)",
    ),
    "param": (
        "UPDATE param SET record = replace(record, 'layers.2', 'layers.4') WHERE id = 2",
        lambda run: run.params[2].name == "(damaged) 2" and run.params[3].name == "layers.3.weight",
    ),
    "finding": ("UPDATE finding SET record = '{}'", lambda run: len(run.steps) == 40),
}


@pytest.mark.parametrize("table", HARM)
def test_a_damaged_row_is_left_out_and_told(
    table: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    statement, left = HARM[table]
    change(path, statement)
    with pytest.raises(StoreError, match=f"damaged.*1 {table}.*partial=True"):
        load(path)
    run = load(path, partial=True)
    assert left(run)
    rows = run.events[-1].detail["rows"]
    assert rows[table] == 1
    assert set(rows) <= {table, "reading"}  # readings go with their layout
    code = main(["check", str(path)])
    out, err = capsys.readouterr()
    assert "The file is damaged: " in (out + err).replace("\n", " ")
    if table in ("site", "param", "layout"):
        assert (code, out) == (3, "")
        return
    assert main(["check", "--json", str(path)]) == code
    assert json.loads(capsys.readouterr().out)["damaged"] == rows
    assert main(["report", str(path), "-o", "-"]) == 0
    assert "The file is damaged: " in capsys.readouterr().out


def test_a_row_without_a_checksum_and_a_row_twice_are_damage(path: Path) -> None:
    change(path, "INSERT INTO reading (step, layout, data) VALUES (90, 1, zeroblob(24))")
    with pytest.raises(StoreError, match="1 reading"):
        load(path)
    assert load(path, partial=True).steps.tolist() == list(range(40))


def test_a_whole_file_says_nothing(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [e.kind for e in load(path, partial=True).events] == ["note"]
    main(["check", str(path), "--json"])
    assert "damaged" not in json.loads(capsys.readouterr().out)
