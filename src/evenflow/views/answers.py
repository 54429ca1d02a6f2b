"""What the page is told of a run, as plain JSON types and bytes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..lang import _
from ..report import SPOILT, finite, names
from ..schema import METRICS, metric_named
from .following import Floats, Followed
from .pyramid import Codes, Range, coarser, encode, range_of

#: Columns of a picture at most; finer ones are asked for piece by piece.
COLUMNS = 2048
#: Points of a curve at most: of each pixel column the least and the largest.
POINTS = 4000
#: Every column of a picture.
ALL = slice(None)
#: What a picture may show, the most telling first, and whether the least of a column is the worst.
PICTURES = {
    "delta": True, "update": True, "saturated": False, "dead": False, "spread": True, "rms": False,
    "slope": True, "weight": False, "grad": True, "zeros": False, "entropy": True,
}  # fmt: skip


def summary(run: Followed) -> dict[str, Any]:
    """All but the numbers: meta, the network, which pictures there are."""
    return finite(  # type: ignore[no-any-return]
        {
            "meta": {k: v for k, v in run.meta.items() if k not in ("source", "units")},
            "source": run.meta.get("source", {}),
            "sites": [
                {
                    "id": s.id,
                    "name": name,
                    **{k: getattr(s, k) for k in ("root", "path", "op", "kind", "index", "call")},
                    **{key: list(getattr(s, key)) for key in ("shape", "inputs", "params")},
                    "lines": [w.as_dict() for w in (*s.made, *s.called)],
                }
                for s, name in zip(run.sites, names(run, run.sites), strict=True)
            ],
            "params": [
                {"id": p.id, "name": p.name, "shape": list(p.shape), "trainable": p.trainable}
                for p in run.params
            ],
            "steps": len(run.steps),
            "points": len(run.curve_steps),
            "last": run.steps[-1] if run.steps else None,
            "turn": run.turn,
            "damaged": run.damaged,
            "pictures": [_picture(run, name) for name in pictures(run)],
            "events": [{"kind": e.kind, "step": e.step, "detail": e.detail} for e in run.events],
        }
    )


def pictures(run: Followed) -> list[str]:
    """Metrics of sites that were measured, the telling ones first; "update" is relative. Names
    that a stranger's file made up are left out."""
    known = [m for of, m in run.blocks if of == "site" and (of, m) in METRICS]
    first = [m for m in PICTURES if m in known or (m == "update" and ("param", m) in run.blocks)]
    return first + sorted(m for m in set(known) if m not in first)


def _picture(run: Followed, name: str) -> dict[str, Any]:
    if name == "update":
        return {
            "name": name,
            "unit": "ratio",
            "text": _("size of an update relative to the weights"),
        }
    metric = metric_named("site", name)
    return {"name": name, "unit": metric.unit, "text": _(metric.text)}


def values(run: Followed, name: str, columns: slice = ALL) -> Floats:
    """[sites, sampled steps] of a picture, or of some of its columns."""
    if name != "update":
        return run.values("site", name)[:, columns]
    moved, size = (run.values("param", m)[:, columns] for m in ("update", "weight"))
    out = np.full((len(run.sites), len(run.steps[columns])), np.nan, np.float32)
    ids = {p.name: p.id for p in run.params}
    for site in run.sites:
        held = [ids[n] for n in site.params if ids.get(n, len(moved)) < min(len(moved), len(size))]
        if held:
            with np.errstate(all="ignore"):
                up, down = (np.sqrt(np.nansum(m[held] ** 2, axis=0)) for m in (moved, size))
                out[site.id] = np.where(down > 0, up / down, np.nan)
    return out


def logarithmic(name: str) -> bool:
    """Is a picture read in decades? Shares are from 0 to 1."""
    return name == "update" or metric_named("site", name).unit not in ("share", "yes or no")


def spoilt(run: Followed, name: str, columns: slice = ALL) -> Floats:
    """The same with infinity where values that are not finite were counted."""
    found = values(run, name, columns)
    counter = SPOILT.get(name)
    if counter is None:
        return found
    bad = run.values("site", counter)[:, columns]
    out = found.copy()
    rows = min(len(out), len(bad))
    out[:rows][np.nan_to_num(bad[:rows]) > 0] = np.inf
    return out


def shown(run: Followed, name: str) -> tuple[Floats, list[int]]:
    """A picture's values, and the sites that are its rows: the layers that it was measured of."""
    found = spoilt(run, name)
    rows = np.flatnonzero(~np.isnan(found).all(axis=1))
    return found, [int(i) for i in rows if run.sites[i].kind not in ("input", "loss")]


def scale_of(run: Followed, name: str) -> Range:
    """What a picture's colours stand for where nothing else is asked for."""
    found, kept = shown(run, name)
    return range_of(name, found[kept], logarithmic(name))


