"""A variational autoencoder of digits by torch.distributions (calibration half)."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from .case import Case, healthy, sick
from .data import digits
from .loop import batches, seed_all


class Coder(nn.Module):
    """Digits to a distribution of 16 numbers, and a sample of that back to digits."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 32))
        self.decoder = nn.Sequential(nn.Linear(16, 64), nn.SiLU(), nn.Linear(64, 64))

    def posterior(self, x: Tensor) -> Normal:
        mean, scale = self.encoder(x).chunk(2, -1)
        return Normal(mean, F.softplus(scale + 0.5) + 1e-4)

    def forward(self, x: Tensor) -> tuple[Tensor, Normal]:
        q = self.posterior(x)
        return self.decoder(q.rsample()), q


def train(seed: int, *, beta: float = 1.0, warm: int = 0, steps: int = 300) -> float:
    """Squared error and `beta` times the divergence, raised over `warm` steps; share of the
    held-out variance rebuilt from the means."""
    seed_all(seed)
    data = digits()
    model = Coder()
    prior = Normal(torch.zeros(16), torch.ones(16))
    opt = torch.optim.Adam(model.parameters(), 3e-3)
    for i, b in enumerate(batches(len(data.x), 64, steps)):
        opt.zero_grad()
        out, q = model(data.x[b])
        error = (out - data.x[b]).square().sum(1).mean()
        weight = beta * min(1.0, (i + 1) / (warm + 1))
        (error + weight * kl_divergence(q, prior).sum(1).mean()).backward()
        opt.step()
    with torch.no_grad():
        x = data.x_test
        error = (model.decoder(model.posterior(x).mean) - x).square().mean() / x.var(0).mean()
    return max(-1.0, 1 - float(error)) if bool(error.isfinite()) else -1.0


CASES: tuple[Case, ...] = (
    sick(
        "autoencoder",
        "heavy-prior",
        "the divergence weighs 60 times what it should",
        partial(train, beta=60.0),
        0.1,
        twin="prior",
        expect="207",
        allow="101 104 205 301 401 404",
        where="add",
    ),
    healthy("autoencoder", "prior", "variational, rsample, weight 1", partial(train), 0.3),
    healthy(
        "autoencoder",
        "prior-warm",
        "variational, weight 2 raised over 150 steps",
        partial(train, beta=2.0, warm=150),
        0.2,
    ),
)
