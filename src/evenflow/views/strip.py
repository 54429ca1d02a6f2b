"""Layers x steps as a small picture, whatever shows it: the layer error of a run as codes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..schema import Run, bare_name
from .following import Floats, Followed
from .pyramid import Codes, Range, coarser, encode, range_of

#: Each sample is at most so many columns wide, where there are few.
WIDEST = 4


class Strip(NamedTuple):
    """rms of δ by layer and sampled step. R rows, from the data to the loss; K columns.

    Attributes:
        codes: [R, K], see `pyramid`.
        names: of each row the layer, or the first and the last of those that were joined.
        steps: the first and the last.
        scale: what the codes stand for.
        layers: how many there are.
    """

    codes: Codes
    names: tuple[tuple[str, str], ...]
    steps: tuple[int, int]
    scale: Range
    layers: int

    def within(self, rows: int, columns: int) -> Strip:
        """In at most so many rows and columns, the least of what is joined; few samples are drawn
        wider."""
        deep, wide = -(-self.layers // rows), -(-self.codes.shape[1] // columns)
        codes = coarser(self.codes, wide, least=True)
        codes = np.ascontiguousarray(coarser(codes.T, deep, least=True).T)
        codes = np.repeat(codes, max(1, min(WIDEST, columns // codes.shape[1])), axis=1)
        parts = [self.names[i : i + deep] for i in range(0, self.layers, deep)]
        return self._replace(codes=codes, names=tuple((p[0][0], p[-1][1]) for p in parts))


def strip_of(run: Run | Followed) -> Strip | None:
    """Of the layers that an error reached; None where it reached fewer than two."""
    width = len(run.steps)
    found = _found(run, "delta", width)
    if not width or not len(found):
        return None
    bad = _found(run, "delta_nonfinite", width)
    rows = min(len(found), len(bad))
    found[:rows][np.nan_to_num(bad[:rows]) > 0] = np.inf
    seen = np.flatnonzero(~np.isnan(found).all(axis=1))
    kept = [int(i) for i in seen if run.sites[i].kind not in ("input", "loss")]
    if len(kept) < 2:
        return None
    several = len({s.root for s in run.sites if s.root}) > 1
    sites = [run.sites[i] for i in kept]
    names = [s.name if several else bare_name(s) for s in sites]
    scale = range_of("delta", found[kept], True)
    ends = int(run.steps[0]), int(run.steps[-1])
    with np.errstate(over="ignore"):  # an exact zero, far below the scale
        codes = encode(found[kept], scale)
    return Strip(codes, tuple((n, n) for n in names), ends, scale, len(kept))


def _found(run: Run | Followed, metric: str, width: int) -> Floats:
    """[sites, steps] of a metric, a copy; no rows where it was never measured."""
    if isinstance(run, Followed):
        return run.values("site", metric).copy()
    out = np.full((len(run.sites), width), np.nan, np.float32)
    measured = False
    for site in run.sites:
        column = run.site(site.id, metric)
        if column is not None:
            with np.errstate(over="ignore"):
                out[site.id], measured = column, True
    return out if measured else out[:0]
