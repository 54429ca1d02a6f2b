"""Promise 1 under every wrapping of `wrappings`: watched is bare, to the bit and to the call."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

import evenflow
from evenflow.monitor import hooks
from evenflow.schema.healing import HEALED
from wrappings import WRAPPINGS, Calls, Wrapping

#: What the fast tests try, and what the slow ones add.
FEW: list[dict[str, Any]] = [
    {"every": "auto"},
    {"every": 1, "on_nonfinite": "skip", "heal": True},
]
REST: list[dict[str, Any]] = [
    {"every": 1},
    {"every": 1, "on_nonfinite": "report"},
    {"every": 1, "heal": True},
    {"every": "auto", "on_nonfinite": "report"},
    {"every": "auto", "heal": True},
    {"every": "auto", "on_nonfinite": "skip", "heal": True},
]
FAST = [
    pytest.param(name, marks=pytest.mark.slow) if w.slow else name for name, w in WRAPPINGS.items()
]


class Trace(NamedTuple):
    """All that a script could tell the difference by."""

    tensors: list[Tensor]
    calls: Calls
    rng: Tensor
    python: object
    numpy: object
    limit: int


def run(wrapping: Wrapping) -> Trace:
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)
    calls: Calls = []
    tensors = [t.detach().clone() for t in wrapping.train(calls)]
    state = np.random.get_state()
    return Trace(
        tensors,
        calls,
        torch.get_rng_state(),
        random.getstate(),
        (state[0], state[1].tolist(), *state[2:]),  # type: ignore[index, union-attr]
        sys.getrecursionlimit(),
    )


def test_there_are_sixty_two_and_more() -> None:
    assert len(WRAPPINGS) >= 62


@pytest.mark.parametrize("name", FAST)
def test_watched_is_bare(name: str, tmp_path: Path) -> None:
    compare(WRAPPINGS[name], run(WRAPPINGS[name]), FEW, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", WRAPPINGS)
def test_watched_is_bare_with_all_settings(name: str, tmp_path: Path) -> None:
    wrapping = WRAPPINGS[name]
    expected, again = run(wrapping), run(wrapping)
    assert all(map(torch.equal, expected.tensors, again.tensors)), "not comparable"
    assert expected.calls == again.calls
    compare(wrapping, expected, REST, tmp_path)


def compare(
    wrapping: Wrapping, expected: Trace, settings: list[dict[str, Any]], folder: Path
) -> None:
    assert any(bool(t.count_nonzero()) for t in expected.tensors)
    for i, given in enumerate(settings):
        with evenflow.watch(run=folder / f"{i}.evenflow", **given) as watch:
            got = run(wrapping)
            assert watch.active, given
        assert all(map(torch.equal, expected.tensors, got.tensors)), given
        assert got.calls == expected.calls, given
        assert torch.equal(got.rng, expected.rng), given
        assert got[3:] == expected[3:], given
        assert torch._C._len_torch_function_stack() == torch._C._len_torch_dispatch_stack() == 0
        assert hooks._listener is None and sys.getrecursionlimit() == expected.limit
        read = evenflow.load(watch.path)
        assert not [e for e in read.events if e.kind in ("stopped", HEALED)], given
        assert not [e for e in read.events if "left out" in str(e.detail)], given
        if wrapping.sees:
            assert any(c.metric == "delta" for c in read.columns), given
