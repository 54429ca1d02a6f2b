"""What Evenflow says is what it said: against the files that `outputs.py` wrote.

A change is meant or it is a fault: say why in CHANGELOG.md, then write the goldens anew.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from outputs import COMMANDS, commands, different, read, surface, zoo

import evenflow
from evenflow.zoo import REGISTRY

AGAIN = "meant? then: python tests/golden/outputs.py"
#: One case of each family, sick and healthy by turns: for `make test`; the others are slow.
QUICK = frozenset(
    next(c.name for c in REGISTRY.values() if c.family == family and c.healthy == (turn % 2 == 1))
    for turn, family in enumerate(dict.fromkeys(c.family for c in REGISTRY.values()))
)
#: Commands that train again and again.
LONG = frozenset({"cure", "cure of a sound script"})


def _slow(name: str, quick: bool) -> object:
    return pytest.param(name, marks=() if quick else pytest.mark.slow, id=name)


def test_every_case_has_a_golden() -> None:
    assert sorted(read("zoo")) == sorted(REGISTRY), AGAIN


@pytest.mark.parametrize("name", [_slow(n, n in QUICK) for n in REGISTRY])
def test_the_findings_of_the_zoo(name: str) -> None:
    assert different(read("zoo")[name], zoo(name)) == [], AGAIN


@pytest.mark.parametrize(
    "names",
    [
        pytest.param([n for n in COMMANDS if n not in LONG], id="all but cure"),
        pytest.param(sorted(LONG), id="cure", marks=pytest.mark.slow),
    ],
)
def test_what_commands_print(names: list[str], tmp_path: Path) -> None:
    stored = {name: read("commands")[name] for name in names}
    assert different(stored, commands(tmp_path, names)) == [], AGAIN


def test_help_and_public_names() -> None:
    found = {f"{k} {n}": v for k, part in surface().items() for n, v in part.items()}
    assert different(read("surface"), found) == [], AGAIN


@pytest.mark.parametrize("name", [_slow(n, n in QUICK) for n in REGISTRY])
def test_a_watched_case_scores_as_alone(name: str, tmp_path: Path) -> None:
    """Scores of a training go by each weight: the same to the last bit, and so is what is left of
    the random numbers."""
    torch.set_num_threads(1)
    alone = REGISTRY[name].train(0), torch.get_rng_state()
    with evenflow.watch(run=tmp_path / "run.evenflow", every=1):
        watched = REGISTRY[name].train(0), torch.get_rng_state()
    assert repr(alone[0]) == repr(watched[0])  # nan is nan
    assert torch.equal(alone[1], watched[1])


def test_a_golden_that_differs_is_told() -> None:
    old = {"a": [1.0, {"b": "x"}], "c": 2.5}
    assert different(old, {"a": [1.02, {"b": "x"}], "c": 2.5}) == []
    assert different(old, {"a": [1.2, {"b": "y"}], "d": 0}) == [
        ".c: gone",
        ".d: new",
        ".a[0]: 1.0 -> 1.2",
        ".a[1].b: 'x' -> 'y'",
    ]
