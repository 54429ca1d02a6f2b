"""Targets as a network reads them. N rows, O scores, H target columns (heads)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..showing import listed, shown
from . import losses
from .scaling import Floats, Scaling, scaling

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Classes:
    """Classes of one column, of several, or several yes-or-no labels.

    Attributes:
        kind: "one" (y [N]), "several" (y [N, H], a head of scores each), "labels" (0/1 [N, H]).
        classes: the classes of each column, sorted; of labels [0, 1] each.
    """

    kind: str
    classes: tuple[Array, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Scores of each head."""
        return (1,) * len(self.classes) if self.kind == "labels" else tuple(map(len, self.classes))

    @property
    def outputs(self) -> int:
        return sum(self.sizes)

    def encode(self, y: Array) -> Array:
        """Class numbers [N] or [N, H]; labels as 0.0 and 1.0.

        ValueError for a class that is not known.
        """
        if self.kind == "labels":
            return np.asarray(y, dtype=np.float64)
        columns = [y] if self.kind == "one" else list(y.T)
        found = []
        for column, classes in zip(columns, self.classes, strict=True):
            places = np.minimum(np.searchsorted(classes, column), len(classes) - 1)
            if (strange := classes[places] != column).any():
                raise ValueError(
                    f"y has the class {shown(np.asarray(column)[strange][0])}, which is not among "
                    f"the classes {listed(classes)} known from before."
                )
            found.append(places.astype(np.int64))
        return found[0] if self.kind == "one" else np.stack(found, 1)

    def loss(self, name: str) -> losses.PerSample:
        squared = name == "squared"
        if self.kind == "labels":
            return losses.binary_brier if squared else losses.binary
        each = losses.brier if squared else losses.cross_entropy
        return each if self.kind == "one" else losses.by_head(each, self.sizes)

    def constant(self, t: Array, weight: Floats | None) -> Floats:
        """The scores [O] of the best constant prediction under either loss: log shares."""
        w = np.ones(len(t)) if weight is None else weight
        if self.kind == "labels":
            p = np.clip(w @ t / w.sum(), 1e-12, 1 - 1e-12)
            return np.asarray(np.log(p / (1 - p)))
        columns = [t] if self.kind == "one" else list(t.T)
        shares = [
            np.bincount(column, w, size) / w.sum()
            for column, size in zip(columns, self.sizes, strict=True)
        ]
        return np.asarray(np.log(np.maximum(np.concatenate(shares), 1e-12)))


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers, brought to mean 0 and deviation 1 (or as asked) column by column."""

    scaled: Scaling
    flat: bool  # y was [N], not [N, 1]

    @property
    def outputs(self) -> int:
        return len(self.scaled.shift)

    def encode(self, y: Array) -> Array:
        """Scaled targets [N, O]."""
        return self.scaled.apply(y.reshape(len(y), -1))

    def loss(self, name: str) -> losses.PerSample:
        if name == "cross_entropy":
            raise ValueError("loss = 'cross_entropy' is for classes: a regressor takes 'squared'.")
        return losses.half_squared

    def constant(self, t: Array, weight: Floats | None) -> Floats:
        """The mean [O]."""
        return np.asarray(np.average(t, 0, weight))


Targets = Classes | Numbers


def numbers(y: Array, kind: str) -> Numbers:
    """Targets of a regressor, y [N] or [N, O]."""
    columns = y.reshape(len(y), -1).astype(np.float64)
    return Numbers(scaling(columns, kind, bounded=False), y.ndim == 1)


def classes(y: Array, kind: str, told: object = None) -> Classes:
    """Targets of a classifier.

    Args:
        kind: what scikit-learn's `type_of_target` says of y.
        told: all classes, where y may lack some (`partial_fit`); a list of arrays for several
            columns.

    Raises:
        ValueError: a single class, of which nothing can be learned.
    """
    if kind == "multilabel-indicator":
        return Classes("labels", tuple(np.array([0, 1]) for _ in range(y.shape[1])))
    several = kind == "multiclass-multioutput"
    columns = list(y.T) if several else [y]
    if told is None:
        found = [np.unique(column) for column in columns]
    else:
        found = [np.unique(c) for c in (told if several else [told])]  # type: ignore[attr-defined]
        if len(found) != len(columns):
            raise ValueError(f"classes names {len(found)} columns, but y has {len(columns)}.")
    for column in found:
        if len(column) < 2:
            raise ValueError(
                f"y holds one class only, {shown(column[0])}: "
                "a classifier needs two or more classes."
            )
    return Classes("several" if several else "one", tuple(found))
