"""Promise 1: watching changes nothing. Weights and the random state, to the bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import evenflow
from networks import KINDS

STEPS = 200


def bare(name: str) -> tuple[list[torch.Tensor], torch.Tensor]:
    torch.manual_seed(7)
    out = [t.detach().clone() for t in KINDS[name](STEPS)]
    return out, torch.get_rng_state()


@pytest.mark.parametrize("name", KINDS)
def test_weights_and_random_state_are_equal_to_the_bit(name: str, tmp_path: Path) -> None:
    expected, state = bare(name)
    assert any(bool((t != 0).any()) for t in expected)
    for every in ("auto", 1):
        torch.manual_seed(7)
        with evenflow.watch(run=tmp_path / f"{every}.evenflow", every=every) as watch:
            got = [t.detach().clone() for t in KINDS[name](STEPS)]
            assert watch.active
        assert torch.equal(torch.get_rng_state(), state)
        assert len(got) == len(expected)
        for a, b in zip(expected, got, strict=True):
            assert torch.equal(a, b)
        run = evenflow.load(watch.path)
        assert len(run.steps) >= 10, "the watch saw nothing: equality would be idle"
        deltas = [c for c in run.columns if c.metric == "delta"]
        assert deltas
        assert torch._C._len_torch_function_stack() == 0
