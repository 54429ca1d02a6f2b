"""How the sites of a run hang together: layers, losses, data, and what depends on what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

import numpy as np

from ..schema import Channel, Run, Site
from .graph import by_key, depths, links, reach, turned, unrolled
from .ops import WEIGHTED


class Wiring:
    """Cached, pure questions to the graph of a run's sites. Ids need not be in forward order."""

    def __init__(self, run: Run) -> None:
        self.run = run

    @property
    def sites(self) -> tuple[Site, ...]:
        """The run's sites."""
        return self.run.sites

    def of_kind(self, *kinds: str) -> list[int]:
        """Ids of sites of these kinds, in order of first sight."""
        return [s.id for s in self.sites if s.kind in kinds]

    @cached_property
    def links(self) -> tuple[tuple[int, ...], ...]:
        return links(self.sites)

    def parents(self, id: int) -> tuple[int, ...]:
        """Ids of the sites it reads (those that exist, itself left out)."""
        return self.links[id]

    @cached_property
    def consumers(self) -> tuple[tuple[int, ...], ...]:
        """For each site the ids of the sites that read it."""
        return turned(self.links)

    @cached_property
    def depth(self) -> tuple[int, ...]:
        """For each site the most layers on any path from the data to it, itself included."""
        return depths(self.links, [int(bool(w)) for w in self.weights])

    @cached_property
    def weights(self) -> tuple[tuple[int, ...], ...]:
        """For each site the ids of the weights (2 or more dimensions) it reads."""
        matrices = {p.name: p.id for p in self.run.params if len(p.shape) >= 2}
        return tuple(
            tuple(matrices[n] for n in s.params if n in matrices) if s.kind in WEIGHTED else ()
            for s in self.sites
        )

    @cached_property
    def layers(self) -> tuple[int, ...]:
        """Ids of sites with weights on a path to the loss, nearest the data first."""
        on_path = self.trunk
        ids = [s.id for s in self.sites if self.weights[s.id] and s.id in on_path]
        return tuple(sorted(ids, key=lambda i: (self.depth[i], i)))

    @cached_property
    def calls(self) -> Mapping[tuple[int, ...], list[int]]:
        """`layers` by their weights: one that is called often (a cell, tied weights) is one."""
        return by_key(self.layers, self.weights.__getitem__)

    @cached_property
    def trunk(self) -> frozenset[int]:
        """Ids of sites a loss depends on (all sites where no loss function was seen).

        A loss written by hand has no site that says so: what a gradient reached tells of it.
        """
        if not self.losses:
            return frozenset(range(len(self.sites)))
        return self.ancestors((*self.losses, *self.reached))

    @cached_property
    def reached(self) -> tuple[int, ...]:
        """Ids of sites to which a gradient came, finite or not, at any sampled step."""
        known = (
            (s.id, self.run.columns.get(Channel("site", s.id, metric)))
            for s in self.sites
            for metric in ("delta", "delta_nonfinite")
        )
        return tuple(dict.fromkeys(i for i, c in known if c is not None and not np.isnan(c).all()))

    def ancestors(self, ids: Iterable[int]) -> frozenset[int]:
        """The sites these depend on, themselves included."""
        return reach(self.links, ids)

    def descendants(self, ids: Iterable[int]) -> frozenset[int]:
        """The sites that depend on any of these, themselves included."""
        return reach(self.consumers, ids)

    @cached_property
    def beyond(self) -> tuple[int, ...]:
        """Ids of what is done with the model's output: losses, ratios, sums; no layers of it.

        An activation or a norm that a module of the user's puts last still is one.
        """
        read = self.ancestors(self.layers)
        own = ("activation", "norm", "softmax", "pool", "dropout", "custom")
        return tuple(
            s.id
            for s in self.sites
            if s.id not in read and s.kind != "input" and not (s.root and s.kind in own)
        )

    @cached_property
    def losses(self) -> tuple[int, ...]:
        """Ids of loss sites."""
        return tuple(s.id for s in self.sites if s.kind == "loss")

    def is_target(self, id: int) -> bool:
        """Whether a loss function was given this input to compare with."""
        return self.sites[id].kind == "input" and self.sites[id].op == "target"

    @cached_property
    def targets(self) -> tuple[int, ...]:
        """Ids of loss targets."""
        return tuple(s.id for s in self.sites if self.is_target(s.id))

    @cached_property
    def predictions(self) -> tuple[int, ...]:
        """Ids of the sites whose output a loss function was given."""
        firsts = (self.parents(i)[:1] for i in self.losses)
        return tuple(dict.fromkeys(i for f in firsts for i in f if not self.is_target(i)))

    @cached_property
    def data(self) -> tuple[int, ...]:
        """Ids of root inputs (the data, targets left out)."""
        return tuple(s.id for s in self.sites if s.kind == "input" and not self.is_target(s.id))

    @cached_property
    def inside(self) -> frozenset[int]:
        """Sites with a layer between them and the loss: those that some layer depends on.

        One walk from all layers at once: a walk from each would cost depth squared.
        """
        return self.ancestors(p for i in self.layers for p in self.parents(i))

    @cached_property
    def outputs(self) -> frozenset[int]:
        """Layers with no other layer between them and the loss (heads)."""
        return frozenset(i for i in self.layers if i not in self.inside)

    def reading(self, names: Iterable[str]) -> tuple[int, ...]:
        """Ids of the sites that read any of these parameters."""
        wanted = set(names)
        return tuple(s.id for s in self.sites if wanted.intersection(s.params))

    def target_of(self, loss: int) -> int:
        """Id of the target a loss function was given; -1 if it was given none."""
        return next((p for p in self.parents(loss) if self.is_target(p)), -1)

    @cached_property
    def unrolled(self) -> tuple[tuple[int, ...], ...]:
        """Sites of one place called `CELL` times or more in a chain (a cell over time), by call."""
        kinds = ("affine", "activation", "custom", "recurrent")
        places = by_key((s for s in self.sites if s.kind in kinds), lambda s: s.place)
        calls = ([s.id for s in sorted(at, key=lambda s: s.call)] for at in places.values())
        return tuple(tuple(ids) for ids in unrolled(self.links, calls))
