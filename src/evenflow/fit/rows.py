"""Rows as tensors: those to train on, those to judge by, those that a start is fitted to."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor

from .planning import Data
from .settling import Settled
from .targets import Array

#: Rows that the start and preflight look at.
LOOK = 512


def split(
    x_NC: Array, t: Array, w_N: Array | None, strata_N: Array | None, settled: Settled, seeds: Any
) -> tuple[Data, Data | None]:
    """Rows to train on, and validation rows where there are to be some.

    Args:
        x_NC, t, w_N: inputs, targets (first axis N) and weights, if there are any.
        strata_N: by what validation rows are chosen evenly; left out where a stratum is too small.
        settled: how many validation rows, and the tensors' device and type.
        seeds: numpy's RandomState, that the choice is drawn from.
    """

    def rows(chosen: Any) -> Data:
        target = torch.from_numpy(np.ascontiguousarray(t[chosen]))
        if target.is_floating_point():
            target = target.to(settled.dtype)
        weight = None if w_N is None else torch.from_numpy(w_N[chosen])
        to = (settled.device, settled.dtype)
        return Data(
            torch.from_numpy(np.ascontiguousarray(x_NC[chosen])).to(*to),
            target.to(settled.device),
            None if weight is None else weight.to(*to),
        )

    held = math.ceil(len(x_NC) * settled.validation)
    if held == 0 or held >= len(x_NC):
        return rows(slice(None)), None
    if strata_N is not None:
        counts = np.bincount(strata_N)
        if counts[counts > 0].min() < 2 or held < (counts > 0).sum():
            strata_N = None
    train, test = train_test_split(
        np.arange(len(x_NC)), test_size=held, random_state=seeds, stratify=strata_N
    )
    return rows(np.sort(train)), rows(test)


def looked_at(x: Tensor, seed: int) -> Tensor:
    """At most `LOOK` rows of x [N, C], drawn by the seed."""
    rows = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:LOOK]
    return x[rows.to(x.device)]
