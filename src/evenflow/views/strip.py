"""Layers x steps as a small picture, whatever shows it: the layer error of a run as codes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..report import SPOILT, names
from ..schema import Run
from .answers import logarithmic, shown
from .following import Followed
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
    seen = run if isinstance(run, Followed) else Followed.of(run, ("delta", SPOILT["delta"]))
    found, kept = shown(seen, "delta")
    if len(kept) < 2:
        return None
    scale = range_of("delta", found[kept], logarithmic("delta"))
    called = names(seen, [seen.sites[i] for i in kept])
    codes = encode(found[kept], scale)
    ends = seen.steps[0], seen.steps[-1]
    return Strip(codes, tuple((n, n) for n in called), ends, scale, len(kept))
