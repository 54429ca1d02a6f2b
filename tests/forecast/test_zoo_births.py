"""No healthy training of the zoo's calibration half is called anything else before its first step:
perceptrons, unrolled recurrence, encoders, autoencoders, tabular nets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

import evenflow
from evenflow.forecast import Forecast
from zoo import Case, select


class Enough(Exception):
    pass


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)


def birth(case: Case, monkeypatch: pytest.MonkeyPatch) -> Forecast:
    """The forecast of the network a case trains, on its first batch."""
    found: list[Forecast] = []
    plain: Any = nn.Module.__call__

    def call(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if self.training and torch.is_grad_enabled():
            monkeypatch.setattr(nn.Module, "__call__", plain)
            found.append(evenflow.preflight(self, tuple(args), advise=False))
            raise Enough
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(nn.Module, "__call__", call)
    with pytest.raises(Enough):
        case.train(100)
    return found[0]


@pytest.mark.slow
@pytest.mark.parametrize("case", select("calibration", healthy=True), ids=lambda c: c.name)
def test_a_healthy_training_is_born_healthy(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    forecast = birth(case, monkeypatch)
    assert forecast.verdict == "healthy", [(f.code, f.message) for f in forecast.findings]
