"""Pure helpers on the graph of sites, each one pass over it: a walk from every site would cost
depth squared. Links: for each site the ids of those it reads (or of those that read it)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Links = Sequence[Sequence[int]]

#: Ids are in forward order, so that one pass does; more only for sites that were born late.
PASSES = 6


def reach(links: Links, ids: Iterable[int]) -> frozenset[int]:
    """What can be reached from any of these, themselves included."""
    seen: set[int] = set()
    todo = list(ids)
    while todo:
        i = todo.pop()
        if i not in seen:
            seen.add(i)
            todo.extend(links[i])
    return frozenset(seen)


def depths(parents: Links, own: Sequence[int]) -> tuple[int, ...]:
    """For each site the largest sum of `own` on any path to it, itself included."""
    depth = list(own)
    for _ in range(PASSES):
        before = list(depth)
        for i, above in enumerate(parents):
            depth[i] = max(depth[i], own[i] + max((depth[p] for p in above), default=0))
        if depth == before or max(depth, default=0) > len(own):
            break
    return tuple(depth)


def chained(parents: Links, groups: Sequence[Sequence[int]]) -> list[bool]:
    """For each group whether its last site depends on all the others.

    All groups in one pass: each site holds a bit for every group whose last one it feeds.
    """
    feeds = [0] * len(parents)
    for k, ids in enumerate(groups):
        feeds[ids[-1]] |= 1 << k
    for _ in range(PASSES if groups else 0):
        before = list(feeds)
        for i in reversed(range(len(feeds))):
            for p in parents[i]:
                feeds[p] |= feeds[i]
        if feeds == before:
            break
    return [all(feeds[i] >> k & 1 for i in ids) for k, ids in enumerate(groups)]
