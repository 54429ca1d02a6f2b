"""The last-step probe against a recurrence unrolled by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from evenflow.tape.probe import through_time


def unrolled(layer: nn.RNN, x: torch.Tensor) -> float:
    """d(last)/d(x_t) for a tanh RNN, by the chain rule with explicit Jacobians."""
    w_in, w_hh = layer.weight_ih_l0.detach().double(), layer.weight_hh_l0.detach().double()
    bias = (layer.bias_ih_l0 + layer.bias_hh_l0).detach().double()
    h, states = torch.zeros(x.shape[0], layer.hidden_size, dtype=torch.float64), []
    for t in range(x.shape[1]):
        h = torch.tanh(x[:, t].double() @ w_in.T + h @ w_hh.T + bias)
        states.append(h)
    n = states[-1].numel()
    g = (1.0 - 2.0 * (torch.arange(n) % 2)).view_as(states[-1]).double()
    norms = []
    for state in reversed(states):
        g = g * (1 - state**2)
        norms.append(float((g @ w_in).norm()))
        g = g @ w_hh
    return math.log10(norms[-1] / norms[0])


@pytest.mark.parametrize("gain", [0.3, 1.0, 2.5])
def test_flow_through_time_is_the_product_of_jacobians(gain: float) -> None:
    torch.manual_seed(0)
    layer = nn.RNN(3, 8, batch_first=True)
    with torch.no_grad():
        nn.init.orthogonal_(layer.weight_hh_l0, gain)
    x = torch.randn(2, 12, 3) * 0.1
    assert through_time(layer, x) == pytest.approx(unrolled(layer, x), abs=1e-3)


def test_the_probe_draws_nothing_and_leaves_the_layer_alone() -> None:
    torch.manual_seed(0)
    for layer in (nn.LSTM(3, 4, 2, dropout=0.5), nn.GRU(3, 4, bidirectional=True)):
        x = torch.randn(6, 2, 3)
        state = torch.get_rng_state()
        flow = through_time(layer, x)
        assert flow is not None and math.isfinite(flow)
        assert torch.equal(torch.get_rng_state(), state)
        assert all(p.grad is None for p in layer.parameters()) and layer.training
        assert layer.dropout in (0.5, 0.0)
    assert through_time(layer, x[:1]) is None
