"""What else is going on: who else sees to an update, and what heal must leave alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...lang import _
from ...network import unwrap
from ...tape import local, of_optimizer


def refuses(optimizer: torch.optim.Optimizer, closure: bool, only: nn.Module | None) -> str:
    """Why an optimizer is left alone; "" if it is not.

    `closure`: its step is given one. `only`: the model that the user named, if any.
    """
    params = of_optimizer(optimizer)
    if any([local(p) is not p or type(p).__name__ == "FlatParameter" for p in params]):
        return _("its parameters are sharded, so each process would decide by its own part.")
    if isinstance(optimizer, torch.optim.LBFGS):
        return _("it evaluates the loss many times within one step.")
    if closure and not type(optimizer).__module__.startswith("torch.optim"):
        return _("its step is given a closure, which it may call more than once.")
    if only is not None:
        own = {id(p) for p in unwrap(only).parameters()}
        if own.isdisjoint(map(id, params)):
            return _("it trains another model than the one that is watched.")
    return ""


def several_processes() -> bool:
    """Do others train along, who must decide alike?"""
    dist: Any = torch.distributed
    return bool(dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1)


def scaler_skips(optimizer: torch.optim.Optimizer) -> bool:
    """Has a GradScaler told a fused optimizer to leave this update out?"""
    found = getattr(optimizer, "found_inf", None)
    return isinstance(found, Tensor) and bool(found > 0)


def captured() -> bool:
    """Is a CUDA graph being captured? Looking at a number would ruin it."""
    begun: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return begun and torch.cuda.is_current_stream_capturing()
