"""Changes to a training in scratch: parameters moved, inputs permuted or zeroed, modes stilled."""

from __future__ import annotations

import zlib
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

#: What a direction adds to the parameter's norm, a root of its size: a zero bias is moved, too.
FLOOR = 1e-2


def direction(name: str, p: Tensor, seed: int) -> Tensor:
    """The direction of (seed, name): random, and as long as the parameter itself, at least .01 an
    element, so that one step size suits all. Drawn on the CPU by a generator of its own."""
    draw = torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode()))
    v = torch.randn(p.shape, generator=draw, dtype=torch.float64)
    norm = float(p.detach().double().norm())
    v *= max(norm, FLOOR * p.numel() ** 0.5) / max(float(v.norm()), 1e-300)
    return v.to(device=p.device, dtype=p.dtype)


def nudge(model: nn.Module, names: Collection[str], h: float, seed: int) -> None:
    """p + h · v for the named parameters; "*" names all."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name in names or "*" in names:
                p.add_(direction(name, p, seed), alpha=h)


def becalm(model: nn.Module) -> None:
    """Dropout off, batch norms by their running statistics; all else stays in its mode."""
    for module in model.modules():
        kept = getattr(module, "running_mean", None) is not None
        if isinstance(module, nn.modules.dropout._DropoutNd) or kept:
            module.training = False
        elif isinstance(module, nn.MultiheadAttention | nn.RNNBase):
            module.dropout = 0.0


def samples(values: Any) -> int:
    """The length of the first dimension that tensors share; 0 where there is none."""
    found: list[int] = []

    def look(value: Any) -> Any:
        if isinstance(value, Tensor) and value.ndim:
            found.append(len(value))
        return value

    tree_map(look, values)
    return max(found, key=lambda n: (found.count(n), n), default=0)


def permuted(values: Any, seed: int) -> Any:
    """All that belongs to one sample goes to another, by one permutation."""
    n = samples(values)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    return _per_sample(values, n, lambda t: t[order.to(t.device)])


def zeroed(values: Any) -> Any:
    """Floats 0, whole numbers the least there is, flags as they are."""

    def blank(t: Any) -> Any:
        if not isinstance(t, Tensor) or t.dtype == torch.bool or not t.numel():
            return t
        return torch.zeros_like(t) if t.is_floating_point() else t.min().expand_as(t).clone()

    return tree_map(blank, values)


def portion(values: Any, k: int, n: int) -> Any:
    """The k-th of n equal parts of the samples."""
    length = samples(values)
    return _per_sample(values, length, lambda t: t[k * (length // n) : (k + 1) * (length // n)])


def widened(values: Any) -> Any:
    """Floating tensors in float64."""
    return tree_map(
        lambda t: t.double() if isinstance(t, Tensor) and t.is_floating_point() else t, values
    )


def _per_sample(values: Any, n: int, change: Any) -> Any:
    return tree_map(
        lambda t: change(t) if isinstance(t, Tensor) and t.ndim and len(t) == n else t, values
    )
