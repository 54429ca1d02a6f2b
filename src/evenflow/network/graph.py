"""Pure helpers on the graph of sites, each linear: a walk from every site would cost depth
squared. Links: for each site the ids of those it reads (or of those that read it), in any order:
what only the backward met has ids from the loss to the data. They may hold cycles, as a site is
one over all steps, and what it reads may be another in each."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

from ..schema import Site

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)
Links = Sequence[Sequence[int]]
#: A layer called so often in a chain is a recurrence unrolled by hand.
CELL = 5


def by_key(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """Items that have a key in common, in order of first sight."""
    out: dict[Key, list[Item]] = {}
    for item in items:
        out.setdefault(key(item), []).append(item)
    return out


def links(sites: Sequence[Site]) -> tuple[tuple[int, ...], ...]:
    """For each site the ids of those it reads that exist, itself left out."""
    n = len(sites)
    return tuple(tuple(i for i in s.inputs if 0 <= i < n and i != s.id) for s in sites)


def turned(links: Links) -> tuple[tuple[int, ...], ...]:
    """The links the other way round."""
    out: list[list[int]] = [[] for _ in links]
    for i, linked in enumerate(links):
        for j in linked:
            out[j].append(i)
    return tuple(map(tuple, out))


def reach(
    links: Links, ids: Iterable[int], through: Callable[[int], bool] = lambda _: True
) -> frozenset[int]:
    """What can be reached from any of these, themselves included, by way of sites that a walk may
    go `through`."""
    seen: set[int] = set()
    todo = list(ids)
    while todo:
        i = todo.pop()
        if i not in seen:
            seen.add(i)
            if through(i):
                todo.extend(links[i])
    return frozenset(seen)


def knots(links: Links) -> list[list[int]]:
    """All sites, those that reach one another together; each group after all it links to.

    Without cycles every group is one site. Tarjan, SIAM J. Comput. 1 (1972) 146-160, without
    recursion, as networks are deeper than Python's stack.
    """
    met = [-1] * len(links)  # when a site was met
    low = [0] * len(links)  # the earliest site of its group that it reaches
    grouped = [False] * len(links)
    held: list[int] = []
    out: list[list[int]] = []
    count = 0
    for root in range(len(links)):
        todo = [(root, 0)] if met[root] < 0 else []
        while todo:
            i, done = todo.pop()
            if not done:
                met[i] = low[i] = count
                count += 1
                held.append(i)
            else:
                low[i] = min(low[i], low[links[i][done - 1]])  # of the link walked last
            while done < len(links[i]):
                j = links[i][done]
                done += 1
                if met[j] < 0:
                    todo += [(i, done), (j, 0)]
                    break
                if not grouped[j]:
                    low[i] = min(low[i], met[j])
            else:
                if low[i] == met[i]:
                    out.append(_taken(held, i))
                    for j in out[-1]:
                        grouped[j] = True
                        low[j] = len(links)  # nothing outside is of this group
    return out


def _taken(held: list[int], first: int) -> list[int]:
    """Take the sites from `first` on off the stack."""
    group = [held.pop()]
    while group[-1] != first:
        group.append(held.pop())
    return group


def depths(parents: Links, own: Sequence[int]) -> tuple[int, ...]:
    """For each site the largest sum of `own` on any path to it, itself included.

    In a cycle only links that rise by id count: those against it close the circle.
    """
    depth = [0] * len(own)
    for knot in knots(parents):
        within = set(knot)
        for i in sorted(knot):
            above = (depth[p] for p in parents[i] if p not in within or p < i)
            depth[i] = own[i] + max(above, default=0)
    return tuple(depth)


def chained(parents: Links, groups: Sequence[Sequence[int]]) -> list[bool]:
    """For each group whether its last site depends on all the others.

    All groups in one pass: each site holds a bit for every group whose last one it feeds.
    """
    if not groups:
        return []
    feeds = [0] * len(parents)
    for k, ids in enumerate(groups):
        feeds[ids[-1]] |= 1 << k
    for knot in reversed(knots(parents)):
        bits = 0
        for i in knot:  # who reach one another feed the same
            bits |= feeds[i]
        for i in knot:
            feeds[i] = bits
            for p in parents[i]:
                feeds[p] |= bits
    return [all(feeds[i] >> k & 1 for i in ids) for k, ids in enumerate(groups)]


def unrolled(parents: Links, calls: Iterable[Sequence[int]]) -> list[Sequence[int]]:
    """Of the calls of each layer, in order, those that are a cell over time."""
    often = [ids for ids in calls if len(ids) >= CELL]
    return [ids for ids, so in zip(often, chained(parents, often), strict=True) if so]


def branches(
    parents: Links, layer: Sequence[bool], once: Sequence[bool], additions: Iterable[int]
) -> Iterator[tuple[int, int]]:
    """Each addition x + f(x), f with layers, or Wx + f(x), f with more: it, and where f ends.

    Args:
        layer: for each site whether it is a layer.
        once: whether it is one that is called once: time steps share what they began from, and
            their sums are no shortcuts.
    """
    depth = depths(parents, [int(is_layer) for is_layer in layer])
    for i in additions:
        if len(parents[i]) != 2:
            continue
        near, far = sorted(parents[i], key=depth.__getitem__)
        if depth[near] == depth[far]:
            continue
        fork = depth[near] - once[near]
        behind = _behind(parents, depth, far, fork)
        if near in behind or (once[near] and behind & _behind(parents, depth, near, fork)):
            yield i, far


def _behind(parents: Links, depth: Sequence[int], id: int, least: int) -> set[int]:
    """A site and those of so many layers or more that it depends on."""
    way = reach(parents, [id], lambda i: depth[i] >= least)
    return {i for i in way if depth[i] >= least}


def components(links: Links) -> list[int]:
    """For each site the least id of those it hangs together with, whichever way links point."""
    root = list(range(len(links)))

    def top(i: int) -> int:
        while root[i] != i:
            root[i] = root[root[i]]  # halves the way for the next walk
            i = root[i]
        return i

    for i, linked in enumerate(links):
        for j in linked:
            a, b = top(i), top(j)
            root[max(a, b)] = min(a, b)
    return [top(i) for i in range(len(links))]
