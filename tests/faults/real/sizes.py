"""Sizes of steps: sums where a mean is meant, gradients clipped away, decay: EF810 to EF812."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from .book import adam, fit, mlp, real, sgd

Loss = Callable[[Tensor, Tensor], Tensor]

# --- EF810 ----------------------------------------------------------------------------------------


def _thirds(n: int = 32) -> tuple[Tensor, Tensor]:
    """x [n, 8] and which of its first three is largest."""
    x = torch.randn(n, 8)
    return x, x[:, :3].argmax(1)


def _summed(loss: Loss, rate: float = 0.1, steps: int = 60) -> None:
    net = mlp(8, 32, 3, act=nn.ReLU)
    fit(net, _thirds, loss, sgd(net, rate, momentum=0.9), steps)


def _of(reduction: str) -> Loss:
    return lambda p, y: F.cross_entropy(p, y, reduction=reduction)


@real("EF810", "", "summed")
def a_sum_at_a_rate_for_a_mean(sick: bool) -> None:
    _summed(_of("sum" if sick else "mean"))


@real("EF810", "", "summed")
def a_sum_of_each_samples_loss(sick: bool) -> None:
    _summed(lambda p, y: _of("none")(p, y).sum() if sick else _of("none")(p, y).mean())


@real("EF810", "", "summed")
def a_sum_of_squares_by_hand(sick: bool) -> None:
    def squares(p: Tensor, y: Tensor) -> Tensor:
        wrong = (p - F.one_hot(y, 3).float()).square()
        return wrong.sum() if sick else wrong.mean()

    _summed(squares)


@real("EF810", "", "summed")
def a_rate_for_a_mean_of_a_sum(sick: bool) -> None:
    """The twin sums as well, at a rate that suits a sum: nothing is wrong with it."""
    _summed(_of("sum"), 0.1 if sick else 0.005)


@real("EF810", "", "accumulated")
def micro_batches_of_a_whole_loss_each(sick: bool) -> None:
    net = mlp(8, 32, 3, act=nn.ReLU)
    optimizer = sgd(net, 0.1, momentum=0.9)
    for _ in range(60):
        x, y = _thirds()
        optimizer.zero_grad()
        for part, target in zip(x.chunk(16), y.chunk(16), strict=True):
            loss = F.cross_entropy(net(part), target)
            (loss if sick else loss / 16).backward()  # type: ignore[no-untyped-call]
        optimizer.step()


# --- EF811 ----------------------------------------------------------------------------------------


def _clipped(
    net: nn.Module,
    limit: float,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler | None = None,
    unscale: bool = False,
) -> None:
    """130 updates, each clipped by its norm."""
    scaler = scaler or torch.amp.GradScaler("cpu", enabled=False)
    for _ in range(130):
        x, y = _thirds()
        optimizer.zero_grad()
        scaler.scale(F.cross_entropy(net(x), y)).backward()
        if unscale:
            scaler.unscale_(optimizer)
        clip_grad_norm_(net.parameters(), limit)
        scaler.step(optimizer)
        scaler.update()


@real("EF811", "error", "clip-too-low")
def gradients_clipped_to_nothing(sick: bool) -> None:
    net = mlp(8, 32, 3, act=nn.ReLU)
    _clipped(net, 1e-4 if sick else 1.0, sgd(net))


@real("EF811", "error", "clip-too-low")
def gradients_clipped_below_an_eps(sick: bool) -> None:
    """Adam divides a factor away, but for what is as small as its eps; the twin's is not."""
    net = mlp(8, 32, 3, act=nn.ReLU)
    _clipped(net, 1e-10 if sick else 1e-2, adam(net))


@real("EF811", "info", "length-alone")
def a_limit_that_the_rate_makes_up_for(sick: bool) -> None:
    net = mlp(8, 32, 3, act=nn.ReLU)
    _clipped(net, 1e-2 if sick else 1.0, sgd(net, 20.0 if sick else 0.1))


@real("EF811", "error", "before-unscale")
def gradients_clipped_while_scaled(sick: bool) -> None:
    net = mlp(8, 32, 3, act=nn.ReLU)
    _clipped(net, 1.0, sgd(net), torch.amp.GradScaler("cpu"), unscale=not sick)


@real("EF811", "error", "before-unscale")
def gradients_clipped_while_their_scale_grows(sick: bool) -> None:
    net = mlp(8, 32, 3, act=nn.ReLU)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=20)
    _clipped(net, 1.0, sgd(net), scaler, unscale=not sick)


@real("EF811", "info", "length-alone")
def a_policy_with_every_gradient_clipped(sick: bool) -> None:
    """Its loss does not tell whether that does harm."""
    net = mlp(4, 32, 2)
    optimizer = sgd(net)
    for _ in range(130):
        x = torch.randn(64, 4)
        chosen = torch.distributions.Categorical(logits=net(x))
        action = chosen.sample()
        gain = (action == (x[:, 0] > 0).long()).float() - 0.5
        optimizer.zero_grad()
        (-(chosen.log_prob(action) * gain).mean()).backward()  # type: ignore[no-untyped-call]
        clip_grad_norm_(net.parameters(), 1e-3 if sick else 1.0)
        optimizer.step()


# --- EF812 ----------------------------------------------------------------------------------------


@real("EF812", "error", "weight-decay")
def weights_that_an_optimizer_decays_away(sick: bool) -> None:
    net = mlp(8, 32, 3, act=nn.ReLU)
    optimizer = sgd(net, weight_decay=1.0 if sick else 1e-3)
    fit(net, _thirds, F.cross_entropy, optimizer, 120)


def _penalised(factor: float, **how: Any) -> None:
    net = mlp(8, 32, 3, act=nn.ReLU)

    def loss(p: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(p, y) + factor * sum(w.pow(2).sum() for w in net.parameters())

    fit(net, _thirds, loss, sgd(net), **how)


@real("EF812", "error", "penalty")
def weights_that_a_penalty_shrinks(sick: bool) -> None:
    _penalised(0.5 if sick else 1e-4, steps=120)


@real("EF812", "warning", "weight-decay")
def a_decay_at_which_a_loss_stays(sick: bool) -> None:
    """Between guessing and knowing; the twin's still falls, as fast as its weights decay."""
    net = mlp(8, 32, 3, act=nn.ReLU, gain=3.0 if sick else 1.0)
    optimizer = sgd(net, weight_decay=0.17)
    fit(net, _thirds, F.cross_entropy, optimizer, 300 if sick else 100)
