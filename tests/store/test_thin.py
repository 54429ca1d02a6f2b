"""A full run file loses old steps, never what was found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evenflow.schema import Channel, Event, Finding, Reading, Severity, Site
from evenflow.store import Writer, follow, load, sink
from evenflow.store import format as limits

CORE = tuple(Channel("site", 0, f"m{i}") for i in range(300))
FULL = (*CORE, Channel("site", 0, "spread"))
LIMIT = 2_000_000


def write(path: Path, count: int, every_full: int = 2, flush: int = 100) -> None:
    writer = Writer(path, {}, max_bytes=LIMIT)
    writer.sites([Site(0, "MLP", "", "linear", "affine")])
    writer.event(Event("note", 0, {"text": "kept"}))
    writer.findings([Finding("EF101", "x", Severity.error, (0,), 0, 1, {})])
    for step in range(count):
        channels = FULL if step % every_full == 0 else CORE
        writer.reading(Reading(step, channels, np.full(len(channels), float(step))))
        writer.curve([step], [float(step)])
        if step % flush == flush - 1:
            writer.flush()
    writer.close()
    assert writer.error is None


def test_old_steps_go_and_findings_stay(tmp_path: Path) -> None:
    path = tmp_path / "r.evenflow"
    write(path, 8000)
    assert path.stat().st_size < 1.15 * LIMIT
    run = load(path)
    assert 500 < len(run.steps) < 3000
    assert run.steps[:16].tolist() == list(range(16)), "the birth of a run is kept"
    gaps = np.diff(run.steps)
    assert gaps[-100:].max() == 1, "the recent past is kept whole"
    assert gaps.max() < 1000, "no hole: what is thinned keeps every other step"
    np.testing.assert_array_equal(run.columns[CORE[7]], run.steps)
    full = run.columns[FULL[-1]]
    assert np.isfinite(full).sum() > 0.3 * len(full), "both kinds of step are thinned alike"
    np.testing.assert_array_equal(run.curve_steps, np.arange(8000))
    assert (follow(path).findings or ())[0].code == "EF101"
    assert run.events[0].detail == {"text": "kept"}
    thinned = [event for event in run.events if event.kind == "thinned"]
    assert sum(event.detail["readings"] for event in thinned) + len(run.steps) == 8000


def test_within_its_limit_nothing_is_thinned(tmp_path: Path) -> None:
    path = tmp_path / "r.evenflow"
    write(path, 1200)
    assert len(load(path).steps) == 1200
    assert [event.kind for event in load(path).events] == ["note"]


def test_a_huge_curve_is_thinned_too(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "r.evenflow", {}, max_bytes=LIMIT)
    for start in range(0, 400_000, 1000):
        writer.curve(range(start, start + 1000), np.arange(start, start + 1000.0).tolist())
        if start % 20_000 == 0:
            writer.flush()
    writer.close()
    assert writer.error is None
    assert writer.path.stat().st_size < 1.3 * LIMIT
    run = load(writer.path)
    np.testing.assert_array_equal(run.curve_loss, run.curve_steps)
    assert run.curve_steps[-1] == 399_999
    assert len(run.curve_steps) > 10_000
    lost = sum(event.detail["losses"] for event in run.events)
    assert lost + len(run.curve_steps) == 400_000


def test_layouts_that_never_repeat_are_thinned_with_their_readings(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "r.evenflow", {}, max_bytes=LIMIT)
    writer.sites([Site(0, "MLP", "", "linear", "affine")])
    for step in range(3000):
        channels = (*CORE, Channel("site", 0, f"x{step}"))
        writer.reading(Reading(step, channels, np.full(len(channels), float(step))))
        if step % 100 == 0:
            writer.flush()
    writer.close()
    assert writer.error is None
    assert writer.path.stat().st_size < 1.3 * LIMIT
    run = load(writer.path)
    np.testing.assert_array_equal(run.columns[CORE[0]], run.steps)


def test_a_flood_of_events_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "MAX_EVENTS", 10)
    assert limits.MAX_EVENTS >= 1000
    writer = Writer(tmp_path / "r.evenflow", {})
    for step in range(50):
        writer.event(Event("skipped", step))
    writer.close()
    events = load(writer.path).events
    assert len(events) == 11
    assert events[-1].detail == {"text": "only the first 10 events are kept"}
