"""What mixes the samples of a batch, or the steps of a sequence, on purpose."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .given import input_of
from .retrace import RetracedStep, floats_in

#: Functions that deal the same memory out anew.
DEALING = frozenset({"view", "reshape", "unflatten", "flatten", "view_as", "reshape_as"})
_SAME = ("dropout", "alpha_dropout", "feature_dropout", "feature_alpha_dropout")
_NORMS = ("batch_norm", "instance_norm", "group_norm", "local_response_norm")
_REDUCING = frozenset(
    (
        *("mean", "sum", "var", "std", "var_mean", "std_mean", "amax", "amin", "max", "min"),
        *("median", "norm", "vector_norm", "logsumexp", "prod", "nanmean", "aminmax", "cumsum"),
    )
)
_CHOOSING = frozenset(
    (
        *("index_select", "gather", "take", "roll", "flip", "sort", "topk", "scatter"),
        *("scatter_add", "scatter_reduce", "index_add", "index_copy", "masked_select"),
        *("index_put", "take_along_dim", "masked_scatter", "repeat_interleave"),
    )
)
_PRODUCTS = frozenset(
    ("matmul", "mm", "bmm", "addmm", "baddbmm", "einsum", "cdist", "linear", "inner", "tensordot")
)


class Cuts:
    """Lets no gradient through what mixes samples on purpose. `samples`: length of the first axis
    as one of samples; 0: it is none."""

    def __init__(self, samples: int) -> None:
        self.samples, self.split = samples, False

    def __call__(self, step: RetracedStep, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        x = input_of(args, kwargs)
        if not isinstance(x, Tensor):
            return None
        if step.name in _SAME or step.name.startswith("dropout"):
            return x.clone()
        wide = step.name in ("layer_norm", "rms_norm") and _long(args, kwargs)
        if step.name in _NORMS or wide:
            return x / (x.detach().abs().mean() + 1e-6)
        for name in ("training", "dropout_p"):
            if name in kwargs:
                kwargs[name] = type(kwargs[name])(0)
        if not self.samples:
            return None
        if self._meant(step, x, args, kwargs):
            out = step.func(*args, **kwargs)
            return [t.detach() for t in floats_in(out)]
        if step.name in _PRODUCTS or step.name in DEALING:
            out = step.func(*args, **kwargs)
            self.split |= step.name in DEALING and self._splits(x, out)
            table = step.name in _PRODUCTS and self._table(step, args, out)
            return out.detach() if table else out
        return None

    def _meant(
        self, step: RetracedStep, x: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> bool:
        first = x.dim() > 0 and x.shape[0] == self.samples
        if step.name in _REDUCING:
            return first and _first_axis(x, args[1:], kwargs, usual=True)
        if step.name in _CHOOSING:
            return first and _first_axis(x, args[1:], kwargs, usual=False)
        if step.name == "getitem":
            index = args[1][0] if isinstance(args[1], tuple) and args[1] else args[1]
            return first and isinstance(index, Tensor) and not counts(index)
        return any([isinstance(t, Tensor) and t.layout != torch.strided for t in args])

    def _splits(self, x: Tensor, out: Tensor) -> bool:
        n = self.samples
        if x.shape[:1] != (n,) or out.dim() < 2 or out.shape[0] in (1, n):
            return False
        return math.prod(out.shape[:2]) == n and out.shape[1] < n

    def _table(self, step: RetracedStep, args: tuple[Any, ...], out: Tensor) -> bool:
        """Of each sample against each, or a matrix of who is whose neighbour."""
        n = self.samples
        fixed = [a for a in args if isinstance(a, Tensor) and not a.requires_grad]
        if any([t.dim() > 1 and t.shape[-2:] == (n, n) for t in fixed]):
            return True
        return step.name != "linear" and list(out.shape).count(n) == 2 and out.shape[-2:] == (n, n)


def _long(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    over = args[1] if len(args) > 1 else kwargs.get("normalized_shape", ())
    return len(over) > 1


def _first_axis(x: Tensor, rest: tuple[Any, ...], kwargs: dict[str, Any], usual: bool) -> bool:
    """Whether the first axis is among those a function was told; `usual`: it is if none was."""
    given = [kwargs[k] for k in ("dim", "dims", "axis") if k in kwargs] or list(rest)
    axes = [a for v in given for a in (v if isinstance(v, (tuple, list)) else (v,))]
    whole = [a for a in axes if type(a) is int]
    return (usual and not whole) or any([a in (0, -x.dim()) for a in whole])


def counts(index: Tensor) -> bool:
    """Is it 0, 1, 2, ...: each sample's own?"""
    if index.dim() != 1 or index.is_floating_point() or index.dtype == torch.bool:
        return False
    return torch.equal(index, torch.arange(len(index), device=index.device, dtype=index.dtype))
