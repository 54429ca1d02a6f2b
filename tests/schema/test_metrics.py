"""The registry of metrics: against whole batches, against real samples, against misspelling."""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import evenflow
from evenflow.faults import View
from evenflow.schema import (
    FOLDS,
    METRICS,
    Channel,
    Metric,
    Parameter,
    Run,
    Site,
    metric_named,
    over_draws,
)
from evenflow.tape import numbers
from evenflow.tape.scalars import ScalarBuffer

SOURCE = Path(evenflow.__file__).parent


def folded(of: str, name: str, values: Sequence[float]) -> float:
    """As a sampled step with that many micro-batches tells it."""
    scalars = ScalarBuffer()
    for value in values:
        scalars.add((of, 0, name, -1), value)
    return float(scalars.finish(0).reading({}).values[0])


def attention(x: Tensor) -> Tensor:
    """Weights of two heads [B, 2, 1, K] of samples [B, K]: one even head, one of its own."""
    return torch.stack([torch.full_like(x, 1 / x.shape[1]), x.softmax(1)], 1)[:, :, None]


#: What a metric reads of a batch, as plainly as can be.
PLAINLY = {
    "rms": lambda x: x.square().mean().sqrt(),
    "mean": lambda x: x.mean(),
    "absmax": lambda x: x.abs().max(),
    "zeros": lambda x: (x == 0).double().mean(),
    "nonfinite": lambda x: (~x.isfinite()).sum(),
    "slope": lambda x: numbers.slope(x, torch.ones_like(x))[0],
    "delta": lambda x: x.square().mean().sqrt(),
    "weight_rms": lambda x: x.square().mean().sqrt(),
    "entropy": lambda x: numbers.entropy(attention(x))[0],
    "integer": lambda x: (x == x.round()).all(),
    "negative": lambda x: (x < 0).double().mean(),
    "row_sum": lambda x: x.sum(1).mean(),
}


@pytest.mark.parametrize("name", PLAINLY)
@pytest.mark.parametrize("parts", [1, 2, 3, 4])
def test_micro_batches_tell_what_the_whole_batch_tells(name: str, parts: int) -> None:
    gen = torch.Generator().manual_seed(parts)
    x = torch.randn(12, 5, generator=gen, dtype=torch.float64) * torch.arange(1, 13)[:, None]
    x[2] = x[2].round()
    x[5:7, 0] = 0
    read = PLAINLY[name]
    values = [float(read(part)) for part in x.chunk(parts)]
    assert folded("site", name, values) == pytest.approx(float(read(x)), rel=1e-5)


def test_the_slope_of_a_step_is_the_root_mean_square_of_its_micro_batches() -> None:
    assert folded("site", "slope", [0.1, 0.9]) == pytest.approx(math.sqrt((0.01 + 0.81) / 2))


def test_the_least_even_head_is_the_least_of_all_micro_batches() -> None:
    assert folded("site", "entropy_min", [0.9, 0.2, 0.7]) == 0.2
    assert math.isnan(folded("site", "entropy_min", [0.9, math.nan, 0.7]))


@pytest.mark.parametrize("fold", FOLDS)
def test_no_fold_fails_on_what_is_not_finite(fold: str) -> None:
    for a in (math.nan, math.inf, -math.inf, 1e308, 0.0):
        for b in (math.nan, math.inf, -math.inf, 1e308, 0.0):
            found = FOLDS[fold]([a, b])
            assert isinstance(found, float)
            if fold != "last" and math.isnan(a) and not math.isinf(b):
                assert math.isnan(found)


def test_draws_are_averaged_not_added() -> None:
    assert over_draws(METRICS["site", "nonfinite"], [0.0, 4.0]) == 2
    assert over_draws(METRICS["site", "dead"], [0.2, 0.4]) == pytest.approx(0.3)
    assert over_draws(METRICS["param", "weight"], [3.0, 4.0]) == pytest.approx(math.sqrt(12.5))
    assert over_draws(METRICS["site", "absmax"], [3.0, 4.0]) == 4


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda m: f"{m.of}-{m.name}")
def test_each_metric_is_told_whole(metric: Metric) -> None:
    assert metric_named(metric.of, metric.name) is metric
    assert metric.fold in FOLDS
    assert len(metric.text) > 8 and not metric.text.endswith(".")
    assert (metric.unit in ("x", "δ", "w", "g")) <= (metric.of != "step" or metric.unit == "g")
    if metric.unit == "share":
        assert metric.fold in ("mean", "least", "last"), "shares do not add up"


def test_metrics_are_read_when_their_tier_says(tmp_path: Path) -> None:
    """A core sample holds core metrics, a full one the rest, but for data and half precision."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Embedding(9, 8), nn.TransformerEncoderLayer(8, 2, 8), nn.Tanh())
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with evenflow.watch(net, optimizer, run=tmp_path / "r.evenflow", every=1) as watch:
        for _ in range(2):
            net(torch.randint(0, 9, (4, 6))).square().mean().backward()
            optimizer.step()
    run = evenflow.load(watch.path)
    known = [c for c in run.columns if c.of != "site" or run.sites[c.id].kind != "input"]
    full = {(c.of, c.metric) for c in known if np.isfinite(run.columns[c][0])}
    core = {(c.of, c.metric) for c in known if np.isfinite(run.columns[c][1])}
    tiers = {key: METRICS[key].tier for key in full | core}
    assert {key for key in core if tiers[key] == "full"} == set()
    assert {key for key in full - core if tiers[key] == "core"} <= {("step", "bare")}
    assert len(full - core) > 6
    assert "forecast" not in tiers.values()


def misspelt() -> Run:
    nobody = np.zeros(2)
    return Run(
        "r", {}, (Site(0, "Net", "0", "linear", "affine"),), (Parameter(0, "w", (2,)),),
        np.arange(2), {Channel("site", 0, "rms"): nobody}, np.arange(2), nobody,
    )  # fmt: skip


def test_a_misspelt_metric_raises_wherever_it_is_read() -> None:
    run = misspelt()
    view = View(run)
    for read in (
        lambda: run.site(0, "satured"),
        lambda: view.site("satured"),
        lambda: view.recent("satured"),
    ):
        with pytest.raises(ValueError, match="no metric 'satured'; did you mean 'saturated'"):
            read()
    for read in (lambda: run.param(0, "wieght"), lambda: view.param("wieght")):
        with pytest.raises(ValueError, match="did you mean 'weight'"):
            read()
    for read in (lambda: run.step("los"), lambda: view.step("los")):
        with pytest.raises(ValueError, match="did you mean 'loss'"):
            read()
    with pytest.raises(ValueError, match="'rms' of a site"):
        run.step("rms")
    with pytest.raises(ValueError, match="there are delta_in, share"):
        run.edge(0, 0, "qqq")
    assert run.site(0, "spread") is None  # a metric that was not measured
    assert np.isnan(view.site("spread")).all()


def test_a_misspelt_metric_does_not_leave_the_tape() -> None:
    with pytest.raises(ValueError, match="did you mean 'delta'"):
        folded("site", "detla", [1.0])


def written() -> set[str]:
    """Words in the package's code that are no metric's record."""
    out: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        if path.name != "metrics.py":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            out |= {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and n.value}
    return out


def test_no_metric_is_forgotten() -> None:
    whole = written()
    made = {m for m in ("grad", "weight", "update") if m in whole}  # and "_nonfinite" after them
    known = whole | {f"{m}_nonfinite" for m in made}
    assert {name for _, name in METRICS if name not in known} == set()
