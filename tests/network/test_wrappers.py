"""The user's module is found in what wraps it, and a user's own `module` is left alone."""

from __future__ import annotations

import torch
from torch import nn

from evenflow.network import unwrap


class Replicated(nn.DataParallel):
    """A class of the user's made from torch's."""


class Holder(nn.Module):
    """A wrapper of the user's: it is the model."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module


def test_wrappers_are_taken_off() -> None:
    net = nn.Linear(2, 2)
    for wrapped in (
        net,
        torch.compile(net, backend="eager"),
        nn.DataParallel(net),
        Replicated(net),
        torch.compile(nn.DataParallel(net), backend="eager"),
        nn.DataParallel(torch.compile(net, backend="eager")),  # type: ignore[arg-type]
    ):
        assert unwrap(wrapped) is net


def test_what_a_user_calls_module_is_theirs() -> None:
    holder = Holder(nn.Linear(2, 2))
    assert unwrap(holder) is holder
    assert unwrap(torch.compile(holder, backend="eager")) is holder
