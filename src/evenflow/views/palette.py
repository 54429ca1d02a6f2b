"""Colours of a reading, as `assets/palette.js` has them: viridis, and three outside of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .pyramid import BROKEN, MISSING, TOP, ZERO

# Every 25th of matplotlib's 256 viridis colours (CC0), joined by straight lines.
_STOPS = (
    *((68, 1, 84), (72, 35, 116), (64, 67, 135), (52, 94, 141), (41, 120, 142), (32, 144, 140)),
    *((34, 167, 132), (68, 190, 112), (121, 209, 81), (189, 222, 38), (253, 231, 36)),
)


def palette() -> npt.NDArray[np.uint8]:
    """[256, 3]: red, green and blue of each code; of one that is not used, those of MISSING."""
    out = np.full((256, 3), 128, np.uint8)
    at = np.linspace(0, len(_STOPS) - 1, TOP + 1)
    stops = np.array(_STOPS, float)
    for channel in range(3):
        found = np.interp(at, np.arange(len(_STOPS)), stops[:, channel])
        out[: TOP + 1, channel] = np.floor(found + 0.5)  # as Math.round
    out[ZERO], out[BROKEN], out[MISSING] = (0, 0, 0), (230, 45, 45), (128, 128, 128)
    return out
