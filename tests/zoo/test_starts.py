"""Networks that are sick before their first step: the list keeps the zoo's rules, and is true."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import torch

from evenflow.faults import REGISTRY as RULES
from zoo import FAMILY, STARTS, Start

SICK = [s for s in STARTS.values() if not s.healthy]
FORESEEN = {code for code in RULES if code.startswith("EF6")}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)


def test_every_foreseen_code_is_shown_in_both_halves() -> None:
    assert {c for s in SICK for c in s.expect} == FORESEEN
    for code in FORESEEN:
        assert {s.half for s in SICK if code in s.expect} == {"calibration", "report"}


@pytest.mark.parametrize("start", SICK, ids=lambda s: s.name)
def test_a_sick_start_has_a_healthy_twin(start: Start) -> None:
    twin = STARTS[start.twin]
    assert twin.healthy and twin.family == start.family
    assert twin.build.func is start.build.func  # type: ignore[attr-defined]
    assert set(start.sites) == start.expect
    assert start.allow <= set(RULES) - start.expect
    assert all(not re.search(p, "nowhere at all") for p in start.sites.values())


def test_names_are_unique_and_begin_with_their_family() -> None:
    for name, start in STARTS.items():
        assert name == start.name and start.family in FAMILY and start.about
        assert name.startswith(f"{start.family}-")


def test_a_seed_decides_the_weights() -> None:
    build = STARTS["cnn-born-faint"].build
    pairs = zip(build(3).parameters(), build(3).parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(next(build(3).parameters()), next(build(4).parameters()))


@pytest.mark.parametrize("name", ["perceptron-born-dead", "perceptron-born-alike"])
def test_a_sick_start_learns_less_than_its_twin(name: str) -> None:
    start = STARTS[name]
    assert start.score(0) < start.bound
    assert STARTS[start.twin].score(0) >= STARTS[start.twin].bound


@pytest.mark.slow
@pytest.mark.parametrize("start", STARTS.values(), ids=lambda s: s.name)
def test_every_start_keeps_its_bound(start: Start) -> None:
    assert (start.score(1) >= start.bound) is start.healthy
