"""Norms of parameters and of what the optimizer did to them, against plain torch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import evenflow
from evenflow.schema import Run


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
