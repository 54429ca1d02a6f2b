"""Readings as bytes, and coarser ones in which no extreme is lost. R rows, K columns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float32]

#: Codes 0 to `TOP` run from the low to the high end of a range.
TOP = 250
ZERO, BROKEN, MISSING = 253, 254, 255


class Range(NamedTuple):
    """What codes stand for: numbers from low to high, or their log10."""

    low: float
    high: float
    log: bool


#: Decades of a picture at least: a healthy network must not fill the palette with its small
#: differences. Healthy ones of the zoo lose less than 1.5 decades of gradient, sick ones over 5.
WINDOW = 8.0
#: Of ratios the ends are the same in every run, in decades.
ENDS = {"update": (-8.0, 0.0), "spread": (-8.0, 0.0), "slope": (-4.0, 0.0)}


def range_of(name: str, values: Values, log: bool) -> Range:
    """What the palette runs over: shares from 0 to 1, ratios over the same decades in every run,
    else down from the largest that was measured."""
    if not log:
        return Range(0.0, 1.0, False)
    if name in ENDS:
        return Range(*ENDS[name], True)
    known = values[np.isfinite(values) & (values > 0)]
    if not known.size:
        return Range(-WINDOW, 0.0, True)
    high = float(np.log10(known.max()))
    return Range(high - WINDOW, high, True)


def encode(values: Values, scale: Range) -> Codes:
    """Each value as a code; values beyond the range as its ends.

    >>> import numpy as np
    >>> encode(np.array([1e-3, 1.0, 0.0, np.nan, np.inf], np.float32), Range(-3.0, 0.0, True))
    array([  0, 250, 253, 255, 254], dtype=uint8)
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        at = np.log10(np.abs(values)) if scale.log else values
        part = (at - scale.low) / max(scale.high - scale.low, 1e-9)
    out = (np.clip(np.nan_to_num(part, nan=0.0), 0, 1) * TOP).round().astype(np.uint8)
    if scale.log:
        out[values == 0] = ZERO
    out[np.isinf(values)] = BROKEN
    out[np.isnan(values)] = MISSING
    return out


def coarser(codes: Codes, factor: int, least: bool) -> Codes:
    """[R, ceil(K / factor)]: of each `factor` columns the least (or the largest) that was measured.

    What is not finite outlives all else, an exact zero all that is measured where the least is
    asked for: one dead step stays to be seen.

    >>> coarser(np.array([[9, 3, 255, 255, 7, 253]], np.uint8), 2, least=True)
    array([[  3, 255, 253]], dtype=uint8)
    >>> coarser(np.array([[9, 3, 255, 255, 7, 253]], np.uint8), 2, least=False)
    array([[  9, 255,   7]], dtype=uint8)
    """
    rows, columns = codes.shape
    spare = -columns % factor
    if spare:
        codes = np.pad(codes, ((0, 0), (0, spare)), constant_values=MISSING)
    # an order in which the wanted one is the largest: missing < measured < zero < broken
    rank = np.full(256, 0, np.uint16)
    measured = np.arange(TOP + 1, dtype=np.uint16)
    rank[: TOP + 1] = 2 + (TOP - measured if least else measured)
    rank[ZERO] = TOP + 3 if least else 1
    rank[BROKEN] = TOP + 4
    best = rank[codes].reshape(rows, -1, factor).max(axis=2)
    back = np.full(TOP + 5, MISSING, np.uint8)
    back[rank[: TOP + 1]] = measured
    back[rank[ZERO]], back[rank[BROKEN]] = ZERO, BROKEN
    return np.asarray(back[best], np.uint8)
