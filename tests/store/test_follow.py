"""Following a run that grows: what is told piece by piece is what loading it whole says."""

from __future__ import annotations

import dataclasses
import random
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evenflow.schema import Channel, Event, Finding, Parameter, Reading, Severity, Site
from evenflow.store import News, StoreError, Writer, follow, load
from evenflow.store.budget import ReadingBudget


class Told:
    """All the news of one run put together: the slow, obvious way to have it whole."""

    def __init__(self) -> None:
        self.position: Any = None
        self.meta: dict[str, Any] = {}
        self.sites: dict[int, Site] = {}
        self.params: dict[int, Parameter] = {}
        self.readings: dict[int, Reading] = {}
        self.curve: dict[int, float] = {}
        self.early = False
        self.events: list[Event] = []
        self.findings: tuple[Finding, ...] = ()

    def hear(self, news: News) -> None:
        if news.again:
            self.__init__()  # type: ignore[misc]
        self.position = news.position
        self.meta.update(news.meta)
        self.sites.update({s.id: s for s in news.sites})
        self.params.update({p.id: p for p in news.params})
        self.readings.update({r.step: r for r in news.readings})
        if len(news.curve_steps):
            if self.early and not news.early:
                self.curve.clear()  # the passes were not steps
            self.early = news.early
            steps, losses = news.curve_steps.tolist(), news.curve_loss.tolist()
            self.curve.update(zip(steps, losses, strict=True))
        self.events += news.events
        self.findings = self.findings if news.findings is None else news.findings

    def check(self, path: Path) -> None:
        run = load(path)
        assert run.meta == self.meta
        assert list(run.sites) == [self.sites[i] for i in range(len(self.sites))]
        assert list(run.params) == [self.params[i] for i in range(len(self.params))]
        assert run.events == tuple(self.events)
        assert run.early == self.early
        assert dict(zip(run.curve_steps.tolist(), run.curve_loss.tolist(), strict=True)) == (
            self.curve
        )
        assert run.steps.tolist() == sorted(self.readings)
        for row, step in enumerate(run.steps.tolist()):
            reading = self.readings[step]
            there = {c: v[row] for c, v in run.columns.items() if not np.isnan(v[row])}
            assert there == dict(zip(reading.channels, reading.values.tolist(), strict=True))


def _finding(step: int) -> Finding:
    return Finding("EF101", "vanishing-gradient", Severity.error, (0,), step, step, {"ratio": 0.5})


def _write(writer: Writer, rng: random.Random, sites: list[Site], step: int) -> None:
    """A few records of every kind, as a training makes them."""
    for _ in range(rng.randrange(4)):
        new = Site(len(sites), "Net", f"layers.{len(sites)}", "linear", "affine")
        sites.append(new)
        writer.sites([new])
    if sites and rng.random() < 0.5:
        i = rng.randrange(len(sites))
        sites[i] = dataclasses.replace(sites[i], inputs=(rng.randrange(len(sites)),))
        writer.sites([sites[i]])
    if rng.random() < 0.5:
        writer.params([Parameter(rng.randrange(1), "w", (step + 1, 2))])
    if sites:
        some = rng.sample(range(len(sites)), rng.randrange(1, len(sites) + 1))
        channels = tuple(Channel("site", i, "rms") for i in some)
        at = step - (rng.random() < 0.2 and step > 0)  # a step told twice
        writer.reading(Reading(at, channels, np.float32(np.random.rand(len(some))).astype(float)))
    if rng.random() < 0.7:
        writer.curve([step], [rng.random()])
    if rng.random() < 0.3:
        writer.event(Event("note", step, {"text": f"at {step}"}))
    if rng.random() < 0.3:
        writer.findings([_finding(step)] * rng.randrange(3))
    if rng.random() < 0.3:
        writer.meta(steps=step, note=f"step {step}")


