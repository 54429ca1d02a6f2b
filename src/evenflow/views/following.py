"""A run that is read while it is written: each look takes in only what is new."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..schema import Channel, Event, Parameter, Reading, Run, Site, damaged_rows
from ..store import News, Position, follow

Floats = npt.NDArray[np.float32]
_FIRST = 256  # columns that a block has room for at first
_TOGETHER = 256  # readings that are put in at once: they stay in the processor's cache


@dataclass(eq=False)
class Cells:
    """One metric of sites, parameters or the step: a row each, a column a sampled step."""

    values: Floats = field(default_factory=lambda: np.full((0, _FIRST), np.nan, np.float32))

    def put(self, rows: npt.NDArray[np.int64], at: int, new: Floats) -> None:
        """Columns from `at` on, of these rows: [rows, columns]."""
        height, width = int(rows.max()) + 1, at + new.shape[1]
        have = self.values.shape
        if height > have[0] or width > have[1]:
            room = max(have[0], height), max(have[1], 2 * width if width > have[1] else 0)
            grown = np.full(room, np.nan, np.float32)
            grown[: have[0], : have[1]] = self.values
            self.values = grown
        self.values[rows, at:width] = new


class Followed:
    """One run file, as far as it was read.

    Attributes:
        sites, params, meta, events, damaged: as of `store.News`.
        steps: of the sampled steps, in the order in which they came.
        curve_steps, curve_loss: the loss of (nearly) every step.
        edges: (site, input) of each row of what is measured of edges.
        turn: how often the path has led to another run.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.turn = path, 0
        self.lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self.position: Position | None = None
        self.meta: dict[str, Any] = {}
        self.sites: list[Site] = []
        self.params: list[Parameter] = []
        self.events: list[Event] = []
        self.steps: list[int] = []
        self.curve_steps: list[int] = []
        self.curve_loss: list[float] = []
        self.damaged: dict[str, int] = {}
        self.blocks: dict[tuple[str, str], Cells] = {}
        self.edges: dict[tuple[int, int], int] = {}
        self._places: dict[int, tuple[Any, list[Any]]] = {}

    def look(self) -> bool:
        """Take in what is new; is there anything? StoreError: the file cannot be read."""
        with self.lock:
            news = follow(self.path, self.position, partial=True)
            if news.again:
                self._forget()
                self.turn += 1
            self._take(news)
            return bool(news)

    def _take(self, news: News) -> None:
        self.position = news.position
        self.meta |= news.meta
        for known, new in ((self.sites, news.sites), (self.params, news.params)):
            for record in new:  # in the order of their ids, but for changed ones
                known[record.id : record.id + 1] = [record]  # type: ignore[list-item]
        self.events += news.events
        self.damaged |= news.damaged
        self.curve_steps += news.curve_steps.tolist()
        self.curve_loss += news.curve_loss.tolist()
        same: list[Reading] = []
        for reading in news.readings:
            if same and (len(same) == _TOGETHER or reading.channels is not same[0].channels):
                self._put(same)
                same = []
            same.append(reading)
        self._put(same)

    def _put(self, readings: Sequence[Reading]) -> None:
        """Readings that have the same channels, one after the other."""
        if not readings:
            return
        at = len(self.steps)
        values = np.array([r.values for r in readings], np.float32).T
        for key, rows, places in self._layout(readings[0].channels):
            self.blocks.setdefault(key, Cells()).put(rows, at, values[places])
        self.steps += [r.step for r in readings]

    def _layout(self, channels: tuple[Channel, ...]) -> list[Any]:
        """Of each metric: its key, the rows and the places of its values in a reading."""
        known = self._places.get(id(channels))
        if known is not None and known[0] is channels:
            return known[1]
        found: dict[tuple[str, str], tuple[list[int], list[int]]] = {}
        for place, c in enumerate(channels):
            if c.of in ("site", "param", "step", "edge"):
                rows, places = found.setdefault((c.of, c.metric), ([], []))
                rows.append(self._row(c))
                places.append(place)
        layout = [(key, np.array(r), np.array(p)) for key, (r, p) in found.items()]
        self._places[id(channels)] = channels, layout
        return layout

    def _row(self, c: Channel) -> int:
        return self.edges.setdefault((c.id, c.edge), len(self.edges)) if c.of == "edge" else c.id

    @classmethod
    def of(cls, run: Run, metrics: Collection[str] = ()) -> Followed:
        """A run that is in memory; with `metrics` no others of its numbers."""
        made = cls(Path())
        made.meta, made.events = dict(run.meta), list(run.events)
        made.sites, made.params = list(run.sites), list(run.params)
        made.damaged = dict(damaged_rows(run))
        made.steps = run.steps.tolist()
        made.curve_steps, made.curve_loss = run.curve_steps.tolist(), run.curve_loss.tolist()
        rows: dict[tuple[str, str], list[tuple[int, npt.NDArray[np.float64]]]] = {}
        for c, column in run.columns.items():
            if metrics and c.metric not in metrics:
                continue
            if c.of in ("site", "param", "step", "edge"):
                rows.setdefault((c.of, c.metric), []).append((made._row(c), column))
        for key, found in rows.items():
            values: Floats = np.full(
                (max(r for r, _ in found) + 1, len(made.steps)), np.nan, np.float32
            )
            with np.errstate(over="ignore"):
                for row, column in found:
                    values[row] = column
            made.blocks[key] = Cells(values)
        return made

    def values(self, of: str, metric: str) -> Floats:
        """[rows, sampled steps]; no rows where it was never measured."""
        block = self.blocks.get((of, metric))
        width = len(self.steps)
        if block is None:
            return np.empty((0, width), np.float32)
        if block.values.shape[1] < width:
            block.put(
                np.array([max(len(block.values) - 1, 0)]),
                width - 1,
                np.full((1, 1), np.nan, np.float32),
            )
        return block.values[:, :width]
