"""Reading the backward: walk the graph, arm each site's node once, note delta and its forks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..schema import Channel
from . import numbers
from .labels import Label, label, read
from .sample import Sample
from .scalars import Key, Scalar, ScalarBuffer
from .together import Flat, nonfinite_in
from .unseen import LEAF, Shell, UnseenNodes

Grads = Sequence[Tensor | None]
_HALF = (torch.float16, torch.bfloat16)
_LOW = 1e-32  # rms of float32 deltas below which some may be subnormal (< 1.2e-38)


class _Branch(NamedTuple):
    """One edge into a node: who sends delta along it."""

    consumer: Any
    edge: int  # which grad_input of the consumer
    site: int | None


class BackwardReader:
    """Arms a graph's nodes before the engine runs. Hooks close over ids, never over nodes.

    `axis` tells along which axis a site's units lie.
    """

    def __init__(self, recorder: Sample, unseen: UnseenNodes, axis: Callable[[int], int]) -> None:
        self.recorder, self.unseen, self._axis = recorder, unseen, axis
        self.leaves: dict[int, Tensor] = {}  # parameters the latest graphs end in
        self.latest: dict[int, Tensor] = {}  # those of the latest outermost backward
        self._held: dict[int, list[tuple[Channel, Tensor]]] = {}
        self._shared: set[tuple[int, int]] = set()  # (site, input) that others read, too

    def reset(self) -> None:
        self.leaves.clear()
        self.latest = {}
        self._held.clear()
        self._shared.clear()

    def begin(self) -> None:
        self.latest = {}
        self.unseen.begin()

    def arm(self, roots: Sequence[Any], thread: int, inside: Any = None) -> None:
        """Walk from the roots' nodes to the leaves and hook what is met for the first time.

        `inside`: the node within whose backward this one runs (a reentrant checkpoint's), which
        is what the walked graph works out.
        """
        rec, generation = self.recorder, self.recorder.generation
        shell = Shell.of(inside, self.unseen)
        outer = None if shell is None else shell.site
        edges: dict[Any, _Branch] = {}  # the first into each node
        forks: dict[Any, list[_Branch]] = {}  # all, of nodes with several
        owner: dict[Any, int | None] = {}
        first_met = dict.fromkeys(n for n in roots if n is not None and type(n) is not LEAF)
        todo: list[tuple[Any, int | None, int]] = [(n, outer, thread) for n in first_met]
        walked, start = 0, perf_counter()
        while todo:
            walked += 1
            if not walked % 1024 and rec.bounds.over(rec.cost + perf_counter() - start):
                rec.cut()
            if not rec.recording:
                return
            node, consumer, tid = todo.pop()
            known = read(node, rec.oldest)
            if known is not None:
                site, tid = known.site, known.thread
                primary = known.primary and known.armed != generation
                known.armed = generation
            else:
                site, primary = self.unseen.site(node, tid)
                if primary or site is not None:
                    label(node, Label(generation, tid, site, primary, generation))
            owner[node] = site
            inner = site is not None and (known is None or known.primary)
            if primary and site is not None:
                self._hook(node, site)
            if inner and consumer is not None and site is not None and site != consumer:
                rec.registry.link(consumer, site)
            sender = site if inner else consumer
            if primary and known is None and site is not None:
                sender = self.unseen.opened(node, site)
            for i, (child, _) in enumerate(node.next_functions):
                if child is None:
                    continue
                if type(child) is LEAF:
                    self._leaf(child.variable, sender, shell)
                    continue
                branch = _Branch(node, i, sender)
                first = edges.setdefault(child, branch)
                if first is not branch:
                    forks.setdefault(child, [first]).append(branch)
                elif child not in first_met:
                    todo.append((child, sender, tid))
                    continue
                there = owner.get(child)
                if sender is not None and there is not None and there != sender:
                    rec.registry.link(sender, there)
        self._forks([(n, forks[n]) for n in edges if n in forks] if forks else [], owner)
        if shell is not None:
            shell.close(self._shared)

    def taken(self) -> dict[int, Tensor]:
        """`leaves`; nothing is held on to any longer where no sample goes on."""
        leaves = dict(self.leaves)
        if not self.recorder.recording:
            self.reset()
        return leaves

    def look(self, roots: Sequence[Any]) -> None:
        """Which leaves do these nodes lead to? Nothing is hooked: no sample is taken."""
        todo = [n for n in roots if n is not None]
        seen = set(todo)
        while todo:
            node = todo.pop()
            if type(node) is LEAF:
                self._leaf(node.variable, None, None)
                continue
            new = {child for child, _ in node.next_functions if child is not None} - seen
            seen |= new
            todo += new

    def _leaf(self, variable: Tensor, consumer: int | None, shell: Shell | None) -> None:
        variable = self.recorder.registry.original(variable)
        self.leaves[id(variable)] = self.latest[id(variable)] = variable
        if consumer is None:
            return
        known = self.recorder.registry.param(variable)
        if known is not None:
            self.unseen.uses(consumer, known)
        elif shell is not None:
            shell.leads(consumer, variable)

    # -- hooks --------------------------------------------------------------------------------
    # Partial calls, not functions within functions: those are seven objects each to the collector.
    def _hook(self, node: Any, site: int) -> None:
        generation = self.recorder.generation
        if self.recorder.registry.sites[site].kind == "activation":
            node.register_hook(partial(self._after, generation, site, self._axis(site)))
        else:
            node.register_prehook(partial(self._before, generation, site))

    def _before(self, generation: int, site: int, grad_outputs: Grads) -> None:
        rec = self.recorder
        if rec.generation == generation and rec.recording:
            rec.timed(self._arrived, site, grad_outputs)

    def _after(
        self, generation: int, site: int, axis: int, grad_inputs: Grads, grad_outputs: Grads
    ) -> None:
        rec = self.recorder
        if rec.generation == generation and rec.recording:
            rec.timed(self._through, site, grad_inputs, grad_outputs, axis)

    def _arrived(self, site: int, grad_outputs: Grads) -> Tensor | None:
        rec = self.recorder
        for given in grad_outputs:
            if given is not None:
                break
        else:
            return None
        g = numbers.plain(given)
        if g is None or (not rec.full and rec.scalars.hold(g, _small_delta, site, rec.scale)):
            return g
        size = numbers.norm(g)
        level = size / g.numel() ** 0.5
        delta, bad = _keys(site)
        rec.scalars.add(delta, level / rec.scale)
        rec.scalars.add(bad, numbers.nonfinite(g, size))
        half = g.dtype in _HALF
        if half or rec.full:
            few = numbers.sample(g)
            rec.add("site", site, "delta_zeros", numbers.zeros(few))
            if half or (isinstance(level, float) and level < _LOW):
                rec.add("site", site, "delta_subnormal", numbers.subnormal(few))
        for channel, part in self._held.pop(site, ()):
            whole = numbers.wide(numbers.sample(g))
            if whole.shape == part.shape:
                top = (numbers.wide(part) * whole).sum()
                least = torch.finfo(whole.dtype).tiny
                rec.scalars.add(channel, top / whole.square().sum().clamp(min=least))
        return g

    def _through(self, site: int, grad_inputs: Grads, grad_outputs: Grads, axis: int) -> None:
        """An activation: what came, what got through. f' = grad_in / grad_out, exactly."""
        rec = self.recorder
        after = self._arrived(site, grad_outputs)
        before = grad_inputs[0] if grad_inputs else None
        before = None if before is None else numbers.plain(before)
        if after is None or before is None or before.shape != after.shape:
            return
        rec.units.observe(site, after, before, axis, (8 if rec.full else 2) * numbers.LIMIT)
        if rec.full:
            f, bend = numbers.slope(numbers.sample(before), numbers.sample(after))
            rec.add("site", site, "slope", f)
            if not isinstance(bend, float) or not math.isnan(bend):
                rec.add("site", site, "bend", bend)

    # -- forks --------------------------------------------------------------------------------
    def _forks(self, forks: list[tuple[Any, list[_Branch]]], owner: dict[Any, int | None]) -> None:
        """Where several consumers send delta to one node, take each branch on its own."""
        rec = self.recorder
        done: set[int] = set()
        forks.sort(key=lambda f: not _is_primary(f[0], rec.oldest))
        for node, into in forks:
            site = owner.get(node)
            if site is None or site in done:
                continue
            senders = {b.site for b in into}
            if None in senders or len(senders) < len(into) or site in senders:
                continue
            done.add(site)
            for b in into:
                assert b.site is not None
                self._shared.add((b.site, site))
                self._branch(b, Channel("edge", b.site, "delta_in", site), len(into) > 2)

    def _branch(self, branch: _Branch, channel: Channel, hold: bool) -> None:
        rec = self.recorder
        generation, index = rec.generation, branch.edge
        share = channel._replace(metric="share")

        def take(g: Tensor) -> None:
            if not rec.full and rec.scalars.hold(g, _small_branch, channel, rec.scale):
                return
            rec.scalars.add(channel, numbers.rms(g) / rec.scale)
            if hold and rec.full:
                self._held.setdefault(channel.edge, []).append((share, numbers.sample(g).clone()))

        def post(grad_inputs: Grads, grad_outputs: Grads) -> None:
            if rec.generation == generation and rec.recording:
                g = grad_inputs[index]
                g = None if g is None else numbers.plain(g)
                if g is not None:
                    rec.timed(take, g)

        branch.consumer.register_hook(post)


def _small_delta(scalars: ScalarBuffer, g: Flat, size: float, site: int, scale: Scalar) -> None:
    """The core readings of a small output's gradient."""
    delta, bad = _keys(site)
    scalars.add(delta, size / math.sqrt(len(g)) / scale)
    scalars.add(bad, nonfinite_in(g, size))


def _small_branch(
    scalars: ScalarBuffer, g: Flat, size: float, channel: Channel, scale: Scalar
) -> None:
    scalars.add(channel, size / math.sqrt(len(g)) / scale)


@lru_cache(maxsize=1 << 13)
def _keys(site: int) -> tuple[Key, Key]:
    return ("site", site, "delta", -1), ("site", site, "delta_nonfinite", -1)


def _is_primary(node: Any, oldest: int) -> bool:
    known = read(node, oldest)
    return known is not None and known.primary
