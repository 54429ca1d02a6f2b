"""The gradient's profile over the layers, nearest the data first. T rows, L layers."""

from __future__ import annotations

import numpy as np

from .series import Floats, decades, grouped, median, ratio
from .start import smallest_usual, too_small
from .towers import ahead, towers_of
from .view import View

#: Below this a float32 gradient is on the brink of underflow; zeros behind it are vanished.
BRINK = 1e-30


class Profile:
    """Gradient, update and fall by layer.

    A layer called often (a cell over time, tied weights) is one layer: its largest delta counts.

    Attributes:
        layers: ids of the sites, the first call of each.
        update: [T, L] relative update of the layer's weights.
        gradient: [T, L] relative gradient.
        raw: [T, L] norm of the gradient.
        delta: [T, L] 2-norm of the layer error.
        towers: columns of the layers by tower (`towers.Towers`).
        peers: [L] how many layers its tower has.
        fall: [T, L] decades lost against the largest value of any layer that it reaches on its way
            to the loss; the larger of the gradient's and the error's. Inf where it is exactly
            zero. Weights smaller than usual starts make a relative gradient large: the layer is
            measured by them, and others by what usual weights would make of it.
        known, still, zero, underflowed: [T, L] was measured; updates too small; the gradient is
            exactly zero; and so next to a layer on the brink of underflow.
    """

    def __init__(self, view: View) -> None:
        sound = view.sound[:, None]
        calls = list(view.calls.values())
        self.layers = [ids[0] for ids in calls]

        def by_layer(m: Floats) -> Floats:
            return np.where(sound, grouped(m, list(view.calls)), np.nan)

        self.update = by_layer(view.relative_update)
        self.gradient = by_layer(view.relative_gradient)
        self.raw = by_layer(view.param("grad"))
        column = {i: c for c, i in enumerate(view.layers)}
        width = np.sqrt([float(view.sites[i].size) for i in view.layers])
        delta = np.where(sound, view.site("delta")[:, list(view.layers)] * width, np.nan)
        self.delta = grouped(delta, [[column[i] for i in ids] for ids in calls])
        self.towers = view.once(towers_of).groups(self.layers)
        usual = ratio(view.param("grad"), np.fmax(view.param("weight"), smallest_usual(view)))
        fall_g = fall(self.gradient, ahead(view, calls, by_layer(usual)))
        self.fall = np.fmax(fall_g, fall(self.delta, ahead(view, calls, self.delta)))
        self.known = ~np.isnan(self.update) & ~np.isnan(self.fall)
        self.peers = np.ones(len(self.layers), dtype=np.int64)
        for tower in self.towers:
            self.peers[tower] = len(tower)
        self.still = self.update < view.too_small
        brink = (self.delta < BRINK) | (self.gradient < BRINK)
        self.zero = self.raw == 0
        zero = self.zero & brink
        nearly = brink & ~self.zero & (self.delta != 0)
        self.underflowed = zero.copy()
        for tower in self.towers:
            self.underflowed[:, tower] &= nearly[:, tower].any(axis=1, keepdims=True)


def fall(size: Floats, ahead: Floats) -> Floats:
    """[T, L] decades by which each layer stays under what lies ahead of it, or is level."""
    top = np.fmax(size, np.where(np.isneginf(ahead), np.nan, ahead))
    return -decades(ratio(size, top))


def growth(size: Floats, towers: list[list[int]]) -> Floats:
    """[T, L] decades by which each layer tops the layers of its tower nearest the loss.

    Their median, or the last layer where that is larger: in a net whose gradient vanishes the
    last layer stands far above that median and has not grown from anything.
    """
    out = np.full(size.shape, np.nan)
    for columns in towers:
        own = size[:, columns]
        n = max(1, len(columns) // 4)
        near = np.fmax(median(own[:, -n:], axis=1), own[:, -1])
        out[:, columns] = decades(ratio(own, near[:, None]))
    return out


def losses_by_kind(view: View, id: int) -> str:
    """What took the gradient between the loss and a site: saturation, slopes, or weights.

    The gain of a site is |delta sent back| / |delta received|, both 2-norms, in decades; a site
    whose input feeds nothing else has sent back that input's delta. A code or cause in kebab
    case; "" where the readings say nothing. Weights are too small (EF601) only where they began
    smaller than usual starts do; those of a usual start lose by depth.
    """
    lost = {"activation": 0.0, "affine": 0.0}
    steps = 0
    saturated = view.recent("saturated")
    seen_saturated = []
    deltas = view.recent("delta")
    below = view.descendants([id])
    for s in below:
        site = view.sites[s]
        for i in view.parents(s):
            if i not in below or site.kind not in lost:
                continue
            sent = median(view.edges[s, i][view.late]) if (s, i) in view.edges else deltas[i]
            if (s, i) not in view.edges and len(view.consumers[i]) > 1:
                continue
            received = deltas[s] * np.sqrt(site.size)
            gain = ratio(sent * np.sqrt(view.sites[i].size), received)
            if gain > 0 and np.isfinite(gain):
                lost[site.kind] += float(decades(gain))
                steps += 1
            if site.kind == "activation" and np.isfinite(saturated[s]):
                seen_saturated.append(float(saturated[s]))
    total = lost["activation"] + lost["affine"]
    if steps == 0 or total > -1:
        return ""
    if seen_saturated and np.median(seen_saturated) >= 0.5:
        return "EF201"
    if lost["activation"] <= 0.5 * total:
        return "depth-times-activation"
    if too_small(view, below, -lost["affine"]):
        return "EF601"
    return "depth-times-weights"
