"""What is known of optimizers by name, held against torch's own classes."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from evenflow.network import has_momentum, is_adaptive

CLASSES = [
    each
    for each in vars(torch.optim).values()
    if isinstance(each, type) and torch.optim.Optimizer in each.__mro__[1:]
]
#: Those that need no closure.
PLAIN = [c for c in CLASSES if c is not torch.optim.LBFGS]


def moved(kind: type[torch.optim.Optimizer], size: float) -> float:
    """How far three steps go, down a gradient of this size; RAdam's first are a plain descent."""
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(4, 4))
    optimizer = kind([weight])  # type: ignore[call-arg]
    start = weight.detach().clone()
    for step in range(13):
        if step == 10:
            start = weight.detach().clone()
        grad = size * torch.ones(4, 4)
        weight.grad = grad.to_sparse() if kind is torch.optim.SparseAdam else grad
        optimizer.step()
    return float((weight.detach() - start).norm())


@pytest.mark.parametrize("kind", PLAIN, ids=lambda c: c.__name__)
def test_adaptive_are_those_whose_steps_do_not_follow_the_gradients_size(
    kind: type[torch.optim.Optimizer],
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a first sparse tensor warns
        small, large = moved(kind, 1e-1), moved(kind, 1e2)
    # proportional steps would differ by 1,000
    assert (large < 30 * small) is is_adaptive(kind.__name__), (small, large)


def test_others_names_of_the_same_rules() -> None:
    for name in ("FusedAdam", "PagedAdamW8bit", "DeepSpeedCPUAdam", "Lion", "MuonWithAuxAdam"):
        assert is_adaptive(name)
    for name in ("SGD", "ASGD", "LBFGS", ""):
        assert not is_adaptive(name)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda c: c.__name__)
def test_momentum_is_what_the_settings_have(kind: type[torch.optim.Optimizer]) -> None:
    defaults = kind([nn.Parameter(torch.ones(2, 2))]).defaults  # type: ignore[call-arg]
    has = any(key in defaults for key in ("momentum", "betas"))
    assert has_momentum(kind.__name__.lower()) is has
