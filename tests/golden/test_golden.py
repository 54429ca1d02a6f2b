"""What Evenflow says is what is stored; rewritten by `python tests/golden/outputs.py`."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import evenflow
from golden.freezing import differences, freeze, near
from golden.kinds import KINDS, QUICK
from golden.outputs import read
from golden.unfrozen import UNFROZEN, excused
from networks import KINDS as TRAININGS

_CASES = [
    pytest.param(kind, name, id=f"{kind}-{name}", marks=[pytest.mark.slow] * slow)
    for kind, cases in KINDS.items()
    for name in cases
    for slow in (kind == "cure" or (kind == "check" and name not in QUICK),)
]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)


def test_every_case_is_stored_and_no_other() -> None:
    for kind, cases in KINDS.items():
        assert set(read(kind)) == set(cases), f"run tests/golden/outputs.py --kinds {kind}"


@pytest.mark.parametrize(("kind", "name"), _CASES)
def test_it_says_what_it_said(kind: str, name: str) -> None:
    found = differences(read(kind)[name], KINDS[kind][name]())
    assert [said for said in found if not excused(f"{kind}/{name}", said)] == []


@pytest.mark.parametrize(
    "name", ["functional_inplace", "convolution", "two_losses", "lstm_dropout", "accumulation"]
)
def test_watched_weights_are_the_unwatched_to_the_bit(name: str, tmp_path: Path) -> None:
    torch.manual_seed(7)
    bare = [t.detach().clone() for t in TRAININGS[name](40)]
    torch.manual_seed(7)
    with evenflow.watch(run=tmp_path / "run.evenflow", every=1) as watch:
        watched = TRAININGS[name](40)
    assert len(evenflow.load(watch.path).steps) == 40
    assert all(torch.equal(a, b) for a, b in zip(bare, watched, strict=True))


FINDING = {
    "code": "EF101",
    "sites": [3, 5],
    "evidence": {"slope": 0.1234, "none": None, "inf": "Infinity"},
    "message": "The error falls by 3.2 decades over 17 layers, at 0 linear.",
    "seconds": 1.5,
}


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("code",), "EF102", True),
        (("sites",), [5, 3], True),
        (("sites",), [3], True),
        (("evidence", "slope"), 0.1331, False),  # the last digit, give or take one
        (("evidence", "slope"), 0.136, True),
        (("evidence", "slope"), -0.1234, True),
        (("evidence", "slope"), None, True),
        (("evidence", "none"), 0.0, True),
        (("evidence", "more"), 1.0, True),
        (("message",), "The error falls by 1.2 decades over 9 layers, at 2 linear.", False),
        (("message",), "The error rises by 3.2 decades over 17 layers, at 0 linear.", True),
        (("seconds",), 3.0, False),
    ],
    ids=str,
)
def test_what_is_told_apart(path: tuple[str, ...], value: Any, told: bool) -> None:
    now = copy.deepcopy(FINDING)
    place: Any = now
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert bool([*differences(freeze(FINDING), now)]) is told


def test_numbers_are_near_within_a_unit_of_their_second_digit() -> None:
    for size in (1e-9, 1.0, 1e7):
        assert near(0.99 * size, 1.004 * size) and not near(0.99 * size, 1.01 * size)
    assert near(0, 1e-15) and not near(0, 1e-3) and not near(1.0, float("nan"))


def test_every_excuse_has_a_case_and_a_reason() -> None:
    import re

    names = [f"{kind}/{name}" for kind, cases in KINDS.items() for name in cases]
    for case, _path, why in UNFROZEN:
        assert why and any(re.fullmatch(case, name) for name in names), case
