"""Towers: layers that hang together. What one tower gets is no measure of what another gets.

An actor beside its critic, a generator beside its discriminator, two encoders whose outputs only
the loss compares: each may have a gradient of its own size. T rows, S sites, L layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..network import by_key, components, knots
from .series import Floats
from .view import View


@dataclass(frozen=True, slots=True)
class Towers:
    """How a network falls apart into towers.

    Sites join layers where a layer feeds them and they feed a layer; neither data that two layers
    read nor a loss of both does. Weights used twice join what uses them. Optimizers that take
    turns train a tower each, though one's output feeds the other: their losses differ.

    Attributes:
        of: layer -> number of its tower; one for all where the links do not tell.
        turn: layer -> the turn in which it is trained, 0 where all are at once.
        told: whether each part has a way of its own from the data and to the loss. Else a link
            may have been lost, and nothing is said to be apart.
    """

    of: dict[int, int]
    turn: dict[int, int]
    told: bool

    def groups(self, ids: Sequence[int]) -> list[list[int]]:
        """Positions in `ids`, which are layers, by tower."""
        return list(by_key(range(len(ids)), lambda position: self.of[ids[position]]).values())


def towers_of(view: View) -> Towers:
    """The towers of a run's network."""
    part = components(_links(view))
    fed = view.descendants(view.data)
    ends = (*view.losses, *view.beyond)
    leads = view.ancestors(ends) if ends else frozenset(view.layers)
    parts = {part[i] for i in view.layers}
    turn = _turns(view)
    if not all({part[i] for i in view.layers if i in way} == parts for way in (fed, leads)):
        return Towers(dict.fromkeys(view.layers, 0), turn, False)
    numbers: dict[tuple[int, int], int] = {}
    of = {i: numbers.setdefault((part[i], turn[i]), len(numbers)) for i in view.layers}
    return Towers(of, turn, True)


def _links(view: View) -> list[list[int]]:
    """For each site some of those it is of one part with."""
    links: list[list[int]] = [[] for _ in view.sites]
    user: dict[int, int] = {}
    for i in view.inside | frozenset(view.layers):
        links[i] += [p for p in view.parents(i) if view.depth[p]]
        links[i] += [user.setdefault(w, i) for w in view.weights[i]]
    return links


def _turns(view: View) -> dict[int, int]:
    if not view.adversarial:
        return dict.fromkeys(view.layers, 0)
    turn = {k: int(o.get("turn", k)) for k, o in enumerate(view.optimizers)}
    whose = {i: view.run.params[view.weights[i][0]].optimizer for i in view.layers}
    return {i: turn.get(k, k) for i, k in whose.items()}


def ahead(view: View, calls: Sequence[Sequence[int]], size: Floats) -> Floats:
    """[T, L] for each layer the largest `size` [T, L] of any that its output reaches on its way to
    the loss; -inf without any. Another turn's layers do not count, nor what is reached through
    them.

    Args:
        view: the run.
        calls: for each layer its sites, nearest the data first; it is where the last one is that
            a gradient has reached. Where the links do not tell, every layer that comes later
            counts.
        size: NaN where it was not measured.
    """
    size = np.where(np.isnan(size), -np.inf, size)
    out = np.full(size.shape, -np.inf)
    towers = view.once(towers_of)
    if not towers.told:
        out[:, :-1] = np.maximum.accumulate(size[:, :0:-1], axis=1)[:, ::-1]
        return out
    reached = np.asarray(np.isfinite(view.site("delta")).any(axis=0))
    layer = {i: c for c, ids in enumerate(calls) for i in ids}
    last = {i for ids in calls for i in [j for j in ids if reached[j]][-1:]}
    best: list[dict[int, Floats]] = [{} for _ in view.sites]  # from each site on, by turn
    for knot in knots(view.consumers):
        for i in sorted(knot, reverse=True):  # in a circle only links that rise by id, as in depth
            best[i] = _largest([best[c] for c in view.consumers[i]])
            if i not in layer:
                continue
            c, turn = layer[i], towers.turn[i]
            own = {k: v for k, v in best[i].items() if k == turn}
            if i in last and own:
                out[:, c] = own[turn]
            best[i] = _largest([own, {turn: size[:, c]}])
    return out


def _largest(found: Sequence[dict[int, Floats]]) -> dict[int, Floats]:
    """By turn the largest of all; where there is but one it is handed on, not copied."""
    some = [f for f in found if f]
    if len(some) < 2:
        return some[0] if some else {}
    out = dict(some[0])
    for more in some[1:]:
        for turn, size in more.items():
            out[turn] = np.maximum(out.get(turn, size), size)
    return out