class Grid(NamedTuple):
    """A picture of R rows and K columns.

    Attributes:
        head: which sites its rows are, the steps of its columns, what its codes stand for.
        planes: [R, K] codes; of joined columns those of the least values, then of the largest.
    """

    head: dict[str, Any]
    planes: tuple[Codes, ...]

    def packed(self) -> bytes:
        """The head as JSON behind its length (4 bytes, little-endian), then the planes by row."""
        text = json.dumps(self.head, separators=(",", ":")).encode()
        return len(text).to_bytes(4, "little") + text + b"".join(p.tobytes() for p in self.planes)

    def joined(self, levels: int) -> Grid:
        """With 2^levels neighbouring columns as one."""
        if levels <= 0 or not self.planes[0].size:
            return self
        ends = (self.planes[0], self.planes[-1])
        planes = tuple(
            coarser(p, 1 << levels, least) for p, least in zip(ends, (True, False), strict=True)
        )
        head = {
            **self.head,
            "columns": planes[0].shape[1],
            "level": self.head["level"] + levels,
            "steps": self.head["steps"][:: 1 << levels],
        }
        return Grid(head, planes)


def grid(run: Followed, name: str, start: int, stop: int, scale: Range | None = None) -> Grid:
    """A picture of the steps from `start` to `stop`, some joined if they are over `COLUMNS`."""
    at = np.array(run.steps)
    start = max(int(np.searchsorted(at, start, "right")) - 1, 0)
    stop = int(np.searchsorted(at, stop))
    found, kept = shown(run, name)
    scale = scale or range_of(name, found[kept], logarithmic(name))
    codes = encode(found[kept, start:stop], scale)
    head = {
        "name": name,
        "rows": kept,
        "columns": codes.shape[1],
        "level": 0,
        "start": start,
        "stop": stop,
        "total": len(run.steps),
        "steps": run.steps[start:stop],
        "low": scale.low,
        "high": scale.high,
        "log": scale.log,
        "least": PICTURES.get(name, True),
        "turn": run.turn,
    }
    level = max(0, int(np.ceil(np.log2(max(codes.shape[1], 1) / COLUMNS))))
    return Grid(head, (codes,)).joined(level)


def curves(run: Followed, most: int = POINTS) -> dict[str, Any]:
    """Loss of every step, and what of the sampled ones stands on the same axis."""
    loss = thinned(np.array(run.curve_steps, np.float64), np.array(run.curve_loss), most)
    out: dict[str, Any] = {"loss": loss}
    steps = np.array(run.steps, np.float64)
    for metric in ("lr", "grad_norm"):
        found = run.values("step", metric)
        if len(found) and not np.isnan(found[0]).all():
            out[metric] = thinned(steps, found[0].astype(np.float64), most)
    return finite(out)  # type: ignore[no-any-return]


def thinned(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], most: int = POINTS
) -> list[list[Any]]:
    """[x, y] of a curve; of many points the least and the largest of each stretch. NaN is None."""
    if len(x) > most:
        edges = np.linspace(0, len(x), most // 2 + 1).astype(int)
        kept: set[int] = {0, len(x) - 1}
        filled_low, filled_high = np.nan_to_num(y, nan=np.inf), np.nan_to_num(y, nan=-np.inf)
        for a, b in itertools.pairwise(edges):
            kept |= {a + int(np.argmin(filled_low[a:b])), a + int(np.argmax(filled_high[a:b]))}
        at = np.array(sorted(kept))
        x, y = x[at], y[at]
    return [x.tolist(), [v if np.isfinite(v) else None for v in y.tolist()]]


def site(run: Followed, id: int, most: int = POINTS) -> dict[str, Any]:
    """Every reading of a site over the steps, and of its parameters; where gradient got through
    each of its units (see `tape.units`), if the training has ended."""
    steps = np.array(run.steps, np.float64)
    names = set(run.sites[id].params)
    rows = [
        ("site", metric, id, "")
        for of, metric in run.blocks
        if of == "site" and id < len(run.values(of, metric))
    ]
    rows += [
        ("param", metric, p.id, p.name)
        for of, metric in run.blocks
        if of == "param"
        for p in run.params
        if p.name in names and p.id < len(run.values(of, metric))
    ]
    out = []
    for of, metric, row, name in rows:
        found = run.values(of, metric)[row].astype(np.float64)
        if not np.isnan(found).all():
            text = _(METRICS[of, metric].text) if (of, metric) in METRICS else ""
            points = thinned(steps, found, most)
            out.append({"metric": metric, "of": name, "text": text, "points": points})
    units = run.meta.get("units")
    told = units.get(str(id)) if isinstance(units, dict) else None
    return finite(  # type: ignore[no-any-return]
        {"id": id, "readings": out, "units": told if isinstance(told, str) else None}
    )


def at_step(run: Followed, column: int, names: Sequence[str]) -> dict[str, Any]:
    """Values of all sites at one sampled step, by picture; of forks the branches' shares, each
    with the site that sends it back and the one it is sent to."""
    out = {}
    at = slice(column, column + 1)
    for name in names:
        found = spoilt(run, name, at)
        if found.shape[1]:
            out[name] = [float(v) if not np.isnan(v) else None for v in found[:, 0]]
    held = run.values("edge", "share")[:, at]
    shares = [
        [site, input, float(held[row, 0])]
        for (site, input), row in run.edges.items()
        if row < len(held) and not np.isnan(held[row, 0])
    ]
    return finite(  # type: ignore[no-any-return]
        {"step": run.steps[column], "values": out, "shares": shares}
    )
