"""Norms of parameters and of what the optimizer did to them, against plain torch."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import evenflow
from evenflow.schema import Run
from evenflow.tape import numbers


def rows_trained(path: Path, table: nn.Embedding, rows: list[int], lr: float) -> Run:
    """One step on a loss that reads these rows only."""
    optimizer = torch.optim.SGD(table.parameters(), lr)
    with evenflow.watch(table, optimizer, run=path / "r.evenflow", every=1) as watch:
        optimizer.zero_grad()
        table(torch.tensor(rows)).square().sum().backward()
        optimizer.step()
    return evenflow.load(watch.path)


def test_norms_of_a_large_weight_are_inferred_from_a_part(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Linear(700, 600)
    before = net.weight.detach().clone()
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    with evenflow.watch(net, optimizer, run=tmp_path / "r.evenflow", every=1) as watch:
        net(torch.randn(32, 700)).square().mean().backward()
        optimizer.step()
    run = evenflow.load(watch.path)
    assert run.param(0, "weight") == pytest.approx([float(before.norm())], rel=0.02)
    moved = float((net.weight.detach() - before).norm())
    assert run.param(0, "update") == pytest.approx([moved], rel=0.02)
    assert net.weight.grad is not None
    exact = pytest.approx([float(net.weight.grad.norm())], rel=1e-5)
    assert run.param(0, "grad") == exact  # gradients are read whole


def test_a_part_that_stood_still_does_not_speak_for_rows_that_moved(tmp_path: Path) -> None:
    table = nn.Embedding(60_000, 2)  # 120,000 numbers, of which one in nine is looked at
    seen = [rows_trained(tmp_path / str(r), table, [r], 0.1).param(0, "update") for r in range(60)]
    assert all(u is None or float(u[0]) > 0 for u in seen)
    assert any(u is None for u in seen), seen
    assert any(u is not None for u in seen), seen


def test_a_rate_of_zero_is_an_update_of_zero(tmp_path: Path) -> None:
    table = nn.Embedding(60_000, 2)
    run = rows_trained(tmp_path, table, list(range(0, 60_000, 7)), 0.0)
    assert run.param(0, "update") == pytest.approx([0.0])


def whole(w: torch.Tensor) -> float:
    return math.sqrt(sum(float(row.double().square().sum()) for row in w))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("large", [0.0, 100.0])
@pytest.mark.parametrize("place", [0, 5_000, 119_999])
def test_a_large_element_is_in_the_norm_wherever_it_lies(
    tmp_path: Path, dtype: torch.dtype, large: float, place: int
) -> None:
    """119,999 elements near 0 and one that is not, of which one in ten is read: in full readings
    (the first, the ninth) all are, and what the others miss is known from these."""
    torch.manual_seed(0)
    net = nn.Linear(300, 400, bias=False, dtype=dtype)
    with torch.no_grad():
        net.weight.mul_(1e-3).view(-1)[place] = large
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    truth = []
    with evenflow.watch(net, optimizer, run=tmp_path / "r.evenflow", every=1) as watch:
        for step in range(11):
            if step == 4:
                with torch.no_grad():
                    net.weight.mul_(0.5)  # weights shrink: no norm is known from before
            truth.append(whole(net.weight.detach()))
            net(torch.randn(8, 300, dtype=dtype)).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
    seen = evenflow.load(watch.path).param(0, "weight")
    assert seen is not None and len(seen) == 11
    exact = [0, 8]
    assert seen[exact] == pytest.approx(np.array(truth)[exact], rel=1e-5)
    assert seen[1:4] == pytest.approx(truth[1:4], rel=0.03)
    assert seen[9:] == pytest.approx(truth[9:], rel=0.03)


def test_weights_in_no_optimizer_are_read_whole(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(300, 400, bias=False), nn.Linear(400, 2))
    with torch.no_grad():
        net[0].weight.zero_().view(-1)[100] = 100.0
    optimizer = torch.optim.SGD(net[1].parameters(), 0.1)
    with evenflow.watch(net, optimizer, run=tmp_path / "r.evenflow", every=1) as watch:
        net(torch.randn(8, 300)).square().mean().backward()
        optimizer.step()
    run = evenflow.load(watch.path)
    held = next(p.id for p in run.params if p.name.endswith("0.weight"))
    assert run.param(held, "weight") == pytest.approx([100.0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("size", [1e-30, 1e-6, 1.0, 1e4, 1e18])
@pytest.mark.parametrize("n", [100, 2 * numbers.LIMIT])
def test_norms_of_every_size(dtype: torch.dtype, size: float, n: int) -> None:
    if dtype == torch.float16 and size not in (1.0, 1e4):
        pytest.skip("beyond its range")
    torch.manual_seed(0)
    x = (torch.rand(n, dtype=torch.float64) * size).to(dtype)
    truth = math.sqrt(math.fsum(v * v for v in x.double().tolist()))
    for found in (numbers.norm(x), *numbers.norms([x, torch.ones(3)])[:1]):
        assert float(found) == pytest.approx(truth, rel=1e-4)
