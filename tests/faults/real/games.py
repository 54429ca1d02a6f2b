"""Two networks that play against each other: EF405."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .book import adam, mlp, real

#: What a judge says of a sample, and whether it is a real one -> its loss.
Cost = Callable[[Tensor, float], Tensor]


def _entropy(x: Tensor, is_real: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(x, torch.full_like(x, is_real))


def _squares(x: Tensor, is_real: float) -> Tensor:
    return F.mse_loss(x, torch.full_like(x, is_real))


def _softplus(x: Tensor, is_real: float) -> Tensor:
    return F.softplus(-x if is_real else x).mean()


def _game(
    rates: tuple[float, float],
    at: float,
    cost: Cost = _entropy,
    hide: bool = False,
    later: int = 120,
) -> None:
    """A maker and a judge of samples about `at`, at `rates`; from round `later` on the maker moves
    next to not at all and the judge a hundred times as fast. `hide`: the maker climbs the judge's
    own loss (log(1 - D)) in place of calling its samples real."""
    g, d = mlp(4, 32, 2, act=nn.ReLU), mlp(2, 32, 1, act=nn.LeakyReLU)
    of_g, of_d = (
        adam(net, rate, betas=(0.5, 0.9)) for net, rate in zip((g, d), rates, strict=True)
    )
    for i in range(120):
        if i == later:
            of_g.param_groups[0]["lr"], of_d.param_groups[0]["lr"] = 1e-6, 1e-1
        truth = at + torch.randn(32, 2) * torch.tensor([1.0, 0.3])
        of_d.zero_grad()
        made = d(g(torch.randn(32, 4)).detach())
        (cost(d(truth), 1.0) + cost(made, 0.0)).backward()  # type: ignore[no-untyped-call]
        of_d.step()
        of_g.zero_grad()
        made = d(g(torch.randn(32, 4)))
        (-cost(made, 0.0) if hide else cost(made, 1.0)).backward()  # type: ignore[no-untyped-call]
        of_g.step()


#: Rates of maker and judge, and where the real samples are: a judge that wins, a fair game.
_WON, _FAIR = ((1e-5, 1e-2), 5.0), ((2e-3, 1e-3), 0.5)


@real("EF405", "error", every=1)
def a_judge_that_is_always_right(sick: bool) -> None:
    _game(*(_WON if sick else _FAIR))


@real("EF405", "error", every=1)
def a_judge_whose_own_loss_the_maker_climbs(sick: bool) -> None:
    _game(*(_WON if sick else _FAIR), hide=True)


@real("EF405", "error", every=1)
def a_judge_of_squares(sick: bool) -> None:
    _game(*(_WON if sick else _FAIR), cost=_squares)


@real("EF405", "error", every=1)
def a_judge_by_hand(sick: bool) -> None:
    _game(*(_WON if sick else _FAIR), cost=_softplus)


@real("EF405", "warning", every=1)
def a_judge_that_wins_late(sick: bool) -> None:
    """Fair at first; the twin's is fair to the end."""
    _game((2e-3, 1e-3), 3.0, later=60 if sick else 120)
