"""The static forecast: a model's first forward and backward without its weights.

`build` makes the model with its large weights unseen, the tape reads one pass through it as it
reads one through any model (`onepass.measure`), and several draws are averaged. Cross-sample and
cross-token correlations are carried exactly, because real samples and tokens are: multiplying
isotropic gains op by op loses them, and erred by 5 decades on a transformer
(docs/static-theory.md).
"""

from __future__ import annotations

import dataclasses
import gc
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ...schema import Channel, metric_named, over_draws
from ..assemble import anchor, assemble
from ..inputs import arrange, like, padding
from ..isolation import same_random
from ..onepass import Measured, measure
from ..record import Forecast
from ..width import DRAWN_WEIGHTS, error_bars
from .build import LEAST, build, sources
from .unseen import UnseenWeight

#: Models of more weights than this are collected between draws (a collection takes .1 s).
_LARGE = 10**8


def forecast_static(
    factory: Callable[[], nn.Module],
    inputs: Any,
    *,
    draws: int = 3,
    seed: int = 0,
    name: str | None = None,
    least: int = LEAST,
) -> Forecast:
    """Foresee a model from its initialisation, without storing its large weights.

    Memory and time grow with samples times tokens, not with the number of weights: a few samples
    of a few tokens are enough (13 billion parameters with 4 samples of 10 tokens: about 13 s and
    2.3 GB a draw on one core). Random states are kept.

    Args:
        factory: makes the model; what it does to weights after making them (loading a checkpoint
            into them, pruning) is not part of their law.
        inputs: as `preflight`'s: a tensor, a shape, a tuple or dict of such.
        draws: independent initialisations; δ is their geometric mean.
        seed: of data, weights, cotangent and dropout.
        name: of the model; its class by default.
        least: weights of so many elements stay unseen; 0 = all with two dimensions or more.

    Raises:
        ValueError: `draws` below 1; the model cannot be built or called so; an op needs all
            elements of a weight too large to be stored.

    >>> from torch import nn
    >>> from evenflow.forecast import forecast_static
    >>> def factory():
    ...     return nn.Sequential(nn.Linear(1024, 1024), nn.Tanh(), nn.Linear(1024, 4))
    >>> forecast = forecast_static(factory, (4, 1024))
    >>> forecast.verdict, [outlook.site.op for outlook in forecast.outlooks]
    ('healthy', ['input', 'linear', 'tanh', 'linear'])
    """
    found, made = draw(factory, inputs, draws=draws, seed=seed, least=least)
    return assemble(
        name or made.name,
        "static",
        *found[:5],
        meta={"draws": draws, "weights": made.weights} | found.meta,
    )


class BuiltModel(NamedTuple):
    """What a factory made: the class's name, and the number of all its weights."""

    name: str
    weights: int


def draw(
    factory: Callable[[], nn.Module],
    inputs: Any,
    *,
    draws: int = 3,
    seed: int = 0,
    least: int = LEAST,
) -> tuple[Measured, BuiltModel]:
    """Readings averaged over `draws` initialisations; arguments as `forecast_static`'s.

    `error_bar` of the result is one standard deviation of what a network that is really built
    differs from it by: from width, or from what the draws differ by if that is more.
    """
    if draws < 1:
        raise ValueError(f"draws = {draws!r}; at least one initialisation must be drawn")
    found = []
    for k in range(draws):
        one, made = _draw(factory, inputs, seed + 7919 * k, least)
        found.append(one)
        if made.weights > _LARGE:
            gc.collect()  # models are cycles: two of a size would be alive at a time
    levels, spread = average(found)
    bars = np.array(error_bars(found[0].sites, DRAWN_WEIGHTS))
    # A forecast errs by what the network's own draw differs from the mean, and the mean from all.
    bars = np.maximum(bars, spread) * math.sqrt(1 + 1 / draws)
    return (
        Measured(
            found[0].sites, found[0].params, _readings(found),
            tuple(levels.tolist()), tuple(bars.tolist()), all(one.fits for one in found),
            found[0].time,  # one draw tells: time goes through the same weights over and over
        ),
        made,
    )  # fmt: skip


def average(found: Sequence[Measured]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Mean over draws of each site's log10 δ (0 at the anchor), and its standard deviation.

    [S] each; the standard deviation is 0 for a single draw. A site that some draw did not have
    is NaN, -inf if δ was exactly zero in every draw.
    """
    names = [s.name for s in found[0].sites]
    rows = []
    for one in found:
        levels = np.array(one.log10_delta)
        levels -= levels[anchor(one.sites, one.params, levels)]
        known = dict(zip((s.name for s in one.sites), levels.tolist(), strict=True))
        rows.append([known.get(n, math.nan) for n in names])
    table = np.array(rows)
    dead = np.isneginf(table).all(0)
    table[np.isneginf(table)] = math.nan
    with np.errstate(invalid="ignore"):
        mean = table.mean(0)
        spread = table.std(0, ddof=1) if len(table) > 1 else np.zeros(len(mean))
    return np.where(dead, -math.inf, mean), np.nan_to_num(spread)


def _draw(
    factory: Callable[[], nn.Module], inputs: Any, seed: int, least: int
) -> tuple[Measured, BuiltModel]:
    """One initialisation, in float64 where δ leaves float32."""
    for dtype in (torch.float32, torch.float64):
        with same_random((), seed), _default(dtype):
            model = build(factory, seed, least, dtype).train()
            args, kwargs = arrange(inputs, *like(model), seed, padding(model))
            handles = [
                m.register_forward_pre_hook(_begin, with_kwargs=True) for m in model.modules()
            ]
            try:
                one = measure(model, args, kwargs, seed=seed)
            finally:
                for h in handles:
                    h.remove()
        if one.fits:
            break
    unseen = sources(model)
    prefix = len(one.params[0].name.split(".")[0]) + 1 if one.params else 0
    params = tuple(
        dataclasses.replace(p, trainable=True) if p.name[prefix:] in unseen else p
        for p in one.params
    )
    size = sum(p.numel() for p in model.parameters())
    return one._replace(params=params), BuiltModel(type(model).__name__, size)


@contextmanager
def _default(dtype: torch.dtype) -> Iterator[None]:
    """float64 as the default while a model is built; float32 leaves the user's default alone."""
    before = torch.get_default_dtype()
    if dtype == torch.float64:
        torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _begin(module: nn.Module, args: Any, kwargs: Any) -> Any:
    """The backward gets to the first layer though its unseen weights want no gradient: data does.
    (For looked up rows, `UnseenWeight` sees to it.)"""
    if not any(isinstance(p, UnseenWeight) for p in module.parameters(recurse=False)):
        return None

    def wanting(x: Any) -> Any:
        data = isinstance(x, Tensor) and x.is_floating_point() and not x.requires_grad
        return x.detach().requires_grad_() if data else x

    return tuple(map(wanting, args)), {k: wanting(v) for k, v in kwargs.items()}


def _readings(found: Sequence[Measured]) -> dict[Channel, float]:
    """Readings averaged over draws; those a draw lacks are averaged over the others."""
    gathered: dict[Channel, list[float]] = {}
    for one in found:
        for channel, value in one.readings.items():
            gathered.setdefault(channel, []).append(value)
    first = {s.name for s in found[0].sites}
    if any({s.name for s in one.sites} != first for one in found):
        gathered = {c: [v] for c, v in found[0].readings.items()}
    return {c: over_draws(metric_named(c.of, c.metric), v) for c, v in gathered.items()}
