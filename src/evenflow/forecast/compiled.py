"""Is a compiled network the network that is foreseen? Both are called on the same input."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from .inputs import arrange, like, padding
from .isolation import same_random
from .onepass import floating


def compiled_difference(model: nn.Module, inputs: Any, seed: int = 0) -> float:
    """Largest |compiled - eager| over the largest |eager| of any output, in evaluation mode (in
    training mode dropout draws other random numbers when compiled).

    Raises:
        ValueError: it cannot be compiled or called, or differs by more than 10 %.
    """
    args, kwargs = arrange(inputs, *like(model), seed, padding(model))
    twin = copy.deepcopy(model).eval()
    devices = {t.device for t in (*twin.parameters(), *twin.buffers())}
    outs = []
    for call in (twin, torch.compile(twin)):
        with same_random(devices, seed), torch.no_grad():
            try:
                outs.append(call(*args, **kwargs))
            except Exception as error:
                how = "compiled" if outs else "called"
                first = str(error).strip().splitlines()
                raise ValueError(
                    f"{type(model).__name__} cannot be {how}: {type(error).__name__}: "
                    f"{first[0] if first else ''}"
                ) from error
    told = [[t.cpu().double() for t in floating(out)] for out in outs]
    pairs = list(zip(*told, strict=True))
    top = max((float(a.abs().max()) for a, _ in pairs), default=0.0)
    gap = max((float((a - b).abs().max()) for a, b in pairs), default=0.0)
    off = gap / top if top > 0 else gap
    if not off <= 0.1:
        raise ValueError(
            f"compiled, {type(model).__name__} gives something else: outputs differ by {off:.2g} "
            "of their size"
        )
    return off
