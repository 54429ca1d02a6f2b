"""What the loss does, and what it measures: EF401 to EF404, objectives."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..test_objectives import (
    clipped_ratio,
    distributions,
    energies,
    one_by_one,
    own_estimates,
    reinforce,
    replayed,
    weighted_samples,
)
from .book import adam, classes, fit, mlp, real, regression, sgd, step


@real()
def policies(sick: bool) -> None:
    reinforce() if sick else weighted_samples()


@real()
def policies_step_by_step(sick: bool) -> None:
    one_by_one() if sick else weighted_samples()


@real()
def ratios_clipped(sick: bool) -> None:
    clipped_ratio() if sick else weighted_samples()


@real()
def returns_that_rise(sick: bool) -> None:
    """All of one sign, without a baseline; the twin's stay as they are."""
    net = mlp(4, 32, 2)
    optimizer = adam(net)
    for i in range(120):
        x = torch.randn(64, 4)
        chosen = torch.distributions.Categorical(logits=net(x))
        action = chosen.sample()
        gain = (0.1 + (action == (x[:, 0] > 0).long()).float()) * (1 + (i / 4 if sick else 0))
        step(optimizer, -(chosen.log_prob(action) * gain).mean())


@real()
def moving_targets(sick: bool) -> None:
    own_estimates()


@real()
def targets_of_a_copy(sick: bool) -> None:
    replayed()


@real()
def distributions_of_a_copy(sick: bool) -> None:
    distributions()


@real()
def contrasts(sick: bool) -> None:
    energies()


@real()
def a_loss_of_both_signs(sick: bool) -> None:
    net = mlp(4, 16, 1)
    optimizer = sgd(net, 1e-3)
    for _ in range(60):
        x, _ = regression()
        step(optimizer, (net(x) * torch.randn(32, 1)).mean())


def _l1(p: Tensor, y: Tensor) -> Tensor:
    return (p - y).abs().mean()


@real("EF401", "error")
def no_way_down_of_a_loss_by_hand(sick: bool) -> None:
    net = mlp(4, 16, 1)
    fit(net, lambda: regression(512), _l1, sgd(net, 1e-7 if sick else 0.1), steps=120)


@real("EF401", "error", "learning-rate-too-low")
def a_rate_too_low_for_more_than_noise(sick: bool) -> None:
    net = mlp(8, 32, 4)
    fit(net, classes, F.cross_entropy, sgd(net, 1e-4 if sick else 0.3), steps=150)


@real("EF404", "info")
def slow_for_sixty_steps(sick: bool) -> None:
    net = mlp(8, 32, 4)
    fit(net, classes, F.cross_entropy, sgd(net, 1e-4 if sick else 0.3), steps=60)


@real("EF404", "info")
def slow_while_the_rate_warms_up(sick: bool) -> None:
    net = mlp(8, 32, 4)
    optimizer = sgd(net, 1e-4 if sick else 0.3)
    warm = torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, 1.0, total_iters=200)
    fit(net, classes, F.cross_entropy, optimizer, steps=150, after=lambda i: warm.step())


@real("EF402")
def a_spike_of_a_loss_below_zero(sick: bool) -> None:
    net = mlp(4, 16, 1)
    optimizer = sgd(net, 0.05)
    for i in range(150):
        x, y = regression(256)
        if sick and i in (80, 81):
            y = y + 5
        step(optimizer, ((net(x) - y) ** 2).mean() - 3)


@real("EF403")
def swings_of_a_loss_below_zero(sick: bool) -> None:
    w = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(w.parameters(), 0.1)
    x, y = regression(64)
    sharpest = 2 * float(torch.linalg.eigvalsh(x.T @ x / 64)[-1])
    for i in range(200):
        optimizer.param_groups[0]["lr"] = (1.7 + 0.59 * (i % 2)) / sharpest if sick else 0.1
        step(optimizer, ((w(x) - y) ** 2).mean() - 1)


@real("EF403", "error")
def swings_where_nothing_is_learned(sick: bool) -> None:
    net = nn.Linear(8, 4)
    x = torch.randn(256, 8)
    y = torch.randint(4, (256,)) if sick else x[:, :4].argmax(1)
    fit(net, lambda: (x, y), F.cross_entropy, sgd(net, 12.0 if sick else 0.5), steps=120)
