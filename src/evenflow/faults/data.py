"""What the network is fed, who reads it first, and what it is held against. Pure functions."""

from __future__ import annotations

import numpy as np

from ..network import MIXING, reach
from .series import Floats, earliest, median
from .view import View

#: Losses of a difference between output and target.
DIFFERENCES = ("mse_loss", "mse", "l1_loss", "smooth_l1_loss", "huber_loss")
#: Kinds that hand values on as they are.
PASSING = ("dropout",)
#: Ops that put tensors side by side without changing their values.
SIDE_BY_SIDE = ("cat", "concat", "stack", "hstack", "concatenate")


def readers(view: View, id: int) -> list[int]:
    """Sites that mix a data tensor's values by weights, before anything has rescaled them.

    A norm, an embedding, a division or an activation that comes first makes the scale its own
    affair, so sites behind it are left out.
    """

    def passes(i: int) -> bool:
        return i == id or view.sites[i].kind in PASSING or view.sites[i].op in SIDE_BY_SIDE

    way = reach(view.consumers, [id], passes)
    # what is custom may rescale it first
    return sorted(i for i in way if view.sites[i].kind in MIXING and view.sites[i].kind != "custom")


def read_by(view: View, id: int) -> frozenset[int]:
    """What reads a site: dropouts, and through them what reads those."""
    way = reach(view.consumers, [id], lambda i: i == id or view.sites[i].kind in PASSING)
    return way - {id}


def typical(view: View, id: int, metric: str) -> float:
    """Median over all sound rows; over all rows where none is sound; NaN if never measured."""
    column = view.site(metric)[:, id]
    sound = float(median(column[view.sound]))
    return (
        sound if np.isfinite(sound) else float(median(np.where(np.isinf(column), np.nan, column)))
    )


def first(view: View, id: int, metric: str) -> float:
    """First measured value of a site's metric; NaN if there is none."""
    return float(earliest(view.site(metric)[:, id]))


def samples(view: View, loss: int, usual: float = 1.0) -> Floats:
    """[T] samples of a batch that a loss function was given, over its micro-batches; `usual` many
    where that was not read."""
    rows, backwards = view.site("rows")[:, loss], view.step("backwards")
    return np.asarray(np.where(rows > 0, rows, usual) * np.where(backwards > 0, backwards, 1.0))


def prediction_of(view: View, loss: int) -> int:
    """The site whose output a loss function was given; -1 if it is not a computed one."""
    parents = [p for p in view.parents(loss)[:1] if not view.is_target(p)]
    return parents[0] if parents else -1
