"""The largest score of an attention: of torch's own and of one by hand, against a plain loop."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.tape import numbers


def oracle(q: Tensor, k: Tensor, seen: Tensor) -> float:
    """Query by query, key by key, of those that a query may see."""
    return max(
        abs(float(q[b, i] @ k[b, j])) / math.sqrt(q.shape[-1])
        for b in range(len(q))
        for i in range(q.shape[1])
        for j in range(k.shape[1])
        if seen[i, j]
    )


class Attends(nn.Module):
    def __init__(self, by_hand: str) -> None:
        super().__init__()
        self.qk, self.by_hand = nn.Linear(6, 12), by_hand

    def forward(self, x: Tensor) -> Tensor:
        q, k = self.qk(x).chunk(2, -1)
        seen = torch.ones(5, 5, dtype=torch.bool).tril()
        if not self.by_hand:
            return F.scaled_dot_product_attention(q, k, x, is_causal=True)
        scores = q @ k.transpose(-2, -1) / math.sqrt(6)
        hides = {"-inf": -math.inf, "-1e9": -1e9, "bert": -1e4}[self.by_hand]
        scores = scores + torch.zeros(5, 5).masked_fill(~seen, hides)
        return F.softmax(scores, -1) @ x if self.by_hand == "bert" else scores.softmax(-1) @ x


@pytest.mark.parametrize("by_hand", ["", "-inf", "-1e9", "bert"])
def test_the_largest_score_that_is_not_hidden(by_hand: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, x = Attends(by_hand), 3 * torch.randn(4, 5, 6)
    with torch.no_grad():
        q, k = net.qk(x).chunk(2, -1)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with evenflow.watch(net, optimizer, run=tmp_path / "run.evenflow", every=1) as watch:
        net(x).square().mean().backward()
        optimizer.step()
    columns = evenflow.load(watch.path).columns
    (read,) = [float(v[0]) for c, v in columns.items() if c.metric == "logit_max"]
    assert read == pytest.approx(oracle(q, k, torch.ones(5, 5).tril()), rel=1e-5)


def test_where_every_key_is_hidden() -> None:
    assert numbers.score(torch.full((2, 3), -math.inf)) == 0.0


@pytest.mark.parametrize("weights", [True, False])
def test_torchs_own_layer_with_its_weights_and_without(weights: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    layer, x = nn.MultiheadAttention(6, 1, batch_first=True, bias=False), 3 * torch.randn(4, 5, 6)
    with torch.no_grad():
        q, k, _ = (x @ layer.in_proj_weight.t()).chunk(3, -1)
    net = nn.ModuleList([layer])
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with evenflow.watch(layer, optimizer, run=tmp_path / "run.evenflow", every=1) as watch:
        layer(x, x, x, need_weights=weights)[0].square().mean().backward()
        optimizer.step()
    columns = evenflow.load(watch.path).columns
    (read,) = [float(v[0]) for c, v in columns.items() if c.metric == "logit_max"]
    assert read == pytest.approx(oracle(q, k, torch.ones(5, 5)), rel=1e-5)
