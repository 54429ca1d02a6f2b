"""What a torch function was given: its tensors, and a loss's prediction and target."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

#: Most of what is given to ops; asking these whether they are tensors is slow.
_NO_TENSORS = frozenset({int, float, bool, str, type(None), torch.dtype, torch.Size})


def tensors_in(values: Iterable[Any]) -> list[Tensor]:
    """The tensors among the values and in lists and tuples among them, in order."""
    found: list[Tensor] = []
    for v in values:
        kind = type(v)
        if kind in _NO_TENSORS:
            continue
        if kind is Tensor or isinstance(v, Tensor):
            found.append(v)
        elif isinstance(v, (tuple, list)):
            found += tensors_in(v)
    return found


def tensors_within(value: Any, depth: int = 8) -> list[Tensor]:
    """The tensors in nested tuples, lists, mappings and dataclasses, in order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        inner: Iterable[Any] = value.values()
    elif isinstance(value, (tuple, list)):
        inner = value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        inner = [getattr(value, f.name, None) for f in dataclasses.fields(value)]
    else:
        return []
    return [t for v in inner for t in tensors_within(v, depth - 1)] if depth else []


def given(args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """The prediction and the target of a loss function, however they were handed over."""
    named = [kwargs.get(name) for name in ("input", "target")]
    places = [*args[:2], *(t for t in named if t is not None)][:2]
    both = [t for t in places if isinstance(t, Tensor)]
    # a difference is the same both ways round, and scripts write it either way
    swapped = len(both) == 2 and both[1].requires_grad and not both[0].requires_grad
    return both[::-1] if swapped else both


def takes(
    op: str, kind: str, both: Sequence[Tensor], tensors: Sequence[Tensor], out: Tensor
) -> tuple[tuple[int, ...], ...]:
    """Shapes a loss was given (`both`); those of a difference's sides, if both were broadcast."""
    if kind == "loss":
        return tuple(tuple(t.shape) for t in both)
    if op != "sub" or [t.requires_grad for t in tensors].count(True) != 1:
        return ()
    shapes = tuple(tuple(t.shape) for t in tensors)
    return shapes if len(shapes) == 2 and all([t.numel() < out.numel() for t in tensors]) else ()
