"""Forecasts kept in files, set beside the runs they foretold."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import evenflow
from evenflow.forecast import assemble, beside
from evenflow.forecast.keeping import save
from evenflow.forecast.rendering import compared, lines


def perceptron(depth: int) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [m for i in range(depth) for m in (nn.Linear(8 if i == 0 else 16, 16), nn.Sigmoid())]
    return nn.Sequential(*layers, nn.Linear(16, 4))


def trained(path: Path, depth: int, x: torch.Tensor, y: torch.Tensor) -> evenflow.Run:
    model = perceptron(depth)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with evenflow.watch(model, optimizer, run=path, every=1):
        for _ in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
    return evenflow.load(path)


def test_foreseen_with_the_data_and_loss_is_measured(tmp_path: Path) -> None:
    x, y = torch.randn(32, 8), torch.randint(0, 4, (32,))
    forecast = evenflow.preflight(perceptron(40), x, nn.functional.cross_entropy, y, advise=False)
    save(forecast, tmp_path / "f.evenflow")
    kept = evenflow.load(tmp_path / "f.evenflow")
    assert kept.source == "predicted"
    pairs = beside(trained(tmp_path / "r.evenflow", 40, x, y), kept)
    assert len(pairs) >= 81
    assert min(p.measured for p in pairs) < -28
    assert all(p.foreseen == pytest.approx(p.measured, abs=0.5) for p in pairs[:10])
    assert all(p.foreseen == pytest.approx(p.measured, abs=1e-3) for p in pairs[40:])
    said = list(compared(pairs, [p.site.name for p in pairs]))
    assert f"{len(pairs)} sites" in said[0] and f"(24 of {len(pairs)}, evenly" in said[-1]
    assert "foreseen" in said[1] and "measured" in said[1]


def test_a_kept_forecast_is_judged_the_same(tmp_path: Path) -> None:
    forecast = evenflow.preflight(perceptron(40), (32, 8), advise=False)
    save(forecast, tmp_path / "f.evenflow")
    again = evenflow.diagnose(evenflow.load(tmp_path / "f.evenflow"))
    assert [f.code for f in again] == [f.code for f in forecast.findings]
    assert [f.severity for f in again] == [f.severity for f in forecast.findings]
    save(forecast, tmp_path / "f.evenflow")  # once more: an older one is replaced
    with pytest.raises(OSError):
        save(forecast, tmp_path / "f.evenflow" / "f.evenflow")


def test_what_cannot_be_set_side_by_side_is_refused(tmp_path: Path) -> None:
    x, y = torch.randn(8, 8), torch.randint(0, 4, (8,))
    forecast = evenflow.preflight(perceptron(2), x).run
    run = trained(tmp_path / "r.evenflow", 2, x, y)
    with pytest.raises(ValueError, match="not a forecast"):
        beside(run, run)
    with pytest.raises(ValueError, match="is a forecast itself"):
        beside(forecast, forecast)
    other = evenflow.preflight(nn.Linear(8, 2), x).run
    other = dataclasses.replace(
        other, sites=tuple(dataclasses.replace(s, path="elsewhere") for s in other.sites)
    )
    with pytest.raises(ValueError, match="a forecast of another model"):
        beside(run, other)


def test_assemble_moves_levels_to_the_head_and_refuses_what_does_not_fit() -> None:
    run = evenflow.preflight(perceptron(2), (16, 8), advise=False).run
    readings = {c: float(v[0]) for c, v in run.columns.items() if c.metric != "delta"}
    levels = np.array(run.meta["log10_delta"])
    bars = run.meta["error_bar"]
    moved = assemble("net", "static", run.sites, run.params, readings, levels + 77.0, bars)
    assert np.allclose([o.log10_delta for o in moved.outlooks], levels, equal_nan=True)
    lost = np.where(np.arange(len(levels)) == 1, -np.inf, levels - 5000)
    far = assemble("net", "static", run.sites, run.params, readings, lost, bars)
    assert far.outlooks[1].log10_delta == -math.inf
    assert far.to_json()["sites"][1]["log10_delta"] == "-Infinity"
    assert all(np.isfinite(v).all() for v in far.run.columns.values())
    with pytest.raises(ValueError, match="one of each"):
        assemble("net", "static", run.sites, run.params, readings, levels[1:], bars)
    with pytest.raises(ValueError, match="in order"):
        assemble("net", "static", run.sites[::-1], run.params, readings, levels, bars)


def test_a_forecast_is_told_in_words() -> None:
    said = [text for text, _ in lines(evenflow.preflight(perceptron(40), (32, 8)))]
    assert said[0] == "evenflow  SICK  Sequential: as it stands it will not learn."
    assert "41 layers, but signals survive only " in said[1]
    assert any("EF604 Too deep for its initialisation" in s for s in said)
    assert any(s.startswith("  init=lsuv-centred: ") and "chance" in s for s in said)
    assert said[-1] == "  (24 of 41, evenly chosen)"
    healthy = [text for text, _ in lines(evenflow.preflight(perceptron(1), (32, 8)))]
    assert healthy[0].startswith("evenflow  HEALTHY") and "all of them" in healthy[1]
    assert not any("try:" in s for s in healthy)
