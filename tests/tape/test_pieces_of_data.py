"""Pieces of the data: which site they come from does not hang on where Python puts them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

import evenflow


class Unrolled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.Linear(12, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), 8)
        for t in range(x.shape[1]):
            piece = x[:, t] * 1.0  # gone at the next turn, when its id is another's
            h = torch.tanh(self.cell(torch.cat([piece, h], 1)))
        y: Tensor = self.head(h)
        return y


def test_each_piece_comes_from_the_data(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Unrolled()
    with evenflow.watch(net, run=tmp_path / "run", every=1) as watch:
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        for _ in range(3):
            optimizer.zero_grad()
            net(torch.randn(16, 60, 4)).square().mean().backward()
            optimizer.step()
    sites = evenflow.load(watch.path).sites
    data = {s.id for s in sites if s.op == "input"}
    joined = [s for s in sites if s.op == "cat"]
    assert data and len(joined) == 59  # none before the first layer
    assert all(data & set(s.inputs) for s in joined)


def test_a_forecast_is_the_same_each_time() -> None:
    found = []
    for _ in range(4):
        torch.manual_seed(0)
        read = evenflow.preflight(Unrolled(), (16, 30, 4), advise=False)
        found.append([(s.site, s.one_minus_c) for s in read.outlooks])
    assert all(repr(f) == repr(found[0]) for f in found)
