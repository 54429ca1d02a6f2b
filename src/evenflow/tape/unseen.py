"""Nodes whose forward Python did not see: TorchScript's, and what a backward works out anew."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..network import of_node
from .labels import read
from .modulecalls import ModuleCalls
from .registry import Place
from .sample import Sample

LEAF = torch._C._functions.AccumulateGrad  # type: ignore[attr-defined]
_FUNCTION = torch.autograd.function.BackwardCFunction
#: Many layers in one node.
_BLOCKS = frozenset({"torchscript", "compiled_function"})
#: The node whose backward runs on this thread, or None.
running_node: Callable[[], Any] = torch._C._current_autograd_node


class UnseenNodes:
    """Names the sites of nodes that the forward did not label."""

    def __init__(self, recorder: Sample, calls: ModuleCalls) -> None:
        self.recorder, self._calls = recorder, calls
        self._counts: dict[Place, dict[str, int]] = {}
        #: Leaves within a backward -> the sites whose outputs they are, cut off from them
        self._cut: dict[int, tuple[weakref.ref[Tensor], list[int]]] = {}
        self._blocks: dict[int, int] = {}  # block -> its first layer, or itself

    def begin(self) -> None:
        self._counts.clear()
        self._cut.clear()

    def behind(self, leaf: Tensor) -> list[int]:
        """The sites that a leaf was cut off from; none where it is data or a parameter."""
        entry = self._cut.get(id(leaf))
        return entry[1] if entry is not None and entry[0]() is leaf else []

    def cut_off(self, leaf: Tensor, sites: list[int]) -> None:
        self._cut[id(leaf)] = (weakref.ref(leaf), sites)

    def at_data(self) -> bool:
        """Does the region that a backward works out anew (a checkpoint) begin at the data?"""
        node = running_node()
        return isinstance(node, _FUNCTION) and not any(
            [
                child is not None and (type(child) is not LEAF or self.behind(child.variable))
                for child, _ in node.next_functions
            ]
        )

    def site(self, node: Any, tid: int) -> tuple[int | None, bool]:
        """(site, is it the node of the site's output) of a node without a label."""
        rec = self.recorder
        seq = node._sequence_nr()
        if tid == rec.home and self._calls.roots.unread(seq):
            return None, False
        sealed = rec.sealed(tid, seq)
        if sealed is not None:
            return sealed, False
        op = of_node(node.name())
        kind = "custom" if isinstance(node, _FUNCTION) else op.kind
        if kind == "view" or rec.bounds.full:
            return None, False
        rec.count()
        if kind == "join" and sum(c is not None and type(c) is not LEAF
                                  for c, _ in node.next_functions) < 2:  # fmt: skip
            kind = "other"
        home = rec.registry.home(self._params(node))
        if home is not None and home.path and not self._calls.made(home):
            # A module that nobody called in Python: its parameters tell which it is.
            place, call, counts = home, 0, self._counts.setdefault(home, {})
        else:
            span = rec.span(tid, seq)
            place, call, counts = span.place, span.call, span.counts
        n = counts.get(op.name, 0)
        counts[op.name] = n + 1
        site = rec.registry.site(place, op.name, kind, n, call, shape=_shape(node))
        if site is not None and op.name in _BLOCKS:
            self._blocks.setdefault(site, -1)
        return site, site is not None

    def _params(self, node: Any) -> list[int]:
        """The parameters that a node reads, as they are or as a view."""
        found = []
        for child, _ in node.next_functions:
            while child is not None and type(child) is not LEAF:
                below = child.next_functions
                view = len(below) == 1 and of_node(child.name()).kind == "view"
                child = below[0][0] if view else None
            if child is not None:
                registry = self.recorder.registry
                known = registry.param(registry.original(child.variable))
                found += [] if known is None else [known]
        return found

    def opened(self, node: Any, site: int) -> int:
        """The site that reads what a node reads: itself, or the first layer of a block.

        Of a block the layers are known by their parameters alone, whose gradients are read. They
        stand in a chain, in the order in which their modules were made.
        """
        if self._blocks.get(site, site) != -1:
            return self._blocks.get(site, site)
        registry = self.recorder.registry
        read = {name for s in registry.sites for name in s.params}
        layers: dict[Place, list[int]] = {}
        for p in sorted(self._params(node)):
            known, home = registry.params[p], registry.home([p])
            if home is not None and known.name not in read:
                layers.setdefault(home, []).append(p)
        chain = []
        for place, params in layers.items():
            weight = any([len(registry.params[p].shape) > 1 for p in params])
            names = tuple(registry.params[p].name for p in params)
            kind = "affine" if weight else "other"
            made = registry.site(place, "torchscript", kind, 0, 0, params=names)
            chain += [] if made is None else [made]
        inner = [site, *reversed(chain)]
        for reader, producer in itertools.pairwise(inner):
            registry.link(reader, producer)
        self._blocks[site] = inner[-1]
        return inner[-1]

    def uses(self, site: int, param: int) -> None:
        """A site reads a parameter; a block's layers do, not the block."""
        if site not in self._blocks:
            self.recorder.registry.uses(site, param)


class Shell:
    """A node that works out a graph of its own within its backward, as a reentrant checkpoint and
    many a custom Function do: the links through it are those of that graph."""

    def __init__(self, unseen: UnseenNodes, node: Any, site: int) -> None:
        self.unseen, self.registry, self.site = unseen, unseen.recorder.registry, site
        self._read = self._producers(node)
        self._led: set[int] = set()

    @classmethod
    def of(cls, node: Any, unseen: UnseenNodes) -> Shell | None:
        """The shell that a node is; None where no node runs, or one that has no site."""
        if not isinstance(node, _FUNCTION):
            return None
        known = read(node, unseen.recorder.oldest)
        return None if known is None or known.site is None else cls(unseen, node, known.site)

    def _producers(self, node: Any) -> list[int]:
        """Sites whose outputs the node was given, views looked through."""
        found: list[int] = []
        todo = [child for child, _ in reversed(node.next_functions)]
        seen: set[Any] = set()
        while todo:
            child = todo.pop()
            if child is None or child in seen:
                continue
            seen.add(child)
            if type(child) is LEAF:
                found += self.unseen.behind(child.variable)
                continue
            known = read(child, self.unseen.recorder.oldest)
            if known is not None and known.site is not None:
                found.append(known.site)
            else:
                todo += [below for below, _ in reversed(child.next_functions)]
        return list(dict.fromkeys(found))

    def leads(self, site: int, variable: Tensor) -> None:
        """A site within reads a leaf that is no parameter: one of what the node was given. Which
        one, shapes tell; where they do not, any may be."""
        shape = tuple(variable.shape)
        alike = [i for i in self._read if self.registry.sites[i].shape == shape]
        self.unseen.cut_off(variable, alike or self._read)
        for producer in alike or self._read:
            self.registry.link(site, producer)
            self._led.add(producer)

    def close(self, shared: set[tuple[int, int]]) -> None:
        """The walk is over: what is read by way of the graph within is not read by the node. But
        at a fork the node was measured as one of the branches, and stays one."""
        for producer in self._led:
            if (self.site, producer) not in shared:
                self.registry.passes(self.site, producer)


def _shape(node: Any) -> tuple[int, ...]:
    metadata = getattr(node, "_input_metadata", None)
    try:
        return tuple([int(d) for d in metadata[0].shape]) if metadata else ()
    except Exception:
        return ()