@pytest.mark.parametrize("seed", range(6))
def test_the_news_together_are_the_run(seed: int, tmp_path: Path) -> None:
    rng, told, sites = random.Random(seed), Told(), list[Site]()
    writer = Writer(tmp_path / "run.evenflow", {"script": "train.py", "started": 1.0})
    if seed % 2:
        writer.curve([-1, -2], [5.0, 4.0])
    for step in range(25):
        _write(writer, rng, sites, step)
        if rng.random() < 0.6:
            writer.flush()
            told.hear(follow(writer.path, told.position))
            told.check(writer.path)
    writer.meta(ended="closed")
    writer.close()
    told.hear(follow(writer.path, told.position))
    told.check(writer.path)
    assert told.meta["ended"] == "closed"
    assert not follow(writer.path, told.position)


def test_only_what_is_new_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer(tmp_path / "run.evenflow", {})
    channels = tuple(Channel("site", i, "rms") for i in range(3))
    writer.sites([Site(i, "Net", str(i), "linear", "affine") for i in range(3)])
    for step in range(2000):
        writer.reading(Reading(step, channels, np.ones(3)))
    writer.flush()
    rows, row = [0], ReadingBudget.row

    def counted(self: ReadingBudget, size: int) -> None:
        rows[0] += 1
        row(self, size)

    monkeypatch.setattr(ReadingBudget, "row", counted)
    whole = follow(writer.path)
    assert len(whole.readings) == 2000 and rows[0] > 4000  # rows and their checksums
    rows[0] = 0
    writer.reading(Reading(2000, channels, np.ones(3)))
    writer.flush()
    news = follow(writer.path, whole.position)
    assert [r.step for r in news.readings] == [2000] and rows[0] < 20
    assert news.readings[0].channels is whole.readings[0].channels
    writer.close()


def test_what_was_thinned_away_is_not_missed(tmp_path: Path) -> None:
    told, writer = Told(), Writer(tmp_path / "run.evenflow", {}, max_bytes=200_000)
    channels = tuple(Channel("site", i, "rms") for i in range(300))
    writer.sites([Site(i, "Net", str(i), "linear", "affine") for i in range(300)])
    for step in range(600):
        writer.reading(Reading(step, channels, np.full(300, float(step))))
        if not step % 10:
            writer.flush()
            told.hear(follow(writer.path, told.position))
    writer.close()
    told.hear(follow(writer.path, told.position))
    assert len(load(writer.path).steps) < 600
    assert sorted(told.readings) == list(range(600))


def test_another_run_in_its_place_is_told_whole(tmp_path: Path) -> None:
    told, channels = Told(), (Channel("step", 0, "loss"),)
    for started in (1.0, 2.0):
        writer = Writer(tmp_path / "run.evenflow", {"started": started}, overwrite=True)
        for step in range(3):
            writer.reading(Reading(step, channels, np.array([started])))
        writer.close()
        news = follow(writer.path, told.position)
        assert news.again == (started == 2.0) and len(news.readings) == 3
        told.hear(news)
        told.check(writer.path)


def test_a_run_that_goes_on_is_followed_on(tmp_path: Path) -> None:
    told, sites = Told(), list[Site]()
    for turn in range(3):
        writer = Writer(tmp_path / "run.evenflow", {"note": str(turn)}, resume=turn > 0)
        for step in range(5):
            _write(writer, random.Random(turn), sites, 5 * turn + step)
        writer.close()
        news = follow(writer.path, told.position)
        assert not news.again
        told.hear(news)
        told.check(writer.path)


def test_damage_is_told_once_it_is_read(tmp_path: Path) -> None:
    path, channels = tmp_path / "run.evenflow", (Channel("step", 0, "loss"),)
    writer = Writer(path, {})
    writer.reading(Reading(0, channels, np.array([1.0])))
    writer.flush()
    before = follow(path)
    writer.reading(Reading(1, channels, np.array([2.0])))
    writer.reading(Reading(2, channels, np.array([3.0])))
    writer.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE reading SET data = x'00000000' WHERE step = 1")
    db.close()
    with pytest.raises(StoreError, match="1 reading"):
        follow(path, before.position)
    news = follow(path, before.position, partial=True)
    assert [r.step for r in news.readings] == [2] and news.damaged == {"reading": 1}
