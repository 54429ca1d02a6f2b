"""The gradient's profile over the layers, nearest the data first. T rows, L layers."""

from __future__ import annotations

import numpy as np

from .series import Floats, decades, median, ratio
from .view import View

#: Below this a float32 gradient is on the brink of underflow; zeros behind it are vanished.
BRINK = 1e-30


class Profile:
    """Gradient, update and fall by layer.

    Attributes:
        weights: for each layer the ids of its weights.
        update: [T, L] relative update of the layer's weights.
        gradient: [T, L] relative gradient.
        delta: [T, L] 2-norm of the layer error.
        fall: [T, L] decades lost against the largest value of any layer nearer the loss; the
            larger of the gradient's and the error's. Inf where it is exactly zero.
        known, still, underflowed: [T, L] was measured; updates too small; exactly zero next to
            a layer on the brink of underflow.
    """

    def __init__(self, view: View) -> None:
        sound = view.sound[:, None]
        self.weights = [view.weights[i] for i in view.layers]
        self.update = np.where(sound, view.by_layer(view.relative_update), np.nan)
        self.gradient = np.where(sound, view.by_layer(view.relative_gradient), np.nan)
        self.delta = np.where(sound, view.layer_delta, np.nan)
        fall_g, fall_d = fall(self.gradient), fall(self.delta)
        self.fall = np.fmax(fall_g, fall_d)
        self.known = ~np.isnan(self.update) & ~np.isnan(self.fall)
        with np.errstate(invalid="ignore"):
            self.still = self.update < view.too_small
            brink = (self.delta < BRINK) | (self.gradient < BRINK)
            zero = (self.gradient == 0) & brink
            nearly = brink & ~((self.gradient == 0) & (self.delta == 0))
        self.underflowed = zero & nearly.any(axis=1, keepdims=True)


def fall(size: Floats) -> Floats:
    """[T, L] decades by which each layer stays under the largest of those nearer the loss."""
    filled = np.where(np.isnan(size), -np.inf, size)
    behind = np.maximum.accumulate(filled[:, ::-1], axis=1)[:, ::-1]
    behind = np.where(np.isneginf(behind), np.nan, behind)
    return -decades(ratio(size, behind))


def growth(size: Floats) -> Floats:
    """[T, L] decades by which each layer tops the median of the layers nearest the loss."""
    n = max(1, size.shape[1] // 4) if size.ndim == 2 else 1
    return decades(ratio(size, median(size[:, -n:], axis=1)[:, None]))


def losses_by_kind(view: View, id: int) -> str:
    """What took the gradient between the loss and a site: saturation, slopes, or weights.

    The gain of a site is |delta sent back| / |delta received|, both 2-norms, in decades. A code
    or cause in kebab case; "" where the edges say nothing.
    """
    lost = {"activation": 0.0, "affine": 0.0}
    steps = 0
    saturated = view.recent("saturated")
    seen_saturated = []
    deltas = view.recent("delta")
    below = view.descendants(id)
    for (s, i), column in view.edges.items():
        kind = view.sites[s].kind
        if i not in below or s not in below or kind not in lost:
            continue
        sent = median(column[view.late]) * np.sqrt(view.sites[i].size)
        received = deltas[s] * np.sqrt(view.sites[s].size)
        gain = decades(sent / received) if received > 0 else np.nan
        if np.isfinite(gain):
            lost[kind] += float(gain)
            steps += 1
        if kind == "activation" and np.isfinite(saturated[s]):
            seen_saturated.append(float(saturated[s]))
    total = lost["activation"] + lost["affine"]
    if steps == 0 or total > -1:
        return ""
    if seen_saturated and np.median(seen_saturated) >= 0.5:
        return "EF201"
    if lost["activation"] <= 0.5 * total:
        return "depth-times-activation"
    return "EF601"
