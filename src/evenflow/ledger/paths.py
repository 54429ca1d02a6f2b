"""From a graph of ops to the links of a ledger: cut vertices, factors, blocks, forks.

Edges lead the way δ goes, from the loss (`root`) back to the site (`target`). What is no part of
any path between the two is left out: every δ on a path is a sum over edges of paths only, since
an edge that δ comes along begins, in the end, at the loss.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ..network import by_key
from .factors import CANCELLED, Block, Branch, Factor, Fork

V = TypeVar("V", bound=Hashable)

#: An edge brought this share more or less than arrived, or less: a tensor hook changed it.
_CHANGED = 1e-6
#: A view that keeps δ's norm to this share is looked through.
_KEPT = 1e-9


@dataclass(frozen=True, slots=True)
class Vertex:
    """An op: its words, and ‖δ‖ at its output.

    `rank` grows in forward order; `place` is the module whose calls are counted by `call`.
    """

    name: str
    op: str
    kind: str
    received: float
    rank: float = 0.0
    call: int = 0
    size: float | None = None
    weight_elasticity: float | None = None
    place: str = ""


@dataclass(frozen=True, slots=True)
class Edge(Generic[V]):
    """δ sent from one op back to another: its norm, and its share where it meets others."""

    sender: V
    receiver: V
    sent: float
    share: float = 1.0
    parts: Mapping[str, float] = field(default_factory=dict)


def _sender(e: Edge[V]) -> V:
    return e.sender


def _receiver(e: Edge[V]) -> V:
    return e.receiver


def reached(start: V, children: Callable[[V], Iterable[V]]) -> list[V]:
    """The start and all that is reached from it, each once, in the order in which it is met."""
    order, met, todo = [start], {start}, [start]
    while todo:
        for child in children(todo.pop()):
            if child not in met:
                met.add(child)
                order.append(child)
                todo.append(child)
    return order


def between(children: Callable[[V], Iterable[V]], root: V, target: V) -> set[V]:
    """All vertices on a path from root to target; empty if there is none."""
    parents: dict[V, list[V]] = {}

    def down(v: V) -> list[V]:
        below = [] if v == target else list(children(v))
        for child in below:
            parents.setdefault(child, []).append(v)
        return below

    if target not in reached(root, down):
        return set()
    return set(reached(target, lambda v: parents.get(v, ())))


def backward_order(edges: Sequence[Edge[V]], root: V) -> list[V]:
    """The vertices, each after all that send to it."""
    out, waiting = by_key(edges, _sender), Counter(e.receiver for e in edges)
    order, todo = [], [root]
    while todo:
        order.append(todo.pop())
        for e in out.get(order[-1], ()):
            waiting[e.receiver] -= 1
            if not waiting[e.receiver]:
                todo.append(e.receiver)
    return order


def without_views(
    vertices: Mapping[V, Vertex], edges: Sequence[Edge[V]], root: V, target: V
) -> list[Edge[V]]:
    """The same graph without the views that only pass δ on, its norm unchanged."""
    out, into = by_key(edges, _sender), by_key(edges, _receiver)
    for v in backward_order(edges, root):
        here = vertices[v]
        if here.kind != "view" or v in (root, target) or len(out.get(v, ())) != 1:
            continue
        (below,) = out[v]
        if not abs(below.sent - here.received) <= _KEPT * here.received:
            continue
        child = below.receiver
        if len(into[v]) == 1:
            (above,) = into[v]
            if abs(above.sent - here.received) > _CHANGED * here.received:
                continue
            new = [Edge(above.sender, child, above.sent, below.share, above.parts)]
        elif len(into[child]) == 1:  # a fork right above a view is a fork above what it views
            new = [Edge(e.sender, child, e.sent, e.share, e.parts) for e in into[v]]
        else:
            continue
        for e, old in zip(new, into[v], strict=True):
            out[e.sender][out[e.sender].index(old)] = e
        place = into[child].index(below)
        into[child][place : place + 1] = new
        del into[v], out[v]
    return [e for es in out.values() for e in es]


def links(
    vertices: Mapping[V, Vertex], edges: Sequence[Edge[V]], root: V, target: V
) -> tuple[Factor | Block, ...]:
    """The ledger's links from the root to the target.

    A cut vertex is one that every path crosses: when it is reached in backward order, all edges
    still open lead to it.
    """
    edges = without_views(vertices, edges, root, target)
    order = backward_order(edges, root)
    out, into = by_key(edges, _sender), by_key(edges, _receiver)
    found: list[Factor | Block] = []
    start, inside, still_open = root, [root], len(out.get(root, ()))
    for v in order[1:]:
        still_open -= len(into[v])
        if still_open:
            inside.append(v)
        else:
            if len(into[v]) == 1 and into[v][0].sender == start:
                found += _chain(vertices, into[v][0])
            else:
                found.append(_block(vertices, start, v, inside, out, into))
            start, inside = v, [v]
        still_open += len(out.get(v, ()))
    return tuple(found)


def crossings(
    vertices: Mapping[V, Vertex], edges: Sequence[Edge[V]]
) -> tuple[tuple[int, float], ...]:
    """(t, ‖δ‖ that goes from later calls of the same weights back to call t and earlier ones).

    For an unrolled cell: the error of its state, by time step, latest first. Several branches
    that meet in one state are taken together where nothing else meets there, else as a root of
    squares. Empty with fewer than three calls.
    """
    calls: dict[str, int] = {}
    for v in vertices.values():
        calls[v.place] = max(calls.get(v.place, 0), v.call)
    repeated = {place for place, most in calls.items() if most > 1}
    inner = [e for e in edges if {vertices[e.sender].place, vertices[e.receiver].place} <= repeated]
    arriving = Counter(e.receiver for e in edges)
    found = []
    # Calls that are there, not all up to the last: its number may be anything in a foreign file.
    for t in sorted({v.call for v in vertices.values()}, reverse=True)[1:]:
        over = (e for e in inner if vertices[e.sender].call > t >= vertices[e.receiver].call)
        states = [
            vertices[v].received if len(es) == arriving[v] else math.hypot(*(e.sent for e in es))
            for v, es in by_key(over, _receiver).items()
        ]
        if states:
            found.append((t, math.hypot(*states)))
    return tuple(found) if len(found) > 1 else ()


def _factor(vertices: Mapping[V, Vertex], e: Edge[V]) -> Factor:
    v = vertices[e.sender]
    return Factor(
        v.name, v.op, v.kind, v.received, e.sent, e.parts, v.size, v.weight_elasticity, v.call,
        vertices[e.receiver].name,
    )  # fmt: skip


def _chain(vertices: Mapping[V, Vertex], e: Edge[V]) -> list[Factor]:
    arrived = vertices[e.receiver]
    factors = [_factor(vertices, e)]
    if abs(arrived.received - e.sent) > _CHANGED * max(arrived.received, e.sent):
        # The exact sum is the promise, so what a user's tensor hook did is a factor of its own.
        factors.append(
            Factor(arrived.name, "hook", "other", e.sent, arrived.received, call=arrived.call)
        )
    return factors


def _block(
    vertices: Mapping[V, Vertex],
    start: V,
    end: V,
    inside: Sequence[V],
    out: Mapping[V, Sequence[Edge[V]]],
    into: Mapping[V, Sequence[Edge[V]]],
) -> Block:
    first, last = vertices[start], vertices[end]
    ops = tuple(_factor(vertices, e) for v in inside for e in out.get(v, ()))
    forks = tuple(
        _fork(vertices, v, into[v])
        for v in (*inside, end)
        if v != start and len(into.get(v, ())) > 1
    )
    return Block(
        first.name, first.received, last.received, ops, forks, last.name, first.call,
        size=first.size, weight_elasticity=first.weight_elasticity,
    )  # fmt: skip


def _fork(vertices: Mapping[V, Vertex], v: V, into: Sequence[Edge[V]]) -> Fork:
    ranked = sorted(into, key=lambda e: vertices[e.sender].rank)
    branches = tuple(Branch(vertices[e.sender].name, e.sent, e.share) for e in ranked)
    whole = vertices[v].received
    sure = whole > CANCELLED * sum(b.size for b in branches)
    return Fork(vertices[v].name, whole, branches, sure)
