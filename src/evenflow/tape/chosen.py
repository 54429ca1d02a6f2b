"""What topk and argmax choose from a tensor's last axis, as a router chooses experts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .given import tensors_in
from .scalars import Scalar

#: Operations that choose, and the place of the axis among their arguments (None: the last).
CHOOSES: dict[str, tuple[int, int | None]] = {
    "topk": (2, -1),
    "argmax": (1, None),
    "max": (1, None),
}
#: Choices for each option, below which a batch does not tell how they are spread.
_FEWEST = 4
#: An option is idle that is chosen less often than this share of its even part.
_IDLE = 0.1


def chosen(
    op: str, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any, given: Tensor
) -> Tensor | None:
    """Indices of what was chosen along the last axis of `given` [..., K].

    Indices [N, k]: N choices of k options out of K, k < K. None for another axis, for values
    in place of indices, and for batches of fewer than 4 choices an option.
    """
    place, usual = CHOOSES[op]
    axis = kwargs.get("dim", args[place] if len(args) > place else usual)
    if given.dim() < 2 or not isinstance(axis, int) or axis not in (-1, given.dim() - 1):
        return None
    whole = [t for t in tensors_in((out,)) if t.dtype == torch.int64]
    if len(whole) != 1:
        return None
    options = given.shape[-1]
    index = whole[0] if op == "topk" else whole[0].reshape(*given.shape[:-1], 1)
    k = index.shape[-1]
    if not 0 < k < options or index.numel() < _FEWEST * options:
        return None
    return index.reshape(-1, k)


def spread(index: Tensor, options: int) -> dict[str, Scalar]:
    """How choices [N, k] are spread over K options.

    favoured: share of the choices on the k most chosen options, from k/K (even) to 1 (always the
    same); even: k/K; idle: share of options chosen less than a tenth of N k/K times.
    """
    n, k = index.shape
    ones = torch.ones(n * k, device=index.device)
    count_K = torch.zeros(options, device=index.device).scatter_add_(0, index.reshape(-1), ones)
    return {
        "favoured": count_K.topk(k).values.sum() / (n * k),
        "even": k / options,
        "idle": (count_K < _IDLE * n * k / options).float().mean(),
    }
