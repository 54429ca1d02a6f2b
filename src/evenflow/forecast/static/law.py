"""The law of a weight's elements, followed through the library's own initialisation code.

A law is carried as `COUNT` values: the quantiles of what was drawn, in an order of their own. What
initialisation does to every element alike (`trunc_normal_` draws, compares and draws again) is
done to these values. So the law that a library really applies is found by running its code, not
by believing its documentation, and the weights themselves are never drawn.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

#: Values kept of a law. Quantiles give the standard deviation of one draw to 1e-4; a rejection
#: loop takes new ones for some, and then it is 1 % at worst.
COUNT = 4096


def uniform(low: float, high: float, generator: torch.Generator) -> Tensor:
    """Values [COUNT] of the uniform law on [low, high], float64."""
    return low + (high - low) * _levels(generator)


def normal(mean: float, std: float, generator: torch.Generator) -> Tensor:
    """Values [COUNT] of the normal law; their standard deviation is exactly `std`."""
    z: Tensor = torch.special.ndtri(_levels(generator))
    return mean + std * z / float(z.square().mean().sqrt())


def constant(value: float) -> Tensor:
    """Values [COUNT] of a law that always gives `value`."""
    return torch.full((COUNT,), value, dtype=torch.float64)


def moments(values: Tensor) -> tuple[float, float]:
    """Mean and standard deviation."""
    mean = float(values.mean())
    std = math.sqrt(float((values - mean).square().mean()))
    # A law symmetric about 0 has mean 0; what the sample shows beside it is sampling noise.
    if abs(mean) < 5 * std / math.sqrt(len(values)):
        mean = 0.0
    return mean, std if std > 1e-12 * abs(mean) else 0.0


def draw(
    values: Tensor, shape: tuple[int, ...], generator: torch.Generator | None, dtype: torch.dtype
) -> Tensor:
    """Independent elements of that law, for a weight that must be stored after all."""
    out = torch.empty(shape, dtype=dtype)
    if float(values.min()) == float(values.max()):
        return out.fill_(float(values[0]))
    flat, values = out.view(-1), values.to(dtype)
    step = 1 << 24  # indices are 8 bytes each: a slice at a time
    for start in range(0, len(flat), step):
        part = flat[start : start + step]
        part.copy_(values[torch.randint(len(values), (len(part),), generator=generator)])
    return out


def _levels(generator: torch.Generator) -> Tensor:
    """Midpoints (i + ½)/COUNT of equally likely slices of [0, 1], shuffled: two laws drawn after
    each other must be independent, or a rejection loop would reject the same elements for ever."""
    order = torch.randperm(COUNT, generator=generator)
    return (order.to(torch.float64) + 0.5) / COUNT
