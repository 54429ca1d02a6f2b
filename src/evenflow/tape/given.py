"""What a torch function was given: its tensors, a loss's two sides, what a norm averages over,
the axis along which it makes a distribution."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from . import numbers

#: Most of what is given to ops; asking these whether they are tensors is slow.
_NO_TENSORS = frozenset({int, float, bool, str, type(None), torch.dtype, torch.Size})
#: Arguments by their place, the same in torch.nn.functional and in torch itself; batch and
#: instance norms say last, at place 5, whether they take statistics of what they see.
_OWN = {"batch_norm": ("training", False), "instance_norm": ("use_input_stats", True)}
_GIVEN = {
    "group_norm": "num_groups",
    "layer_norm": "normalized_shape",
    "rms_norm": "normalized_shape",
}
#: Where these are told the axis they go along, and what they take where they are told none.
_ALONG: dict[str, tuple[int, int | None]] = {
    "softmax": (1, None),
    "log_softmax": (1, None),
    "softmin": (1, None),
    "gumbel_softmax": (4, -1),
    "normalize": (2, 1),
}


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


def input_of(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What a function that works on one tensor was given to work on; None where nothing was."""
    return args[0] if args else kwargs.get("input")


def summed(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Is a loss function asked for the sum of its elements?"""
    asked = kwargs.get("reduction", [*[a for a in args if isinstance(a, str)], "mean"][0])
    return asked == "sum" or kwargs.get("size_average") is False


def weighed(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Is a loss function given weights, of classes or elements?"""
    third = args[2] if len(args) > 2 else None
    named = (kwargs.get("weight"), kwargs.get("pos_weight"))
    return any([isinstance(w, Tensor) for w in (third, *named)])


def pooled(op: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int | None:
    """Values behind each mean and variance that a call of `op` takes of its input x.

    x [N, C, ...]: batch norm N * ..., instance norm ..., group norm C / groups * ...; layer and
    RMS norm the size of the normalised shape. None for other ops, for running statistics (a batch
    norm in eval mode takes none of what it sees), and where the arguments do not tell.
    """
    x = input_of(args, kwargs)
    if not isinstance(x, Tensor):
        return None
    sizes = numbers.shape(x)
    if op in _OWN:
        name, usual = _OWN[op]
        own = args[5] if len(args) > 5 else kwargs.get(name, usual)
        if not own or len(sizes) < 2:
            return None
        return math.prod(sizes[2:]) * (sizes[0] if op == "batch_norm" else 1)
    if op not in _GIVEN:
        return None
    over = args[1] if len(args) > 1 else kwargs.get(_GIVEN[op])
    if op == "group_norm":
        if not isinstance(over, int) or over < 1 or len(sizes) < 2:
            return None
        return sizes[1] // over * math.prod(sizes[2:])
    return math.prod(over) if isinstance(over, (tuple, list)) and over else None


def along(op: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[int, int] | None:
    """The axis, counted from the first, along which a softmax or a `normalize` goes, and its
    length. None for other ops, and where the arguments do not tell."""
    x = input_of(args, kwargs)
    if not isinstance(x, Tensor):
        return None
    sizes = numbers.shape(x)
    axis = axis_of(op, sizes, args, kwargs)
    return None if axis is None else (axis, sizes[axis])


def axis_of(
    op: str, sizes: tuple[int, ...], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> int | None:
    """The same axis alone, of an input of this shape."""
    if op not in _ALONG or not sizes:
        return None
    place, usual = _ALONG[op]
    axis = args[place] if len(args) > place else kwargs.get("dim", usual)
    if axis is None:  # torch's own guess, which it warns of
        axis = 0 if len(sizes) in (1, 3) else 1
    if type(axis) is not int or not -len(sizes) <= axis < len(sizes):
        return None
    return axis % len(sizes)
