"""Loops that are wired wrongly: gradients that add up over updates, eval mode left on."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .book import adam, classes, fit, mlp, real, sgd

Clear = Callable[[], None]


def _loop(net: nn.Module, step: Clear, clear: Callable[[int], None], steps: int = 40) -> None:
    """Updates by `step`, each after a backward; `clear(i)` comes before backward i."""
    for i in range(steps):
        x, y = classes()
        loss = F.cross_entropy(net(x), y)
        clear(i)
        loss.backward()  # type: ignore[no-untyped-call]
        step()


@real("EF801", "error", "")
def gradients_that_nobody_clears(sick: bool) -> None:
    net = mlp(8, 16, 4)
    optimizer = sgd(net, 0.05)
    _loop(net, optimizer.step, lambda i: None if sick else optimizer.zero_grad())


@real("EF801", "error", "seldom-cleared")
def gradients_cleared_once_an_epoch(sick: bool) -> None:
    net = mlp(8, 16, 4)
    optimizer = adam(net, 1e-3)
    _loop(net, optimizer.step, lambda i: optimizer.zero_grad() if not (sick and i % 11) else None)


@real("EF801", "error", "others-cleared")
def gradients_of_the_other_optimizer_cleared(sick: bool) -> None:
    net = mlp(8, 16, 16, 4)
    body, head = sgd(net[:2], 0.05), sgd(net[2:], 0.05)

    def step() -> None:
        body.step()
        head.step()

    def clear(i: int) -> None:
        body.zero_grad()
        (body if sick else head).zero_grad()

    _loop(net, step, clear)


@real("EF801", "error", "")
def gradients_that_a_script_steps_along_by_hand(sick: bool) -> None:
    net = mlp(8, 16, 4)

    def step() -> None:
        with torch.no_grad():
            for p in net.parameters():
                assert p.grad is not None
                p -= 0.05 * p.grad
                p.grad = p.grad if sick else None

    _loop(net, step, lambda i: None)


@real("EF801", "error", "")
def gradients_that_fade_are_a_momentum(sick: bool) -> None:
    """The twin lets a tenth go by each update, which is a momentum by hand."""
    net = mlp(8, 16, 4)
    optimizer = sgd(net, 0.01)

    def fade(i: int) -> None:
        for p in net.parameters():
            if p.grad is not None and not sick:
                p.grad.mul_(0.9)

    _loop(net, optimizer.step, fade)


@real("EF801", "error", "")
def gradients_gathered_over_micro_batches(sick: bool) -> None:
    net = mlp(8, 16, 4)
    optimizer = adam(net, 1e-3)
    passes = 0

    def step() -> None:
        nonlocal passes
        passes += 1
        if passes % 4 == 0:
            optimizer.step()
            if not sick:
                optimizer.zero_grad(set_to_none=False)

    _loop(net, step, lambda i: None, 160)


def _normed() -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4))


@real("EF805", "warning", "norms-off")
def eval_mode_left_on(sick: bool) -> None:
    net = _normed()
    fit(net, classes, F.cross_entropy, after=lambda i: net.train(not sick or i < 5))


@real("EF805", "error", "norms-off")
def norms_that_normalise_nothing(sick: bool) -> None:
    net = _normed().train(not sick)

    def raw() -> tuple[Tensor, Tensor]:
        x, y = classes()
        return 300 * x + 900, y

    fit(net, raw, F.cross_entropy, sgd(net), 120)


@real("EF805", "warning", "dropout-off")
def dropout_that_drops_nothing(sick: bool) -> None:
    net = mlp(8, 16, 4)
    net.insert(1, nn.Dropout(0.2))
    net.train(not sick)
    fit(net, classes, F.cross_entropy)


@real("EF805", "info", "norms-frozen")
def norms_frozen_in_a_net_that_trains(sick: bool) -> None:
    net = _normed()
    net[1].train(not sick)
    fit(net, classes, F.cross_entropy)
