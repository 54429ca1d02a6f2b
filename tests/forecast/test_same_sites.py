"""A forecast reads the graph that a training's watch reads: the same sites, fed by the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import evenflow


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.a(x))
        return h + torch.tanh(self.b(h))


KINDS = {
    "perceptron": lambda: nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)),
    "norm": lambda: nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)),
    "residual": Residual,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_forecast_has_the_sites_of_a_training(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, x = KINDS[kind](), torch.randn(32, 4)
    foreseen = evenflow.preflight(net, x, advise=False).run
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with evenflow.watch(net, optimizer, run=tmp_path / "run", every=1) as watch:
        net(x).square().mean().backward()
        optimizer.step()
    watched = evenflow.load(watch.path).sites[: len(foreseen.sites)]
    assert [(s.op, s.inputs) for s in foreseen.sites] == [(s.op, s.inputs) for s in watched]
    assert any(0 in s.inputs for s in foreseen.sites), "the data feed a layer"
