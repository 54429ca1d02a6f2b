"""The weights a run began with, held against usual starts: the one place that may call them too
large or too small.

Usual is what PyTorch's layers draw by themselves and what `torch.nn.init` draws for them: He,
Xavier, LeCun and orthogonal weights. A network of such weights may explode or fade, by its depth
or by its rate; its weights are not at fault then.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..network import reach
from ..schema import Parameter, Site
from .series import Floats
from .view import View

#: Beyond the usual by less than this factor is still usual.
MARGIN = 1.1
#: Part of the decades gained or lost that unusual weights must account for to be their cause.
PART = 1 / 3
#: Gates whose weights a recurrent layer keeps in one matrix.
GATES = {"lstm": 4, "gru": 3}


def too_large(view: View, ids: Iterable[int], decades: float = 0.0) -> bool:
    """Whether these sites' weights were larger at step 0 than any usual start's, and so much that
    they account for `decades` gained. False where step 0 was not recorded."""
    over = view.once(excess)[list(ids)]
    total = float(over[over > 0].sum())
    return total > 0 and total >= PART * decades


def too_small(view: View, ids: Iterable[int], decades: float = 0.0) -> bool:
    """The same of weights smaller than any usual start's, for `decades` lost (a positive number).
    Weights of exactly zero are not small: they are "zero-init"."""
    under = view.once(excess)[list(ids)]
    total = -float(under[under < 0].sum())
    return total > 0 and total >= PART * decades


def excess(view: View) -> Floats:
    """[S] decades by which each site's weights at step 0 lie above the largest usual start's for
    their shapes, or (negative) below the smallest's; 0 between, where there are none, and where
    step 0 was not recorded. Of several weights the farthest off."""
    out = np.zeros(len(view.sites))
    size = _first(view)
    for s in view.sites:
        for p in view.weights[s.id] if s.kind != "embedding" else ():
            off = _off(s, view.run.params[p], float(size[p]), _feeds_tanh(view, s))
            out[s.id] = off if abs(off) > abs(out[s.id]) else out[s.id]
    return out


def smallest_usual(view: View) -> Floats:
    """[P] least norm that a usual start gives each layer's weights; 0 of embeddings and others."""
    out = np.zeros(len(view.run.params))
    for s in view.sites:
        for p in view.weights[s.id] if s.kind != "embedding" else ():
            shape = view.run.params[p].shape
            least, _ = usual(tuple(max(n, 1) for n in shape), s.op)  # a weight may be empty
            out[p] = least * np.sqrt(np.prod(shape))
    return out


def before(view: View, id: int) -> list[int]:
    """The layers a site reads with no other layer between, itself if it is one."""
    way = reach(view.links, [id], lambda i: not view.weights[i])
    return sorted(i for i in way if view.weights[i])


def _first(view: View) -> Floats:
    """[P] norm of each parameter before the first update, NaN where that was not seen.

    Optimizers that take turns have one row each at the start.
    """
    rows = min(len(view.steps), max(1, len(view.optimizers)))
    begun = [k for k in range(rows) if int(view.steps[k]) == k]
    out = np.full(len(view.run.params), np.nan)
    for k in reversed(begun):
        row = view.param("weight")[k]
        out = np.where(np.isnan(row), out, row)
    return out


def _off(site: Site, param: Parameter, norm: float, tanh: bool) -> float:
    count = int(np.prod(param.shape))
    if not norm > 0 or not np.isfinite(norm) or count == 0:
        return 0.0
    rms = norm / np.sqrt(count)
    low, high = usual(param.shape, site.op, tanh)
    # the rms of so many draws is off by as much now and then (three deviations of normal ones)
    margin = MARGIN + 3 / np.sqrt(2 * count)
    if rms > margin * high:
        return float(np.log10(rms / high))
    return float(np.log10(rms / low)) if rms * margin < low else 0.0


def usual(shape: tuple[int, ...], op: str, tanh: bool = False) -> tuple[float, float]:
    """Least and largest deviation that a usual start gives weights of this shape.

    Args:
        shape: [out, in, ...] as torch keeps it; fans are counted as `torch.nn.init` does.
        op: of the site. Recurrent layers draw by their width, and convolutions by either fan.
        tanh: whether a tanh follows, for which `torch.nn.init.calculate_gain` gives 5/3.
    """
    field = int(np.prod(shape[2:]))
    fan_in, fan_out = shape[1] * field, shape[0] * field
    default = 1 / np.sqrt(3 * fan_in)  # kaiming_uniform(a=√5), U(-1/√n, 1/√n)
    kinds = [
        np.sqrt(2 / (fan_in + fan_out)),  # Xavier
        1 / np.sqrt(fan_in),  # LeCun
        1 / np.sqrt(max(shape[0], fan_in)),  # orthogonal
    ]
    he = [np.sqrt(2 / fan_in)]
    if op.startswith("conv"):
        he.append(np.sqrt(2 / fan_out))
    gates = next((n for name, n in GATES.items() if name in op), 1)
    if gates > 1 or "rnn" in op:
        default = 1 / np.sqrt(3 * shape[0] / gates)
    scaled = [5 / 3 * k for k in kinds] if tanh else []
    sizes = [float(k) for k in (default, *kinds, *he, *scaled)]
    return min(sizes), max(sizes)


def _feeds_tanh(view: View, site: Site) -> bool:
    return site.kind == "recurrent" or any(
        view.sites[c].op == "tanh" for c in view.consumers[site.id]
    )


def drawn(view: View) -> frozenset[str]:
    """By which start most of a network's layers were drawn, as their size tells: "he" or "xavier"
    (square orthogonal and LeCun weights have that size too); empty where it is neither."""
    size, count, fits = _first(view), 0, {"he": 0, "xavier": 0}
    for s in view.sites:
        for p in view.weights[s.id] if s.kind == "affine" else ():
            shape = view.run.params[p].shape
            rms = float(size[p]) / np.sqrt(np.prod(shape))
            fan_in, fan_out = (n * int(np.prod(shape[2:])) for n in (shape[1], shape[0]))
            wanted = {
                "he": (2 / fan_in, 2 / fan_out if s.op.startswith("conv") else 2 / fan_in),
                "xavier": (2 / (fan_in + fan_out), 1 / fan_in, 1 / max(shape[0], fan_in)),
            }
            near = 0.03 + 3 / np.sqrt(2 * np.prod(shape))
            count += 1
            for name, squares in wanted.items():
                fits[name] += any(abs(rms / np.sqrt(q) - 1) <= near for q in squares)
    # a head is often drawn on its own
    most = max(fits.values())
    return frozenset(n for n, k in fits.items() if count and 0.7 * count <= k == most)
