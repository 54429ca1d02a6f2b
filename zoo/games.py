"""Two networks that play against each other: a shifted Gaussian made by perceptrons (calibration
half), two blobs (report half)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, healthy, sick
from .loop import seed_all


def shifted(n: int) -> Tensor:
    """[n, 2] a flat Gaussian, away from 0."""
    return torch.tensor([6.0, 6.0]) + torch.randn(n, 2) * torch.tensor([1.0, 0.3])


def blobs(n: int) -> Tensor:
    """[n, 2] two Gaussians, one above the other."""
    return torch.tensor([5.0, 0.0]) + torch.randn(n, 2) / 2 + torch.randint(2, (n, 1)) * 3.0


def train(
    seed: int,
    *,
    real: Callable[[int], Tensor],
    lr_g: float = 1e-3,
    lr_d: float = 1e-3,
    rounds: int = 1,
    steps: int = 500,
) -> float:
    """A generator and a discriminator; minus the distance of the made-up mean from the real one."""
    seed_all(seed)
    g = nn.Sequential(
        *(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU()), nn.Linear(64, 2)
    )
    d = nn.Sequential(
        *(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2)),
        nn.Linear(64, 1),
    )
    of_g = torch.optim.Adam(g.parameters(), lr_g, betas=(0.5, 0.9))
    of_d = torch.optim.Adam(d.parameters(), lr_d, betas=(0.5, 0.9))
    one, nil = torch.ones(64, 1), torch.zeros(64, 1)
    cost = F.binary_cross_entropy_with_logits
    for _ in range(steps):
        for _ in range(rounds):
            of_d.zero_grad()
            fake = g(torch.randn(64, 8)).detach()
            (cost(d(real(64)), one) + cost(d(fake), nil)).backward()  # type: ignore[no-untyped-call]
            of_d.step()
        of_g.zero_grad()
        cost(d(g(torch.randn(64, 8))), one).backward()  # type: ignore[no-untyped-call]
        of_g.step()
    with torch.no_grad():
        return -float((g(torch.randn(2000, 8)).mean(0) - real(2000).mean(0)).norm())


_ABOUT = "the discriminator takes five steps a round, at a hundred times the generator's rate"
_strong: dict[str, Any] = {"lr_g": 1e-4, "lr_d": 1e-2, "rounds": 5}
_ALLOW = "101 102 104 201 202 203 205 206 301 302 402 403 703"

CASES: tuple[Case, ...] = (
    sick(
        "perceptron",
        "one-sided-game",
        _ABOUT,
        partial(train, real=shifted, **_strong),
        -2.5,
        twin="fair-game",
        expect="405",
        allow=_ALLOW,
    ),
    healthy(
        "perceptron", "fair-game", "both players at one rate", partial(train, real=shifted), -2.5
    ),
    sick(
        "generative",
        "one-sided-game",
        _ABOUT,
        partial(train, real=blobs, **_strong),
        -1.5,
        twin="fair-game",
        expect="405",
        allow=_ALLOW,
    ),
    healthy(
        "generative", "fair-game", "both players at one rate", partial(train, real=blobs), -1.5
    ),
)
