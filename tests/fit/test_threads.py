"""Small networks train on one thread, and torch's setting is the user's again afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from evenflow.fit import NetworkRegressor
from evenflow.fit.threads import few

X = np.random.default_rng(0).normal(size=(64, 4))


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("width", "threads"), [(32, 1), (600, 2)])
def test_threads_while_a_network_trains(width: int, threads: int) -> None:
    seen: set[int] = set()

    def loss(z: Tensor, t: Tensor) -> Tensor:
        seen.add(torch.get_num_threads())
        return (z - t).square().mean()

    given: dict[str, Any] = {"hidden": (width, width), "epochs": 1, "random_state": 0}
    NetworkRegressor(loss=loss, **given).fit(X, X[:, 0])
    assert seen == {threads}
    assert torch.get_num_threads() == 2


def test_the_setting_comes_back_after_an_error() -> None:
    with pytest.raises(RuntimeError, match="by design"), few((4, 8, 1), 16):
        assert torch.get_num_threads() == 1
        raise RuntimeError("by design")
    assert torch.get_num_threads() == 2
