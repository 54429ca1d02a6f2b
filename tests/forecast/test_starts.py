"""Preflight on the zoo's starts: names the fault at its place, says nothing of the twin."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import torch

import evenflow
from evenflow.schema import Severity
from zoo import STARTS, Start

#: What a forecast may say beside what is expected is named by each start.
EACH = pytest.mark.parametrize("start", STARTS.values(), ids=lambda s: s.name)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@EACH
@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_said_is_what_the_start_expects(start: Start, seed: int) -> None:
    forecast = evenflow.preflight(start.build(seed), start.batch(), seed=seed, advise=False)
    said = {f.code: f for f in forecast.findings if f.severity is not Severity.info}
    if start.healthy:
        assert forecast.verdict == "healthy", said
        assert forecast.trainable_depth == forecast.depth
        assert forecast.chance > 0.5
        return
    assert forecast.verdict != "healthy"
    assert start.expect <= set(said), set(said)
    assert set(said) <= start.expect | start.allow, set(said)
    for code, pattern in start.sites.items():
        place = forecast.run.sites[said[code].sites[0]].name.split(".", 1)[-1]
        assert re.search(pattern, place), (code, place)
    assert all(f.message for f in said.values())
