"""Depths, cycles and dependence, held against slow and obvious walks of graphs in any id order."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from evenflow.network import branches, chained, components, depths, knots

Links = list[tuple[int, ...]]


@st.composite
def graphs(draw: st.DrawFn, cyclic: bool) -> Links:
    """Up to 8 sites, whose ids say nothing of who reads whom."""
    n = draw(st.integers(1, 8))
    place = draw(st.permutations(range(n)))  # of each id in some order that links follow
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    if not cyclic:
        pairs = [(i, j) for i, j in pairs if place[j] < place[i]]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    return [tuple(j for i, j in chosen if i == k) for k in range(n)]


def behind(links: Links, i: int) -> set[int]:
    """All that a site depends on, itself included: the set is grown until it grows no more."""
    found = {i}
    while True:
        more = found | {j for k in found for j in links[k]}
        if more == found:
            return found
        found = more


@given(graphs(cyclic=False), st.data())
@settings(max_examples=200, deadline=None)
def test_depth_is_the_longest_of_all_paths(links: Links, data: st.DataObject) -> None:
    own = data.draw(st.lists(st.integers(0, 2), min_size=len(links), max_size=len(links)))

    def longest(i: int) -> int:  # every path walked on its own
        return own[i] + max([longest(j) for j in links[i]], default=0)

    assert depths(links, own) == tuple(longest(i) for i in range(len(links)))


@given(graphs(cyclic=True))
@settings(max_examples=200, deadline=None)
def test_knots_are_the_sites_that_reach_one_another(links: Links) -> None:
    ids = range(len(links))
    reached = [behind(links, i) for i in ids]
    found = knots(links)
    assert sorted(itertools.chain(*found)) == list(ids)
    for group in found:
        for i in group:
            assert set(group) == {j for j in ids if j in reached[i] and i in reached[j]}
    position = {i: k for k, group in enumerate(found) for i in group}
    assert all(position[j] <= position[i] for i in ids for j in links[i])


@given(graphs(cyclic=True))
@settings(max_examples=200, deadline=None)
def test_a_cycle_neither_hangs_nor_outgrows_the_graph(links: Links) -> None:
    found = depths(links, [1] * len(links))
    assert all(1 <= d <= len(links) for d in found)
    position = {i: k for k, group in enumerate(knots(links)) for i in group}
    for i, inputs in enumerate(links):
        for j in inputs:
            if position[i] != position[j] or j < i:
                assert found[i] > found[j]


@given(graphs(cyclic=True), st.data())
@settings(max_examples=200, deadline=None)
def test_chained_is_dependence_on_all(links: Links, data: st.DataObject) -> None:
    one = st.lists(st.sampled_from(range(len(links))), min_size=1, max_size=3, unique=True)
    groups = data.draw(st.lists(one, max_size=4))
    assert chained(links, groups) == [set(g) <= behind(links, g[-1]) for g in groups]


@given(graphs(cyclic=True))
@settings(max_examples=200, deadline=None)
def test_components_hang_together_whichever_way_links_point(links: Links) -> None:
    ids = range(len(links))
    both = [tuple({*links[i], *(j for j in ids if i in links[j])}) for i in ids]
    assert components(links) == [min(behind(both, i)) for i in ids]


def test_ids_from_the_loss_to_the_data_and_no_stack_to_overflow() -> None:
    n = 20_000
    links: Links = [*((i + 1,) for i in range(n - 1)), ()]
    assert depths(links, [1] * n) == tuple(range(n, 0, -1))
    assert chained(links, [(n - 1, n // 2, 0), (0, n - 1)]) == [True, False]


def paths(links: Links, i: int) -> list[tuple[int, ...]]:
    """Every way from a site back to its data, the site first."""
    found = [(i, *way) for p in links[i] for way in paths(links, p)]
    return found or [(i,)]


@given(graphs(cyclic=False), st.data())
@settings(max_examples=300, deadline=None)
def test_branches_are_found_on_the_ways_back(links: Links, data: st.DataObject) -> None:
    n = len(links)
    layer = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
    once = [own and data.draw(st.booleans()) for own in layer]
    depth = [max(sum(layer[j] for j in way) for way in paths(links, i)) for i in range(n)]
    expected = []
    for i in range(n):
        for near, far in (links[i], links[i][::-1]) if len(links[i]) == 2 else ():
            behind = behind_all(links, far)
            shared = [depth[j] for j in behind & behind_all(links, near)]
            through = once[near] and max(shared, default=-1) == depth[near] - 1
            if depth[far] > depth[near] and (near in behind or through):
                expected.append((i, far))
    assert sorted(branches(links, layer, once, range(n))) == sorted(expected)


def behind_all(links: Links, i: int) -> set[int]:
    """All on any way back from a site."""
    return {j for way in paths(links, i) for j in way}
