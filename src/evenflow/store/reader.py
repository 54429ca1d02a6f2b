"""Reading a run file: a snapshot, whether it is finished, being written, or left by a kill."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ..lang import _
from ..schema import CLASSES, Channel, Event, Finding, Parameter, Run, Site
from ..showing import visible
from . import codec
from .budget import TooMuch
from .columns import Columns, LayoutBlock
from .format import StoreError, row_sum
from .log import is_broken
from .opening import FLAWS, opened
from .rows import Rows

T = TypeVar("T", Site, Parameter)

#: Readings turned into columns at a time: their bytes stay in the cache, and the allocator keeps
#: the memory (given back and taken again at every turn it doubled the time of a load).
_ROWS, _BYTES = 256, 256_000
#: Sites and parameters of a run at most.
_MOST = 50_000
_FAR = 2**53


def load(path: str | os.PathLike[str], *, partial: bool = False) -> Run:
    """The run as it stands now; safe while it is being written.

    Every row has a checksum. Where rows do not match theirs, the file is refused; with `partial`
    they are left out, and the run's last event, "damaged", says how many of which table: whoever
    asks for it has to tell it.

    Raises:
        StoreError: no such file, or not one of ours, or damaged, or of another Evenflow.

    >>> import tempfile, torch, evenflow
    >>> folder, model = tempfile.TemporaryDirectory(), torch.nn.Linear(2, 1)
    >>> with evenflow.watch(model, run=f"{folder.name}/run.evenflow", every=1) as watch:
    ...     model(torch.ones(4, 2)).sum().backward()
    >>> run = evenflow.load(watch.path)
    >>> run.meta["ended"], run.steps.tolist(), [site.name for site in run.sites]
    ('closed', [0], ['Linear input', 'Linear linear', 'sum'])
    >>> folder.cleanup()
    """
    path = Path(path)
    with opened(path) as (db, budget):
        rows = Rows(db, budget)
        if is_broken(path, budget):  # SQLite does not say what it hides
            rows.spoil("log", path.name)
        meta = dict(meta_in(rows))
        sites = _all(
            rows, "site", codec.parse_site, lambda i: Site(i, "", "", "(damaged)", "other")
        )
        params = _all(
            rows, "param", codec.parse_param, lambda i: Parameter(i, f"(damaged) {i}", ())
        )
        source, steps, columns = _readings(rows, len(sites), len(params))
        curve_steps, curve_loss, early = losses_in(rows)
        events = events_in(rows)
        findings_in(rows, len(sites))
        if damage := rows.told():
            if not partial:
                raise StoreError(refusal(path, damage))
            last = max([0, *steps[-1:].tolist(), *curve_steps[-1:].tolist()])
            events = (*events, Event("damaged", last, {"rows": damage}))
    return Run(
        name=visible(path.stem),
        meta=meta,
        sites=sites,
        params=params,
        steps=steps,
        columns=columns,
        curve_steps=curve_steps,
        curve_loss=curve_loss,
        events=events,
        source=source,
        early=early,
    )


def refusal(path: Path, damage: Mapping[str, int]) -> str:
    """Why a damaged file is not read."""
    said = _(
        "{path!r} is damaged (rows that do not match their checksum: {rows}); `evenflow check` "
        "judges the rest, and so does load(path, partial=True); better take a copy from before"
    )
    rows = ", ".join(f"{count} {table}" for table, count in damage.items())
    return said.format(path=str(path), rows=rows)


def events_in(rows: Rows) -> tuple[Event, ...]:
    """What happened, in order."""
    found = rows.records("event", "seq, kind, step, detail", codec.parse_event)
    return tuple(event for _key, event in found)


def meta_in(rows: Rows, keys: Collection[Any] | None = None) -> list[tuple[str, Any]]:
    """Meta by key, those of `keys` only."""
    out = []
    for key, value in rows.records("meta", "key, value", codec.parse, keys):
        name = visible(key.decode("utf-8", "replace"))
        if codec.is_fact(name, value):
            out.append((name, value))
        else:
            rows.spoil("meta", key)
    return out


def places(rows: Rows, table: str) -> int:
    """How many sites or parameters there are: ids are positions."""
    keys = rows.sums(table)
    count = max((key for key in keys if type(key) is int), default=-1) + 1
    if max(count, len(keys)) > _MOST:
        raise TooMuch(f"its {table}s are numbered up to {count}")
    return count


def by_id(
    rows: Rows, table: str, parse: Callable[[Any], T], keys: Collection[Any] | None = None
) -> dict[Any, T]:
    """Sites or parameters by id, those of `keys` only; what stands in another's place, or reads a
    site that is not there, is damaged."""
    count = places(rows, table)
    found = dict(rows.records(table, "id, record", parse, keys))
    for key, record in found.items():
        inputs = record.inputs if isinstance(record, Site) else ()
        if record.id != key or any(not 0 <= other < count for other in inputs):
            rows.spoil(table, key)
    spoilt = rows.damaged.get(table, ())
    return {key: record for key, record in found.items() if key not in spoilt}


def _all(
    rows: Rows, table: str, parse: Callable[[Any], T], lost: Callable[[int], T]
) -> tuple[T, ...]:
    """All by id; one that is lost has a stand-in, so that the others keep their places."""
    found, ids = by_id(rows, table, parse), range(places(rows, table))
    for key in ids:
        if key not in found:
            rows.spoil(table, key)
    return tuple(found.get(key) or lost(key) for key in ids)


def is_predicted(path: str | os.PathLike[str]) -> bool:
    """Does a file hold a forecast, and no measured reading? Its readings are not read.

    Raises:
        StoreError: as `load`.
    """
    with opened(Path(path)) as (db, _budget):
        told = {source for (source,) in db.execute("SELECT DISTINCT source FROM layout")}
    return told == {b"predicted"}


def layouts_in(
    rows: Rows, sites: int, params: int, keys: Collection[Any] | None = None
) -> dict[int, tuple[str, tuple[Channel, ...]]]:
    """(source, channels) of each layout, those of `keys` only, in a run of so many sites."""
    limits = {"site": sites, "edge": sites, "class": sites, "param": params, "step": 1}
    known: dict[Any, Channel] = {}
    good: set[Channel] = set()
    out: dict[int, tuple[str, tuple[Channel, ...]]] = {}
    for number, source, data in rows.each("layout", "id, source, channels", keys):
        try:
            text = codec.unpack_layout(data)
            rows.budget.layout(len(text))
            channels = codec.parse_layout(text, known)
            for channel in channels:
                if channel in good:
                    continue
                most = CLASSES if channel.of == "class" else sites
                if not 0 <= channel.id < limits.get(channel.of, 0) or channel.edge >= most:
                    raise ValueError(f"a reading is about {channel}, which is not there")
                good.add(channel)
            if source not in (b"measured", b"predicted"):
                raise ValueError(f"readings of unknown source {source!r}")
            out[number] = (source.decode(), channels)
        except TooMuch:
            raise
        except FLAWS:
            rows.spoil("layout", number)
    return out


def _readings(rows: Rows, sites: int, params: int) -> tuple[str, npt.NDArray[np.int64], Columns]:
    """Source, steps [T] and columns. Of a step told twice the latest reading counts."""
    layouts = layouts_in(rows, sites, params)
    heads = _heads(rows, layouts)
    while True:
        spoilt = rows.damaged.get("reading", set())
        there = [head for head in heads if head[0] not in spoilt]
        kinds = {layouts[layout][0] for _, _, layout in there}
        source = "predicted" if kinds == {"predicted"} else "measured"
        last = {step: seq for seq, step, layout in there if layouts[layout][0] == source}
        steps = np.array(sorted(last), np.int64)
        place = {last[step]: row for row, step in enumerate(steps.tolist())}
        order: dict[int, list[int]] = {}
        for seq, _step, layout in there:
            if seq in place:
                order.setdefault(layout, []).append(place[seq])
        blocks = {}
        for layout, at in order.items():
            channels = layouts[layout][1]
            values_CN = np.empty((len(channels), len(at)), np.float32)
            blocks[layout] = LayoutBlock(channels, np.array(at, np.int64), values_CN)
        if _fill(rows, blocks, place):
            return source, steps, Columns(list(blocks.values()), len(steps))
        # Rows did not match: once more, without them. What counts of a step may be another now.


def is_there(step: Any) -> bool:
    """Can this be the number of a step?"""
    return type(step) is int and 0 <= step < _FAR


def _heads(rows: Rows, layouts: Mapping[int, Any]) -> list[tuple[int, int, int]]:
    """(seq, step, layout) of each reading that fits its layout; their bytes are looked at later."""
    waiting = dict.fromkeys(rows.sums("reading"))
    heads = []
    for seq, step, layout, size in rows.db.execute(
        "SELECT seq, step, layout, length(data) FROM reading ORDER BY seq"
    ):
        known = layouts.get(layout)
        rows.budget.row(size if type(size) is int else 0)
        fits = known is not None and size == 4 * len(known[1])
        if not fits or seq not in waiting or not is_there(step):
            rows.spoil("reading", seq)
        else:
            heads.append((seq, step, layout))
        waiting.pop(seq, None)
    for seq in waiting:
        rows.spoil("reading", seq)
    return heads


def _fill(rows: Rows, blocks: dict[int, LayoutBlock], place: dict[int, int]) -> bool:
    """One pass over all readings, into their blocks; False if some did not match."""
    done = dict.fromkeys(blocks, 0)
    sums, spoilt, whole = rows.sums("reading"), rows.damaged.get("reading", set()), True
    cursor = rows.db.execute("SELECT seq, step, layout, data FROM reading ORDER BY seq")
    widest = max([1, *(4 * len(block.channels) for block in blocks.values())])
    while part := cursor.fetchmany(max(1, min(_ROWS, _BYTES // widest))):
        rows.budget.check_time()
        by_layout: dict[int, list[bytes]] = {}
        for row in part:
            if row[0] in spoilt:
                continue
            if row_sum("reading", *row) != sums[row[0]]:
                rows.spoil("reading", row[0])
                whole = False
            elif row[0] in place:
                by_layout.setdefault(row[2], []).append(row[3])
        for layout, data in by_layout.items():
            if not whole:
                break
            width, at = len(blocks[layout].channels), done[layout]
            values_NC = np.frombuffer(b"".join(data), "<f4").reshape(len(data), width)
            blocks[layout].values_CN[:, at : at + len(data)] = values_NC.T
            done[layout] = at + len(data)
    return whole


def losses_in(rows: Rows) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], bool]:
    """Steps [N] rising, losses [N]; are they those of passes before the first update?"""
    steps_N, losses_N = _curve(rows)
    if (steps_N < 0).any():
        return -1 - steps_N[::-1], losses_N[::-1], True
    return steps_N, losses_N, False


def _curve(rows: Rows) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Loss at (nearly) every step: steps [N] rising, losses [N]; the latest of a step counts.

    Passes before the first update are numbered -1, -2, ...; they are told only where no step is.
    """
    kept = []
    for key, steps, losses in rows.each("curve", "seq, steps, losses"):
        fits = type(steps) is type(losses) is bytes and len(steps) == len(losses)
        if fits and not len(steps) % 8:
            kept.append((key, steps, losses))
        else:
            rows.spoil("curve", key)
    # All at once: a slow training's curve has a row a step.
    steps_N = np.frombuffer(b"".join(row[1] for row in kept), "<i8").astype(np.int64)
    losses_N = np.frombuffer(b"".join(row[2] for row in kept), "<f8").astype(np.float64)
    wild_N = (steps_N <= -_FAR) | (steps_N >= _FAR)
    if wild_N.any():
        row_N = np.repeat(np.arange(len(kept)), [len(row[1]) // 8 for row in kept])
        spoilt = np.unique(row_N[wild_N])
        for at in spoilt:
            rows.spoil("curve", kept[at][0])
        left_N = ~np.isin(row_N, spoilt)
        steps_N, losses_N = steps_N[left_N], losses_N[left_N]
    if np.any(of_steps := steps_N >= 0):
        steps_N, losses_N = steps_N[of_steps], losses_N[of_steps]
    if np.all(np.diff(steps_N) > 0):
        return steps_N, losses_N
    _unique, first = np.unique(steps_N[::-1], return_index=True)
    last = len(steps_N) - 1 - first
    return steps_N[last], losses_N[last]


def findings_in(rows: Rows, sites: int) -> list[Finding]:
    """The findings of a run of so many sites."""

    def parse(text: Any) -> Finding:
        finding = Finding.from_dict(codec.parse_table(text))
        if any(not 0 <= site < sites for site in finding.sites):
            raise ValueError("a finding names a site that is not there")
        return finding

    return [finding for _key, finding in rows.records("finding", "seq, record", parse)]
