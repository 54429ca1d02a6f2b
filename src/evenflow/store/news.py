"""Following a run that is being written: what is new in its file since the last look."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..schema import Channel, Event, Finding, Parameter, Reading, Site
from . import codec
from .format import StoreError
from .log import is_broken
from .opening import opened
from .reader import (
    by_id,
    events_in,
    findings_in,
    is_there,
    layouts_in,
    losses_in,
    meta_in,
    places,
    refusal,
)
from .rows import Rows

#: Tables that only grow: of these, rows past the last that was read are new. Of the others those
#: are whose checksum is another.
_GROWING = ("reading", "curve", "event")
_SMALL = ("meta", "site", "param", "layout", "finding")


@dataclass(frozen=True, slots=True)
class Position:
    """How far a file was read. Opaque: have it from `News.position`, give it to `follow`."""

    file: tuple[int, int]
    last: Mapping[str, int]
    sums: Mapping[str, Mapping[Any, int]]
    layouts: Mapping[int, tuple[str, tuple[Channel, ...]]]


@dataclass(frozen=True, slots=True)
class News:
    """What a run file holds that it did not hold at the position before.

    Attributes:
        position: give it to the next `follow`.
        again: the path now leads to another run, so that all of it is news.
        meta: keys that are new or changed.
        sites, params: those that are new or changed, to be put in place by their `id`.
        readings: in the order in which they were written; of a step told twice the later counts.
        curve_steps, curve_loss: as `Run` has them [N], [N]; `early` likewise.
        events: in order.
        findings: all, where they changed; None where they did not.
        damaged: with `partial`, rows left out of each table.
    """

    position: Position
    again: bool
    meta: Mapping[str, Any]
    sites: tuple[Site, ...]
    params: tuple[Parameter, ...]
    readings: tuple[Reading, ...]
    curve_steps: npt.NDArray[np.int64]
    curve_loss: npt.NDArray[np.float64]
    early: bool
    events: tuple[Event, ...]
    findings: tuple[Finding, ...] | None
    damaged: Mapping[str, int]

    def __bool__(self) -> bool:
        """Is there anything new?"""
        told = (self.meta, self.sites, self.params, self.readings, self.events, self.damaged)
        return self.again or any(told) or len(self.curve_steps) > 0 or self.findings is not None


def follow(
    path: str | os.PathLike[str], after: Position | None = None, *, partial: bool = False
) -> News:
    """What is new in a run file since `after`; all of it where that is None.

    Reads only what is new, so it may be asked every second of a run of any length, also while
    another program writes it: a training's thread notices nothing.

    >>> import tempfile, numpy as np
    >>> from evenflow.schema import Channel, Reading
    >>> from evenflow.store import Writer, follow
    >>> folder = tempfile.TemporaryDirectory()
    >>> writer = Writer(f"{folder.name}/run.evenflow", {"script": "train.py"})
    >>> news = follow(writer.path)
    >>> news.meta["script"], len(news.readings)
    ('train.py', 0)
    >>> loss = (Channel("step", 0, "loss"),)
    >>> writer.reading(Reading(0, loss, np.array([2.5])))
    >>> writer.flush()
    >>> news = follow(writer.path, news.position)
    >>> [(r.step, r.values.tolist()) for r in news.readings], dict(news.meta)
    ([(0, [2.5])], {})
    >>> bool(follow(writer.path, news.position))
    False
    >>> writer.close(); folder.cleanup()

    Raises:
        StoreError: as `load`; rows that do not match their checksums, too, without `partial`.
    """
    path = Path(path)
    with opened(path) as (db, budget):
        found = path.stat()
        file = (found.st_dev, found.st_ino)
        rows = Rows(db, budget, after.last if after is not None else None)
        again = after is not None and (file != after.file or _other(rows, after))
        if again:
            rows = Rows(db, budget)
        if after is None or again:
            after = Position(file, {}, {}, {})
        news = _news(rows, after, again)
        # A damaged log hides what follows: looked for where nothing does, as it costs the most.
        if (not after.last or not news) and is_broken(path, budget):
            news = replace(news, damaged={**news.damaged, "log": 1})
        if news.damaged and not partial:
            raise StoreError(refusal(path, news.damaged))
    return news


def _other(rows: Rows, after: Position) -> bool:
    """Is this another run than the one that was read (or has it lost what was read)?"""
    was, now = after.sums["meta"].get(b"started"), rows.sums("meta").get(b"started")
    return was != now or any(
        last and not rows.db.execute(f"SELECT 1 FROM {table} WHERE seq >= ?", (last,)).fetchone()
        for table, last in after.last.items()
    )


def _news(rows: Rows, after: Position, again: bool) -> News:
    sums = {table: rows.sums(table) for table in _SMALL}
    changed = {
        table: [key for key, sum in now.items() if after.sums.get(table, {}).get(key) != sum]
        for table, now in sums.items()
    }
    meta = dict(meta_in(rows, changed["meta"]))
    count = places(rows, "site")
    sites = by_id(rows, "site", codec.parse_site, changed["site"])
    params = by_id(rows, "param", codec.parse_param, changed["param"])
    layouts = {key: known for key, known in after.layouts.items() if key in sums["layout"]}
    layouts.update(layouts_in(rows, count, places(rows, "param"), changed["layout"]))
    steps, losses, early = losses_in(rows)
    readings = _readings(rows, layouts)
    events = events_in(rows)
    same = not changed["finding"] and len(sums["finding"]) == len(after.sums.get("finding", {}))
    found = None if same else tuple(findings_in(rows, count))
    last = {table: max([after.last.get(table, 0), *rows.sums(table)]) for table in _GROWING}
    return News(
        position=Position(after.file, last, sums, layouts),
        again=again,
        meta=meta,
        sites=tuple(sites.values()),
        params=tuple(params.values()),
        readings=readings,
        curve_steps=steps,
        curve_loss=losses,
        early=early,
        events=events,
        findings=found,
        damaged=rows.told(),
    )


def _readings(
    rows: Rows, layouts: Mapping[int, tuple[str, tuple[Channel, ...]]]
) -> tuple[Reading, ...]:
    out = []
    for seq, step, layout, data in rows.each("reading", "seq, step, layout, data"):
        source, channels = layouts.get(layout, ("", ()))
        if (
            not source
            or not is_there(step)
            or type(data) is not bytes
            or len(data) != 4 * len(channels)
        ):
            rows.spoil("reading", seq)
            continue
        values = np.frombuffer(data, "<f4").astype(np.float64)
        out.append(Reading(step, channels, values, source))
    return tuple(out)
