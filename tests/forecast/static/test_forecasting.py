"""Static forecasts against one pass through networks that were really built."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evenflow.forecast import Forecast
from evenflow.forecast.foresee import preflight
from evenflow.forecast.static import forecast_static
from evenflow.forecast.static.build import build
from evenflow.forecast.static.forecasting import average
from evenflow.forecast.static.unseen import UnseenWeight


def apart(a: Forecast, b: Forecast) -> float:
    """Largest difference of log10 δ over sites, decades; both must know the same sites."""
    known = {o.site.name: o.log10_delta for o in b.outlooks if o.site.kind != "input"}
    ours = {o.site.name: o.log10_delta for o in a.outlooks if o.site.kind != "input"}
    assert known.keys() == ours.keys()
    both = np.array([(ours[n], known[n]) for n in known])
    assert (np.isfinite(both[:, 0]) == np.isfinite(both[:, 1])).all()
    return float(np.nanmax(np.abs(both[:, 0] - both[:, 1])))


class Block(nn.Module):
    def __init__(self, width: int, shared: nn.Linear | None = None) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), shared or nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            t.unflatten(-1, (4, -1)).transpose(1, 2) for t in self.qkv(self.norm1(x)).chunk(3, -1)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Decoder(nn.Module):
    def __init__(self, depth: int = 4, width: int = 128, tied: bool = True) -> None:
        super().__init__()
        self.table = nn.Embedding(300, width)
        nn.init.normal_(self.table.weight, std=0.02)
        shared = nn.Linear(2 * width, width) if tied else None
        self.blocks = nn.Sequential(*(Block(width, shared) for _ in range(depth)))
        self.head = nn.Linear(width, 300, bias=False)
        if tied:
            self.head.weight = self.table.weight

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.blocks(self.table(ids)))


def mlp() -> nn.Module:
    layers = [m for _ in range(30) for m in (nn.Linear(128, 128), nn.Tanh())]
    return nn.Sequential(*layers, nn.Linear(128, 10))


def convolutions() -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(3, 32, 3, padding=1)]
    for _ in range(4):
        layers += [nn.BatchNorm2d(32), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))


class Joined(nn.Module):
    """Functional ops, concatenation, a recurrent layer, no bias anywhere near the data."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(64, 96, bias=False), nn.Linear(64, 96, bias=False)
        self.lstm = nn.LSTM(192, 96, batch_first=True)
        self.head = nn.Linear(96, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([torch.sigmoid(self.a(x)), F.elu(self.b(x))], -1)
        return self.head(self.lstm(x)[0][:, -1])


ids = torch.randint(0, 300, (6, 10), generator=torch.Generator().manual_seed(0))
FAMILIES: dict[str, tuple[Callable[[], nn.Module], Any]] = {
    "perceptron": (mlp, (32, 128)),
    "decoder with shared weights": (Decoder, (ids,)),
    "decoder": (lambda: Decoder(tied=False), {"ids": ids}),
    "convolutions": (convolutions, (16, 3, 12, 12)),
    "joined": (Joined, (16, 7, 64)),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_agrees_with_one_pass_within_three_tenths_of_a_decade_a_site(name: str) -> None:
    """Acceptance line 5 of issue 3, first half."""
    factory, inputs = FAMILIES[name]
    static = forecast_static(factory, inputs, least=0)
    torch.manual_seed(11)
    assert apart(static, preflight(factory(), inputs, seed=5, advise=False)) < 0.3
    assert static.method == "static"
    assert static.run.meta["draws"] == 3


def test_forward_readings_and_weights_agree_too() -> None:
    static = forecast_static(mlp, (32, 128), least=0)
    torch.manual_seed(11)
    real = preflight(mlp(), (32, 128), seed=5, advise=False)
    for a, b in zip(static.outlooks, real.outlooks, strict=True):
        assert abs(a.log10_q - b.log10_q) < 0.2, a.site.name
        if a.site.kind != "input":
            assert abs(math.log10(a.one_minus_c / b.one_minus_c)) < 0.3, a.site.name
    assert [p.name for p in static.run.params] == [p.name for p in real.run.params]
    assert all(p.trainable for p in static.run.params)
    for p in static.run.params:
        ours, theirs = static.run.param(p.id, "weight"), real.run.param(p.id, "weight")
        assert ours is not None and theirs is not None
        assert abs(math.log10(ours[0] / theirs[0])) < 0.05


def test_same_seed_same_forecast_and_random_states_kept() -> None:
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    first = forecast_static(mlp, (8, 128), least=0, draws=2)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.rand(7)
    again = forecast_static(mlp, (8, 128), least=0, draws=2)
    other = forecast_static(mlp, (8, 128), least=0, draws=2, seed=1)
    assert first.reading.values.tolist() == again.reading.values.tolist()
    assert first.reading.values.tolist() != other.reading.values.tolist()


def test_delta_beyond_float32_is_followed_in_float64() -> None:
    def deep() -> nn.Module:
        layers = [m for _ in range(60) for m in (nn.Linear(64, 64), nn.Sigmoid())]
        return nn.Sequential(*layers, nn.Linear(64, 4))

    forecast = forecast_static(deep, (16, 64), draws=1, least=0)
    first = next(o for o in forecast.outlooks if o.site.kind == "affine")
    assert -60 < first.log10_delta < -45
    assert torch.get_default_dtype() == torch.float32


def test_error_bars_come_from_width_and_from_what_draws_differ_by() -> None:
    def net(width: int) -> Callable[[], nn.Module]:
        layers = lambda: [m for _ in range(12) for m in (nn.Linear(width, width), nn.ReLU())]  # noqa: E731
        return lambda: nn.Sequential(*layers(), nn.Linear(width, width))

    narrow = forecast_static(net(16), (16, 16), least=0)
    wide = forecast_static(net(256), (16, 256), least=0)
    bars = [[o.error_bar for o in f.outlooks if o.site.kind == "affine"] for f in (narrow, wide)]
    assert bars[0][0] > 2 * bars[1][0] > 0
    assert bars[1][0] > bars[1][-2]


def test_average_of_draws() -> None:
    static = forecast_static(mlp, (8, 128), least=0, draws=1)
    sites, params = static.run.sites, static.run.params
    one = static.run.meta["log10_delta"]
    from evenflow.forecast.onepass import Measured

    def shifted(by: float, dead: bool) -> Measured:
        levels = [v + by * (len(one) - i) for i, v in enumerate(one)]
        levels[4] = -math.inf if dead else levels[4]
        return Measured(sites, params, {}, tuple(levels), tuple(levels), True)

    mean, spread = average([shifted(0.1, True), shifted(0.3, True)])
    assert mean[4] == -math.inf
    assert spread[3] > spread[10] > 0
    mean, _ = average([shifted(0.1, True), shifted(0.3, False)])
    assert math.isnan(mean[4]) and math.isfinite(mean[5])


def test_an_unseen_table_has_its_place_in_the_graph() -> None:
    model = build(lambda: Decoder(2), least=0)
    rows = model.table(ids)
    rows.sum().backward()
    assert model.table.weight.grad is None and rows.grad_fn is not None
    assert isinstance(model.table.weight, UnseenWeight)
    with torch.no_grad():
        assert model.table(ids).grad_fn is None


def test_mistakes_are_told() -> None:
    with pytest.raises(ValueError, match=r"draws = 0; at least one"):
        forecast_static(mlp, (4, 128), draws=0)
    with pytest.raises(ValueError, match=r"Sequential cannot be called with \(float32 \[4, 7\]\)"):
        forecast_static(mlp, (4, 7))


def huge() -> nn.Module:
    """Ten billion parameters: 7 blocks of two 26755² layers."""
    n = 26_755
    return nn.Sequential(
        *itertools.chain.from_iterable((nn.Linear(n, n), nn.GELU()) for _ in range(14))
    )


def test_ten_billion_weights_cost_no_memory() -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    forecast = forecast_static(huge, (4, 26_755), draws=1)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert forecast.run.meta["weights"] > 10e9
    assert used < 1e6  # kB: they would need 40 GB
