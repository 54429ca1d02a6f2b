"""Over how many values a normalisation takes its mean and variance."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from .numbers import shape

#: Arguments by their place, the same in torch.nn.functional and in torch itself; batch and
#: instance norms say last, at place 5, whether they take statistics of what they see.
_OWN = {"batch_norm": ("training", False), "instance_norm": ("use_input_stats", True)}
_GIVEN = {
    "group_norm": "num_groups",
    "layer_norm": "normalized_shape",
    "rms_norm": "normalized_shape",
}


def pooled(op: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int | None:
    """Values behind each mean and variance that a call of `op` takes of its input x.

    x [N, C, ...]: batch norm N * ..., instance norm ..., group norm C / groups * ...; layer and
    RMS norm the size of the normalised shape. None for other ops, for running statistics (a batch
    norm in eval mode takes none of what it sees), and where the arguments do not tell.
    """
    x = args[0] if args else kwargs.get("input")
    if not isinstance(x, Tensor):
        return None
    sizes = shape(x)
    if op in _OWN:
        name, usual = _OWN[op]
        own = args[5] if len(args) > 5 else kwargs.get(name, usual)
        if not own or len(sizes) < 2:
            return None
        return math.prod(sizes[2:]) * (sizes[0] if op == "batch_norm" else 1)
    if op not in _GIVEN:
        return None
    given = args[1] if len(args) > 1 else kwargs.get(_GIVEN[op])
    if op == "group_norm":
        if not isinstance(given, int) or given < 1 or len(sizes) < 2:
            return None
        return sizes[1] // given * math.prod(sizes[2:])
    return math.prod(given) if isinstance(given, (tuple, list)) and given else None
