"""Latents drawn by reparameterisation, z = μ + σ·ε: how much of a sample is left in them."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from . import numbers
from .frames import OpCall
from .sample import Sample

#: Operations that draw them.
DRAWING = frozenset({"mul", "add", "addcmul"})
#: Spread of μ_j over samples below which latent j is idle (Burda et al. 2016, arXiv:1509.00519,
#: section 5: active units, Cov_x(E[u]) > .01).
ACTIVE = 0.01
#: Samples that tell a spread; elements that are looked at.
_FEWEST, _MOST = 8, 1 << 18


class Latents:
    """Finds σ·ε, then what it is added to. To be asked in full readings only."""

    def __init__(self, recorder: Sample, producer: Callable[[Tensor], int | None]) -> None:
        self.recorder, self._producer = recorder, producer
        self._scaled: dict[int, tuple[Tensor, Tensor]] = {}  # site of σ·ε -> (σ, ε)

    def reset(self) -> None:
        self._scaled.clear()

    def see(self, call: OpCall, site: int, out: Tensor) -> None:
        """Note a product that may be σ·ε; read the sum that it goes into."""
        ts = call.tensors
        if call.op.name == "mul" and len(ts) == 2:
            a, b = ts if ts[0].requires_grad else ts[::-1]
            if _drawn(a, b):
                self._scaled[site] = a.detach(), b
        elif call.op.name == "addcmul" and len(ts) == 3:
            a, b = ts[1:] if ts[1].requires_grad else ts[:0:-1]
            if _drawn(a, b):
                self._add(site, ts[0], a.detach(), b)
        elif call.op.name == "add" and len(ts) == 2:
            held = [self._scaled[i] for i in call.inputs if i in self._scaled]
            if held:
                # in place, one of the two has become the sum
                means = [t for t in ts if t is not out and self._producer(t) not in self._scaled]
                if len(means) == 1:
                    self._add(site, means[0], *held[0])

    def _add(self, site: int, mean: Tensor, std: Tensor, noise: Tensor) -> None:
        if mean.grad_fn is None or mean.shape != std.shape:
            return
        for metric, value in left(mean.detach(), std, noise).items():
            self.recorder.add("site", site, metric, value)


def _drawn(std: Tensor, noise: Tensor) -> bool:
    """May this be a computed deviation and noise of its shape?"""
    return (
        std.grad_fn is not None
        and not noise.requires_grad
        and noise.is_floating_point()
        and noise.shape == std.shape
        and std.dim() > 1
        and std.shape[0] >= _FEWEST
        and std.numel() <= _MOST
    )


def left(mean: Tensor, std: Tensor, noise: Tensor) -> dict[str, Tensor]:
    """What samples [B, L] (or [B, T, L], [B, L, H, W]) leave in their latents.

    latent_idle: share of latents whose mean varies by less than .01 over samples; latent_kl: nats
    a latent, mean of (μ² + σ² - 1 - ln σ²) / 2 over samples and latents. NaN where ε is no
    standard normal noise (a mask, a schedule).
    """
    mu_NL, std_NL, eps = (_rows(numbers.local(t)) for t in (mean, std, noise))
    var_NL = std_NL.square().clamp(min=1e-30)
    normal = ((eps.square().mean() - 1).abs() < 0.5) & (
        ((eps < 0).float().mean() - 0.5).abs() < 0.2
    )
    idle = (mu_NL.var(0) < ACTIVE).float().mean()
    nats = 0.5 * (mu_NL.square() + var_NL - 1 - var_NL.log()).mean()
    return {
        "latent_idle": torch.where(normal, idle, math.nan),
        "latent_kl": torch.where(normal, nats, math.nan),
    }


def _rows(x: Tensor) -> Tensor:
    """[N, L]: latents along the last axis, or along axis 1 of maps."""
    x = x.movedim(1, -1) if x.dim() > 3 else x
    return x.reshape(-1, x.shape[-1]).float()
