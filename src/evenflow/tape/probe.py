"""Flow through time in fused RNN, LSTM and GRU: a cotangent on the last step only.

With a loss on every step the plain gradient looks flat while the recurrence forgets, and a fused
layer hides its steps. So the layer alone is run again on a few samples, off the training step,
and d(last output)/d(input at step t) is taken for all t in one backward pass.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from . import numbers
from .frames import Frame
from .sample import Sample
from .scalars import ScalarBuffer

_SAMPLES = 2


class Probes:
    """Remembers fused recurrent calls of a sampled forward, to probe them after the update."""

    def __init__(self, recorder: Sample) -> None:
        self._recorder = recorder
        self.waiting: dict[int, tuple[nn.RNNBase, Tensor]] = {}

    def see(self, module: nn.Module, frame: Frame, args: Any) -> None:
        """On a full step: keep a copy of a few samples of a recurrent layer's input."""
        rec = self._recorder
        if not isinstance(module, nn.RNNBase) or not rec.full or rec.recomputing or not args:
            return
        x = args[0]
        site = rec.registry.site(frame.place, module.mode.lower(), "recurrent", 0, frame.call)
        if site is None or not isinstance(x, Tensor) or x.dim() != 3:
            return
        few = x.detach()[:_SAMPLES] if module.batch_first else x.detach()[:, :_SAMPLES]
        self.waiting[site] = (module, few.clone())

    def run(self, scalars: ScalarBuffer) -> None:
        """Take the probes, into `scalars`; no reading of ours may see them (the caller's duty)."""
        waiting, self.waiting = self.waiting, {}
        for site, (module, x) in waiting.items():
            flow = through_time(module, x)
            if flow is not None:
                scalars.add(("site", site, "flow", -1), flow)
                steps = x.shape[1 if module.batch_first else 0]
                scalars.add(("site", site, "flow_steps", -1), float(steps))


def through_time(module: nn.RNNBase, x: Tensor) -> float | None:
    """Decades that gradient gains from the last time step back to the first.

    log10(|d y_T / d x_1| / |d y_T / d x_T|) for a random cotangent of +-1 on the last output of
    the forward direction. x: [B, T, F] if batch_first, else [T, B, F]. None for fewer than two
    steps; -inf when nothing arrives. Draws no random number and leaves the module as it was.
    """
    axis = 1 if module.batch_first else 0
    if x.shape[axis] < 2:
        return None
    x = x.detach().float().requires_grad_()
    keep = saved_tensors_hooks(_same, _same)  # hooks of the user's hear nothing of this graph
    with torch.enable_grad(), torch.autocast(x.device.type, enabled=False), keep:
        weights = [w.detach().float() for w in module._flat_weights]  # type: ignore[union-attr]
        y = _call(module, x, weights)
        last = y.select(axis, y.shape[axis] - 1)[..., : module.hidden_size]
        sign = 1.0 - 2.0 * (torch.arange(last.numel(), device=x.device) % 2).view_as(last)
        (grad,) = torch.autograd.grad(last, x, sign.to(last.dtype))
    grad = numbers.wide(grad)
    first = float(grad.select(axis, 0).norm())
    final = float(grad.select(axis, x.shape[axis] - 1).norm())
    if not final > 0:
        return None
    return math.log10(first / final) if first > 0 else -math.inf


def _same(t: Tensor) -> Tensor:
    return t


def _call(module: nn.RNNBase, x: Tensor, weights: list[Tensor]) -> Tensor:
    layers = module.num_layers * (2 if module.bidirectional else 1)
    batch = x.shape[0 if module.batch_first else 1]
    h = x.new_zeros(layers, batch, module.proj_size or module.hidden_size)
    state: Any = h
    fixed = (module.bias, module.num_layers, 0.0, False, module.bidirectional, module.batch_first)
    if module.mode == "LSTM":
        state = (h, x.new_zeros(layers, batch, module.hidden_size))
    out: Tensor = getattr(torch._VF, module.mode.lower())(x, state, weights, *fixed)[0]
    return out
