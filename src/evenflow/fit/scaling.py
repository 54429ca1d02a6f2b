"""Columns brought to the size that a network can read. N rows, C columns; NumPy in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
SCALES = ("auto", "standard", "minmax", "robust", "none")
#: Beyond so many deviations `auto` and `robust` bend a column: x / √(1 + (x/BOUND)²).
BOUND = 4.0
#: So many deviations from the middle is no measurement (a unit mistaken, -999999 for "not known"):
#: `auto` and `robust` read it as the column's middle, as they would a missing one.
WILD = 1000.0
#: The share at each end that `auto` does not let into its mean and deviation.
TAIL = 0.025


@dataclass(frozen=True, slots=True)
class Scaling:
    """(x - shift) / size column by column [C], then bent so that nothing passes ±bound,
    what is `WILD` read as the middle."""

    kind: str
    shift: Floats
    size: Floats
    bound: float = np.inf

    def apply(self, x: npt.ArrayLike) -> Floats:
        """[N, C] -> [N, C]."""
        z = self._sized(x)
        if np.isfinite(self.bound):
            z = np.where(np.abs(z) > WILD, 0.0, z)
            z = z / np.hypot(1.0, z / self.bound)
        return z

    def wild(self, x: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """How many numbers of each column [C] are read as its middle."""
        far = WILD if np.isfinite(self.bound) else np.inf
        found: npt.NDArray[np.int64] = np.sum(np.abs(self._sized(x)) > far, axis=0)
        return found

    def _sized(self, x: npt.ArrayLike) -> Floats:
        z: Floats = np.asarray(x, dtype=np.float64)
        return z if self.kind == "none" else (z - self.shift) / self.size

    def undo(self, z: npt.ArrayLike) -> Floats:
        """The inverse, for targets; bound must be infinite."""
        return np.asarray(z, dtype=np.float64) * self.size + self.shift


def scaling(x_NC: Floats, kind: str, bounded: bool = True) -> Scaling:
    """Learn the scaling of a table's columns.

    - "standard": mean 0, deviation 1 (LeCun et al. 1998, Efficient BackProp, section 4.3).
    - "minmax": into [-1, 1].
    - "robust": median 0, interquartile range 1.349 (a normal column has deviation 1), bent at
      ±4: a tenth of the rows may be wild (Holzmüller et al. 2024, arXiv:2407.04491, bend alike).
    - "auto": mean and deviation of the column cut at its 2.5 % and 97.5 % points, bent at ±4. On
      a tame column it is nearly "standard", on a wild one "robust", and it does not lose columns
      that are mostly one value, whose interquartile range is 0.
    - "none".

    A constant column becomes 0. `bounded=False` bends nothing (targets).
    """
    columns = x_NC.shape[1]
    bound = BOUND if bounded and kind in ("auto", "robust") else np.inf
    if kind == "none":
        return Scaling(kind, np.zeros(columns), np.ones(columns))
    if kind == "minmax":
        low, high = x_NC.min(0), x_NC.max(0)
        shift, size = low / 2 + high / 2, high / 2 - low / 2
    elif kind == "robust":
        q1, shift, q3 = np.quantile(x_NC, (0.25, 0.5, 0.75), axis=0)
        size = (q3 - q1) / 1.349
    elif kind == "auto" and bounded:
        low, high = np.quantile(x_NC, (TAIL, 1 - TAIL), axis=0, method="nearest")
        cut = np.clip(x_NC, low, high)
        shift, size = cut.mean(0), cut.std(0)
    else:
        shift, size = x_NC.mean(0), x_NC.std(0)
    if kind in ("robust", "auto"):  # columns whose middle is one value: plain mean and deviation
        flat = size == 0
        shift, size = np.where(flat, x_NC.mean(0), shift), np.where(flat, x_NC.std(0), size)
    # a deviation that is rounding of a constant column must not blow it up
    least = 10 * np.finfo(np.float64).eps * np.maximum(np.abs(shift), np.abs(x_NC).max(0))
    flat = ~(size > least)
    return Scaling(kind, np.where(flat, x_NC[0], shift), np.where(flat, 1.0, size), bound)
