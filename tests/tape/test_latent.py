"""What is left of a sample in latents drawn by reparameterisation, against a loop over latents."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from statistics import mean, variance

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal

import evenflow

Draw = Callable[[Tensor, Tensor], Tensor]


def oracle(mu: Tensor, std: Tensor) -> dict[str, float]:
    """Latent by latent, of tensors [N, L]."""
    m, s = mu.t().tolist(), std.t().tolist()
    nats = [
        0.5 * (a * a + b * b - 1 - math.log(b * b))
        for row, other in zip(m, s, strict=True)
        for a, b in zip(row, other, strict=True)
    ]
    return {"latent_idle": mean(float(variance(row) < 0.01) for row in m), "latent_kl": mean(nats)}


DRAWS: dict[str, Draw] = {
    "by hand": lambda mu, lv: mu + torch.exp(0.5 * lv) * torch.randn_like(lv),
    "the other way round": lambda mu, lv: torch.randn(lv.shape) * (0.5 * lv).exp() + mu,
    "in place": lambda mu, lv: torch.randn_like(lv).mul((0.5 * lv).exp()).add_(mu),
    "addcmul": lambda mu, lv: torch.addcmul(mu, (0.5 * lv).exp(), torch.randn_like(mu)),
    "addcmul turned": lambda mu, lv: torch.addcmul(mu, torch.randn_like(mu), (0.5 * lv).exp()),
    "rsample": lambda mu, lv: Normal(mu, (0.5 * lv).exp()).rsample(),
    "a mean that is a product": lambda mu, lv: mu * 1.0 + (0.5 * lv).exp() * torch.randn_like(lv),
}


class Encoder(nn.Module):
    def __init__(self, draw: Draw, maps: bool = False) -> None:
        super().__init__()
        self.both = nn.Conv2d(3, 8, 1) if maps else nn.Linear(3, 8)
        self.draw, self.axis = draw, 1 if maps else -1
        with torch.no_grad():
            self.both.weight[:2] = 0.0  # two latents that do not vary
            self.both.weight[4:] *= 0.1

    def forward(self, x: Tensor) -> Tensor:
        self.mu, self.lv = self.both(x).chunk(2, self.axis)
        return self.draw(self.mu, self.lv)


def readings(net: nn.Module, x: Tensor, path: Path) -> dict[str, float]:
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with evenflow.watch(net, optimizer, run=path, every=1) as watch:
        net(x).square().mean().backward()
        optimizer.step()
    columns = evenflow.load(watch.path).columns
    return {c.metric: float(v[0]) for c, v in columns.items() if c.metric.startswith("latent")}


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("shape", [(64, 3), (16, 12, 3), (8, 3, 5, 6)])
def test_however_they_are_drawn(draw: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Encoder(DRAWS[draw], maps=len(shape) == 4)
    read = readings(net, torch.randn(shape), tmp_path / "run.evenflow")
    rows = [t.detach().movedim(net.axis, -1).reshape(-1, 4) for t in (net.mu, (0.5 * net.lv).exp())]
    expected = oracle(*rows)
    assert read == pytest.approx(expected, rel=1e-4)
    assert expected["latent_idle"] == 0.5


NOT: dict[str, Draw] = {
    "noise on data": lambda mu, lv: mu + 0.1 * torch.randn_like(mu),
    "a mask": lambda mu, lv: mu + lv * (torch.rand(lv.shape) > 0.3).float(),
    "a constant mean": lambda mu, lv: torch.ones_like(mu) + lv.exp() * torch.randn_like(mu),
    "no mean": lambda mu, lv: lv.exp() * torch.randn_like(mu),
    "noise for all samples": lambda mu, lv: mu + lv.exp() * torch.randn(mu.shape[-1]),
    "a residual": lambda mu, lv: mu + lv.exp() * mu,
    "uniform noise": lambda mu, lv: mu + lv.exp() * torch.rand(mu.shape),
}


@pytest.mark.parametrize("draw", NOT)
def test_what_is_no_latent(draw: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    read = readings(Encoder(NOT[draw]), torch.randn(64, 3), tmp_path / "run.evenflow")
    assert [v for v in read.values() if not math.isnan(v)] == []


def test_a_few_samples_tell_nothing(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = Encoder(DRAWS["by hand"])
    assert readings(net, torch.randn(7, 3), tmp_path / "run.evenflow") == {}
