"""One edit a treatment: entry's name -> (editing, parsed) -> None; `Unfit` where none can be."""

from __future__ import annotations

from collections.abc import Callable

from ...treatments import REGISTRY, Parsed
from ..editing import Editing
from . import (
    adopt,
    attention,
    biases,
    clipping,
    draw,
    drop,
    loop,
    normalise,
    rates,
    recur,
    scale,
    skip,
    start,
    switch,
    weights,
)

Edit = Callable[[Editing, Parsed], None]

EDITS: dict[str, Edit] = {
    "input": scale.inputs,
    "target": scale.targets,
    **recur.EDITS,
    "activation": switch.swap,
    "tailored": switch.tailored,
    **{name: normalise.norm for name in REGISTRY if name.startswith("norm=")},
    "rezero": skip.rezero,
    "dropout": drop.dropout,
    **attention.EDITS,
    **draw.EDITS,
    "init=lsuv": start.lsuv,
    "init=lsuv-centred": start.lsuv,
    "bias": biases.level,
    "parameters": adopt.everything,
    "l1": weights.shrink,
    "l2": weights.shrink,
    **clipping.EDITS,
    "momentum": rates.momentum,
    "lr": rates.rate,
    "warmup": rates.share,
    "decay": rates.share,
    "optimizer": rates.another,
    **loop.EDITS,
}
