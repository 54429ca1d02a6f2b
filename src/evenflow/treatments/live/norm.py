"""Normalisation between a hidden layer and its activation."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import nn

from .context import TreatmentContext
from .forward_trace import TracedCall
from .grafting import Forward, Graft


class After(Graft):
    """Sends a module's output through another module."""

    def __init__(self, then: nn.Module) -> None:
        super().__init__()
        self.then = then

    def around(self, inner: Forward, *args: Any, **kwargs: Any) -> Any:
        return self.then(inner(*args, **kwargs))


def _between(context: TreatmentContext, groups: int | None, *, kind: str) -> None:
    """Put batch, layer, group or RMS normalisation after each hidden layer that feeds an
    activation and is not normalised yet. Scale starts at 1 and shift at 0.

    Batch and group normalisation see channels in dimension 1; layer and RMS normalisation the
    features in the last one (of convolutions: one group of all channels).
    """
    done = 0
    for call in context.forward.hidden:
        after = call.nearest(("activation", "norm", "affine"), ("dropout", "view"), back=False)
        if not any(c.kind == "activation" for c in after):
            continue
        module = context.module_of(call)
        if module is None:
            raise ValueError(
                f"{call.op} in {call.path or 'the root'} uses its weight without a module of its "
                "own (nn.Linear, nn.Conv2d); put the normalisation in by hand."
            )
        context.graft(module, After(_norm(kind, call, groups)), getattr(module, "weight", None))
        done += 1
    if not done:
        raise ValueError("no hidden layer feeds an activation without normalisation.")


batch, layer, group, rms = (partial(_between, kind=k) for k in ("batch", "layer", "group", "rms"))


def _norm(kind: str, call: TracedCall, groups: int | None) -> nn.Module:
    spatial = len(call.shape) - 2 if "conv" in call.op else 0
    if spatial < 0:
        raise ValueError(f"{call.path} is called without a batch dimension.")
    channels = call.shape[1] if "conv" in call.op else call.shape[-1]
    if kind == "batch":
        if not spatial and len(call.shape) != 2:
            raise ValueError(
                f"{call.path} has outputs of shape {call.shape}, in which batch normalisation "
                "would take dimension 1 for the features; use norm=layer."
            )
        made = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[spatial]
        return made(channels)
    if kind == "group" or spatial:
        n = max(g for g in range(1, (groups or 1) + 1) if channels % g == 0)
        if not spatial and len(call.shape) != 2:
            raise ValueError(f"{call.path}: group normalisation needs channels in dimension 1.")
        return nn.GroupNorm(n, channels)
    return nn.RMSNorm(channels) if kind == "rms" else nn.LayerNorm(channels)
