"""One network of the foresight benchmark: measured, foreseen by one pass, by theory, by draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from closed_forms import propagate
from evenflow.forecast.assemble import anchor
from evenflow.forecast.foresee import one_pass
from evenflow.forecast.inputs import arrange
from evenflow.forecast.onepass import Measured
from evenflow.forecast.static.forecasting import draw


class Score(NamedTuple):
    """One network and seed: decades; NaN where the method does not apply. `site`: the largest
    difference of static and one-pass forecast over all sites."""

    ratio: float
    one_pass: float
    theory: float
    theory_bar: float
    static: float
    static_bar: float
    site: float
    layers: int
    sites: int


def profile(found: Measured) -> dict[str, float]:
    """log10 δ by name of every layer with weights but embeddings and the head; exact zeros and
    what δ did not reach are left out."""
    heavy = {p.name for p in found.params if len(p.shape) >= 2}
    layers = {
        s.name: found.log10_delta[s.id]
        for s in found.sites
        if s.kind in ("affine", "matmul", "recurrent") and heavy.intersection(s.params)
    }
    head = next(reversed(layers))
    return {n: v for n, v in layers.items() if n != head and math.isfinite(v)}


def everywhere(found: Measured) -> dict[str, float]:
    """log10 δ by name of every site but inputs, 0 at the head."""
    levels = np.array(found.log10_delta)
    levels = levels - levels[anchor(found.sites, found.params, levels)]
    return {
        s.name: float(levels[s.id])
        for s in found.sites
        if s.kind != "input" and math.isfinite(levels[s.id])
    }


def compare(foreseen: dict[str, float], measured: dict[str, float]) -> float:
    """Mean |difference| of two profiles, both 0 at the last layer they share."""
    shared = [n for n in measured if n in foreseen]
    a = np.array([foreseen[n] for n in shared])
    b = np.array([measured[n] for n in shared])
    return float(np.abs((a - a[-1]) - (b - b[-1])).mean())


def once(model: nn.Module, inputs: Any, loss: Any, seed: int) -> Measured:
    """One pass, in float64 where δ leaves float32."""
    args, kwargs = arrange(inputs, torch.float32, torch.device("cpu"))
    return one_pass(model, args, kwargs, loss, None, seed)


def score(
    factory: Callable[[], nn.Module],
    real: Sequence[Any],
    blind: Any,
    few: Any,
    loss: Callable[..., Any],
    seed: int,
    theory: bool,
) -> Score:
    """Build, measure with `real` batches and loss, foresee with `blind` inputs (static: `few`)."""
    torch.manual_seed(seed)
    model = factory().train()
    found = [profile(once(model, batch, loss, seed + k)) for k, batch in enumerate(real)]
    measured = {n: float(np.mean([p[n] for p in found])) for n in found[0]}
    single = once(model, blind, None, seed + 1)
    drawn, _ = draw(factory, few, draws=3, seed=seed + 2, least=0)
    levels = profile(drawn)
    bars = {s.name: drawn.error_bar[s.id] for s in drawn.sites}
    # Site by site on the same inputs: δ of what samples share (position tables) adds up over them.
    same = single if few is blind else once(model, few, None, seed + 1)
    ours, theirs = everywhere(drawn), everywhere(same)
    apart = [abs(v - theirs[n]) for n, v in ours.items() if n in theirs]
    closed = bar = math.nan
    if theory:
        nodes = propagate(model, blind, seed=seed)
        nodes = [n for n in nodes if n.op in ("linear", "conv2d")][:-1]
        closed = compare(dict(zip(measured, (n.log10_delta for n in nodes), strict=True)), measured)
        bar = float(np.mean([n.error_bar for n in nodes]))
    ends = list(measured.values())
    return Score(
        ends[0] - ends[-1], compare(profile(single), measured), closed, bar,
        compare(levels, measured), float(np.mean([bars[n] for n in levels])),
        max(apart), len(measured), len(apart),
    )  # fmt: skip
