"""Pure helpers on readings: arrays along time with NaN where nothing was measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


def median(a: Floats, axis: int = 0) -> Floats:
    """Median over `axis`, NaN left out; NaN where all is NaN (and no warning about it)."""
    a = np.asarray(a, dtype=np.float64)
    if a.shape[axis] == 0:
        return np.full(np.delete(a.shape, axis), np.nan)
    s = np.moveaxis(np.sort(a, axis=axis), axis, 0)  # NaN sorts last
    n = (~np.isnan(s)).sum(axis=0)
    low, high = np.maximum((n - 1) // 2, 0), np.maximum(n // 2, 0)
    low, high = np.minimum(low, len(s) - 1), np.minimum(high, len(s) - 1)
    lo = np.take_along_axis(s, low[None], axis=0)[0]
    hi = np.take_along_axis(s, high[None], axis=0)[0]
    with np.errstate(invalid="ignore", over="ignore"):
        mid = np.where(lo == hi, lo, lo + (hi - lo) / 2)
    return np.asarray(np.where(n > 0, mid, np.nan), dtype=np.float64)


def largest(a: Floats, axis: int = 0) -> Floats:
    """Maximum over `axis`, NaN left out; NaN where all is NaN."""
    a = np.asarray(a, dtype=np.float64)
    known = ~np.isnan(a)
    top = np.where(known, a, -np.inf).max(axis=axis, initial=-np.inf)
    return np.asarray(np.where(known.any(axis=axis), top, np.nan), dtype=np.float64)


def grouped(a: Floats, groups: Sequence[Sequence[int]]) -> Floats:
    """[T, G] of [T, N]: the largest known value among each group's columns; NaN where a group is
    empty or all is NaN. One pass for all groups."""
    a = np.asarray(a, dtype=np.float64)
    out = np.full((len(a), len(groups)), np.nan)
    full = [g for g, columns in enumerate(groups) if len(columns)]
    if full:
        sizes = [len(groups[g]) for g in full]
        flat = [c for g in full for c in groups[g]]
        starts = np.cumsum([0, *sizes[:-1]])
        out[:, full] = np.fmax.reduceat(a[:, flat], starts, axis=1)  # fmax: NaN gives way
    return out


def latest(a: Floats) -> Floats:
    """Last known value along axis 0; NaN where there is none."""
    a = np.asarray(a, dtype=np.float64)
    if len(a) == 0:
        return np.full(a.shape[1:], np.nan)
    known = ~np.isnan(a)
    back = np.argmax(known[::-1], axis=0)
    last = np.take_along_axis(a, (len(a) - 1 - back)[None], axis=0)[0]
    return np.asarray(np.where(known.any(axis=0), last, np.nan), dtype=np.float64)


def earliest(a: Floats) -> Floats:
    """First known value along axis 0; NaN where there is none."""
    return latest(np.asarray(a, dtype=np.float64)[::-1])


def decades(a: Floats | float) -> Floats:
    """log10 |a|; 0 gives -inf, NaN and Inf stay as they are; no warnings."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log10(np.abs(np.asarray(a, dtype=np.float64))), dtype=np.float64)


def ratio(a: Floats, b: Floats) -> Floats:
    """a / b; NaN where b is 0 or either is unknown."""
    a, b = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(b, np.float64))
    out = np.full(a.shape, np.nan)
    with np.errstate(invalid="ignore", over="ignore"):
        np.divide(a, b, out=out, where=b != 0)
    return out


def holds_at_end(mask: Bools, known: Bools, k: int = 3) -> Bools:
    """Whether `mask` holds in each of the last `k` known readings (axis 0); False with fewer.

    A condition that held at the last reading only may be a blip; this is "still so, for a while".
    """
    mask, known = np.asarray(mask), np.asarray(known)
    if len(mask) == 0:
        return np.zeros(mask.shape[1:], dtype=np.bool_)
    if len(mask) > 64 * k:  # a long run: its tail says it all, unless readings are rare
        tail = known[-32 * k :]
        if ((tail.sum(axis=0) >= k) | ~known.any(axis=0)).all():
            mask, known = mask[-32 * k :], tail
    after = np.cumsum(known[::-1], axis=0)[::-1]  # known readings from here to the end
    last = known & (after <= k)
    enough = known.sum(axis=0) >= k
    return np.asarray(enough & ~(last & ~mask).any(axis=0), dtype=np.bool_)


def last_few(a: Floats, k: int = 3) -> Floats:
    """Median of the last `k` known values along axis 0 (fewer if there are no more)."""
    rows = len(a)
    tail = a[-32 * k :]
    if rows > len(tail) and ((~np.isnan(tail)).sum(axis=0) < k).any():
        tail = a
    known = ~np.isnan(tail)
    after = np.cumsum(known[::-1], axis=0)[::-1]
    return median(np.where(known & (after <= k), tail, np.nan))


def longest(mask: Bools, known: Bools) -> Ints:
    """Length of the longest spell of `mask` along axis 0, unknown readings passed over."""
    mask, known = np.asarray(mask) & np.asarray(known), np.asarray(known)
    if len(mask) == 0:
        return np.zeros(mask.shape[1:], dtype=np.int64)
    held = np.cumsum(mask, axis=0)
    broken = np.where(known & ~mask, held, 0)  # the count at the latest break
    return np.asarray((held - np.maximum.accumulate(broken, axis=0)).max(axis=0), dtype=np.int64)


def first_of_last_spell(mask: Bools, known: Bools) -> int:
    """Row where the last unbroken spell of `mask` [T] begins; -1 if `mask` never holds."""
    mask, known = np.asarray(mask) & np.asarray(known), np.asarray(known)
    held = np.flatnonzero(mask)
    if len(held) == 0:
        return -1
    breaks = np.flatnonzero(known[: held[-1]] & ~mask[: held[-1]])
    start = held if len(breaks) == 0 else held[held > breaks[-1]]
    return int(start[0])


def smooth(y: Floats, n: int) -> Floats:
    """Running median over the last `n` values (fewer at the start); NaN left out."""
    y = np.asarray(y, dtype=np.float64)
    if n <= 1 or len(y) == 0:
        return y.copy()
    padded = np.concatenate([np.full(n - 1, np.nan), y])
    return median(np.lib.stride_tricks.sliding_window_view(padded, n), axis=1)
