"""Trainings under every kind of wrapping: what scripts and libraries put round, into and between
the modules, functions, tensors and loops of torch. They know nothing of Evenflow.

A wrapping is a function `(calls) -> tensors`: it trains a few steps, notes in `calls` whatever its
own code hears, and returns what is to be equal. All of them are run bare and watched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Calls = list[Any]
Training = Callable[[Calls], Iterable[Tensor]]


class Wrapping(NamedTuple):
    train: Training
    sees: bool  # does a sampled step read layer errors here?
    slow: bool


WRAPPINGS: dict[str, Wrapping] = {}
STEPS = 6


def wrapping(sees: bool = True, slow: bool = False) -> Callable[[Training], Training]:
    def add(train: Training) -> Training:
        WRAPPINGS[train.__name__] = Wrapping(train, sees, slow)
        return train

    return add


def net(*between: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), *between, nn.Linear(8, 3))


def batch() -> tuple[Tensor, Tensor]:
    return torch.randn(4, 6), torch.randint(0, 3, (4,))


def fit(
    model: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    steps: int = STEPS,
) -> list[Tensor]:
    """The usual loop; the weights after it."""
    optimizer = optimizer or torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    for _ in range(steps):
        x, y = batch()
        optimizer.zero_grad()
        (loss or F.cross_entropy)(model(x), y).backward()
        optimizer.step()
    return weights(model)


def weights(model: nn.Module) -> list[Tensor]:
    return [t.detach().clone() for t in model.state_dict().values()]


@contextmanager
def replaced(owner: Any, name: str, new: Any) -> Iterator[Any]:
    """A monkeypatch as scripts make it, undone in the end."""
    there = name in vars(owner)
    old = getattr(owner, name)
    setattr(owner, name, new)
    try:
        yield old
    finally:
        if there:
            setattr(owner, name, old)
        else:
            delattr(owner, name)


from . import calls, loops, models, modes  # noqa: E402, F401
