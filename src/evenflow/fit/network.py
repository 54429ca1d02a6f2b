"""A feed-forward network from its description: layers, norms, skips, dropout.

B samples, I inputs, H units of a hidden layer, O outputs. A hidden layer is
linear -> norm -> activation -> dropout; the head is linear alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

from ..activations import curve, find, get, shape_of

NORMS = ("none", "batch", "layer")
RESIDUALS = ("none", "plain", "rezero")
#: From so many hidden layers on, `auto` gives the layers ReZero skips.
DEEP = 8


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """All that a network's layers are made of, weights apart: units of the two ends and of each
    hidden layer, then the options of these names (`options.py`), settled.

    Layers whose width changes have no skip.
    """

    inputs: int
    outputs: int
    hidden: tuple[int, ...]
    activations: tuple[str, ...]
    norm: str = "none"
    residual: str = "none"
    dropout: float = 0.0
    alpha_dropout: bool = False


class ResidualBlock(nn.Module):
    """x + F(x), or x + αF(x)/L² with a trainable α that starts at 0 (ReZero). x: [B, H].

    ReZero has no L, the number of hidden layers. But every α grows by about the learning rate a
    step, all of them together by L times that, and a small noisy table is learned by heart before
    it is understood (docs/decisions.md, 48).
    """

    def __init__(self, body: nn.Module, rezero: bool, layers: int) -> None:
        super().__init__()
        self.body, self.share = body, layers**-2.0
        self.alpha = nn.Parameter(torch.zeros(())) if rezero else None

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return x + y if self.alpha is None else torch.addcmul(x, self.alpha, y, value=self.share)


def build(shape: NetworkShape) -> nn.Sequential:
    """The network, [B, I] -> [B, O], in float32 with torch's own start."""
    parts: list[nn.Module] = []
    width = shape.inputs
    for units, name in zip(shape.hidden, shape.activations, strict=True):
        layer: list[nn.Module] = [nn.Linear(width, units)]
        if shape.norm != "none":
            layer.append(_BatchNorm(units) if shape.norm == "batch" else nn.LayerNorm(units))
        layer.append(activation(name, units, len(shape.hidden)))
        if shape.dropout > 0:
            kind = nn.AlphaDropout if shape.alpha_dropout else nn.Dropout
            layer.append(kind(shape.dropout))
        if shape.residual != "none" and width == units:
            rezero = shape.residual == "rezero"
            parts.append(ResidualBlock(nn.Sequential(*layer), rezero, len(shape.hidden)))
        else:
            parts.extend(layer)
        width = units
    return nn.Sequential(*parts, nn.Linear(width, shape.outputs))


class _BatchNorm(nn.BatchNorm1d):
    """BatchNorm that lets a batch of one sample pass by its running statistics.

    torch refuses such a batch in training; online training and a last batch of one are made of
    them.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.shape[0] == 1:
            return nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
            )
        return super().forward(x)


def activation(name: str, units: int, depth: int) -> nn.Module:
    """A new activation module, told the units of its layer or the network's depth where it asks."""
    home, attribute = find(name).factory.split(":")
    takes = inspect.signature(getattr(import_module(home), attribute)).parameters
    options: dict[str, Any] = {}
    if "depth" in takes:
        options["depth"] = max(depth, 2)
    if "channels" in takes:
        options["channels"] = units
    return get(name, **options)


def widths(hidden: object, depth: object) -> tuple[int, ...]:
    """Units of each hidden layer from `hidden` (one number, or one a layer) and `depth`.

    ValueError where they make no network or contradict each other.
    """
    if isinstance(hidden, str):
        if hidden != "auto":
            raise ValueError(f"hidden = {hidden!r}: give 'auto', a width, or one width a layer.")
        hidden = 128
    layers = None if depth is None else _whole(depth)
    if depth is not None and (layers is None or layers < 0):
        raise ValueError(f"depth = {depth!r}: the number of hidden layers, 0 or more, or None.")
    one = _whole(hidden)
    each = [one] if one is not None else [_whole(n) for n in _listed(hidden) or [None]]
    found = tuple(n for n in each if n is not None and n > 0)
    if len(found) != len(each):
        raise ValueError(f"hidden = {hidden!r}: give a width above 0, or one a layer: (64, 32).")
    if one is not None:
        return found * (2 if layers is None else layers)
    if layers is not None and layers != len(found):
        raise ValueError(
            f"hidden = {hidden!r} has {len(found)} layers, but depth = {depth!r}: leave depth out, "
            "or give hidden as one width."
        )
    return found


def activations(wanted: object, depth: int) -> tuple[str, ...]:
    """The activation of each hidden layer, by the registry's name. "auto" is SiLU."""
    if isinstance(wanted, str):
        return (find("silu" if wanted == "auto" else wanted).name,) * depth
    names = _listed(wanted)
    if names is None or not all(isinstance(name, str) for name in names):
        raise ValueError(f"activation = {wanted!r}: give a name, or one name a hidden layer.")
    if len(names) != depth:
        raise ValueError(
            f"activation = {wanted!r} names {len(names)} layers, but there are {depth} hidden ones."
        )
    return tuple(find(str(name)).name for name in names)


@lru_cache(maxsize=64)
def steepness(names: tuple[str, ...]) -> float:
    """The largest |f'| of the flattest of these activations, at most 1: ¼ for the sigmoid."""
    curves = [curve(name) for name in set(names) if find(name).f is not None]
    return min([1.0, *(shape_of(c).bound for c in curves)])


def _whole(value: object) -> int | None:
    """A whole number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        return None
    return int(value)


def _listed(value: object) -> list[object] | None:
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else None
