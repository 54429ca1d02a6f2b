"""What the tape reads of data, of weights that no optimizer has, and of networks cast since."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.schema import Run


def _spread(x: Tensor) -> float:
    """1 - c by its definition: mean product of pairs over mean square."""
    rows = x.double()
    n = len(rows)
    pairs = [float(rows[a] @ rows[b]) for a in range(n) for b in range(n) if a != b]
    return 1 - (sum(pairs) / len(pairs)) / float(rows.square().sum(1).mean())


def _fed(path: Path, x: Tensor) -> tuple[Run, int]:
    """A run on the same data, and the data's site."""
    net = nn.Sequential(nn.Linear(x.shape[1], 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    with evenflow.watch(net, optimizer, run=path, every=1):
        for _ in range(9):
            optimizer.zero_grad()
            F.mse_loss(net(x), x[:, :1]).backward()
            optimizer.step()
    run = evenflow.load(path)
    (site,) = [s.id for s in run.sites if s.kind == "input" and s.op == "input"]
    return run, site


def _full(column: Any) -> list[float]:
    """What was read: full readings are taken at every eighth sample."""
    assert column is not None
    assert list(np.flatnonzero(np.isfinite(column))) == list(range(0, len(column), 8))
    return list(column[::8])


@pytest.mark.parametrize("share", [0.0, 0.25, 0.75])
def test_the_share_of_zeros_of_data(share: float, tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = torch.rand(16, 4) + 1
    x.view(-1)[: int(share * 64)] = 0
    run, site = _fed(tmp_path / "r.evenflow", x)
    assert _full(run.site(site, "zeros")) == pytest.approx([share] * 2)


@pytest.mark.parametrize("offset", [0.0, 1.0, 5.0])
def test_the_datas_own_spread(offset: float, tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = torch.randn(16, 4) + offset
    run, site = _fed(tmp_path / "r.evenflow", x)
    assert _full(run.site(site, "spread")) == pytest.approx([_spread(x)] * 2, rel=1e-4)


@pytest.mark.parametrize("rate", [0.0, 0.1])
def test_norms_of_weights_that_a_script_moves_by_hand(rate: float, tmp_path: Path) -> None:
    """Beside an optimizer that does not have them; unmoved ones keep their norm."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(net[2].parameters(), 0.1)
    norms: list[float] = []
    with evenflow.watch(net, optimizer, run=tmp_path / "r.evenflow", every=1):
        for _ in range(17):
            x = torch.randn(16, 4)
            optimizer.zero_grad()
            F.mse_loss(net(x), x[:, :1]).backward()
            norms.append(float(net[0].weight.detach().norm()))
            optimizer.step()
            with torch.no_grad():
                net[0].weight -= rate * net[0].weight.grad
                net[0].weight.grad = None
    run = evenflow.load(tmp_path / "r.evenflow")
    (weight,) = [p for p in run.params if p.name.endswith("0.weight")]
    assert weight.optimizer < 0
    assert _full(run.param(weight.id, "weight")) == pytest.approx(norms[::8])
    assert (len(set(norms)) > 1) == (rate > 0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_network_cast_after_its_first_step(dtype: torch.dtype, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    with evenflow.watch(net, optimizer, run=tmp_path / "r.evenflow", every=1):
        for k in range(6):
            if k == 2:
                net.to(dtype)
            x = torch.randn(16, 4)
            optimizer.zero_grad()
            F.mse_loss(net(x.to(net[0].weight.dtype)).float(), x[:, :1]).backward()
            optimizer.step()
    run = evenflow.load(tmp_path / "r.evenflow")
    assert {p.dtype for p in run.params} == {str(dtype).removeprefix("torch.")}
