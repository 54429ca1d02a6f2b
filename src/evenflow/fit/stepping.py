"""One update: penalties, clipping, and the optimizer, with no more overhead than they need.

P parameters. A small network's step is mostly Python: `Optimizer.step()` alone costs as much as
the backward of two layers of 100 units. So gradients come as a tuple from `torch.autograd.grad`,
and Adam is torch's fused kernel itself, one call for all parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..treatments import agc_factor

OPTIMIZERS = ("auto", "gd", "momentum", "nesterov", "adam", "adamw", "rmsprop")


@dataclass(frozen=True, slots=True)
class Optimizing:
    """How weights follow their gradients.

    Attributes:
        optimizer: "gd" w -= η g; "momentum" (Rumelhart et al. 1986); "nesterov" (Sutskever et
            al. 2013, ICML); "adam" (Kingma & Ba 2015, arXiv:1412.6980); "adamw" (Loshchilov &
            Hutter 2019, arXiv:1711.05101); "rmsprop" (Tieleman & Hinton 2012).
        momentum: α of momentum and Nesterov.
        l1: λ of λ Σ|w| added to the loss, weights only (biases and vectors are left alone).
        l2: λ of ½ λ Σ w² added to the loss, weights only; with AdamW it decays the weights
            instead, w -= η λ w.
        clip: "none", "norm:1.0" (Pascanu et al. 2013, arXiv:1211.5063), "value:0.5", "agc:0.01".
    """

    optimizer: str
    momentum: float = 0.9
    l1: float = 0.0
    l2: float = 0.0
    clip: str = "none"


def parse_clip(text: str) -> tuple[str, float]:
    """Kind and limit of a clipping. ValueError for anything else."""
    kind, _, value = text.partition(":")
    if kind == "none" and not value:
        return kind, math.inf
    default = {"norm": 1.0, "value": 0.5, "agc": 0.01}.get(kind)
    try:
        limit = default if not value else float(value)
    except ValueError:
        limit = None
    if default is None or limit is None or not limit > 0:
        raise ValueError(
            f"clip = {text!r}: give 'none', 'norm:1.0', 'value:0.5' or 'agc:0.01', a limit above 0."
        )
    return kind, limit


class Updater:
    """Updates `params` in place from their gradients, and keeps the moments; it can be pickled.

    `update(grads, rate)`: penalties, clipping, then the optimizer's rule. The last two parameters
    are the head's, which AGC leaves alone.
    """

    def __init__(self, how: Optimizing, params: Sequence[Tensor]) -> None:
        parse_clip(how.clip)
        self.how = how
        self.params = list(params)
        self.first = [torch.zeros_like(p) for p in params]
        self.second = [torch.zeros_like(p) for p in params]
        self.steps = torch.zeros((), device=self.params[0].device)
        # what the fused kernel adds by itself: one pass over the weights instead of three
        alone = how.optimizer == "adamw" or (
            how.optimizer == "adam" and not how.l1 and how.clip == "none"
        )
        self.inner = how.l2 if alone else 0.0
        self.weights = [k for k, p in enumerate(self.params) if p.dim() > 1]
        others = [k for k, p in enumerate(self.params) if p.dim() <= 1]
        whole = list(range(len(self.params)))
        groups = ((self.weights, self.inner), (others, 0.0)) if self.inner else ((whole, 0.0),)
        self.groups = [(keys, decay) for keys, decay in groups if keys]

    @torch.no_grad()
    def __call__(self, grads: Sequence[Tensor], rate: float) -> None:
        how = self.how
        coupled = how.l2 - self.inner
        if coupled or how.l1:
            grads = list(grads)
            # a new tensor: a gradient may be a view of what autograd shares
            for k in self.weights:
                p = self.params[k]
                grads[k] = grads[k].add(p, alpha=coupled) if coupled else grads[k].clone()
                if how.l1:
                    grads[k].add_(p.sign(), alpha=how.l1)
        if how.clip != "none":
            grads = clipped(grads, self.params, *parse_clip(how.clip))
        _RULES[how.optimizer](self, grads, rate)

    @torch.no_grad()
    def forget(self, before: Sequence[Tensor]) -> None:
        """Set the moments to 0 wherever the parameters differ from `before`, their older copies."""
        for p, old, *moments in zip(self.params, before, self.first, self.second, strict=True):
            for moment in moments:
                moment.masked_fill_(p != old, 0.0)


def _descend(u: Updater, grads: Sequence[Tensor], rate: float) -> None:
    torch._foreach_add_(u.params, list(grads), alpha=-rate)


def _momentum(u: Updater, grads: Sequence[Tensor], rate: float) -> None:
    # Δw = -η g + α Δw_last, as the miniature has it: Δw is remembered, where torch's SGD keeps Δw/η
    torch._foreach_mul_(u.first, u.how.momentum)
    torch._foreach_add_(u.first, list(grads), alpha=-rate)
    torch._foreach_add_(u.params, u.first)


def _nesterov(u: Updater, grads: Sequence[Tensor], rate: float) -> None:
    # the weights held are those looked ahead to, w + α Δw (Sutskever et al. 2013, appendix A.1)
    alpha = u.how.momentum
    torch._foreach_mul_(u.first, alpha)
    torch._foreach_add_(u.first, list(grads), alpha=-rate)
    torch._foreach_add_(u.params, u.first, alpha=alpha)
    torch._foreach_add_(u.params, list(grads), alpha=-rate)


def _rmsprop(u: Updater, grads: Sequence[Tensor], rate: float) -> None:
    torch._foreach_mul_(u.second, 0.99)
    torch._foreach_addcmul_(u.second, list(grads), list(grads), 0.01)
    spread = torch._foreach_sqrt(u.second)
    torch._foreach_add_(spread, 1e-8)
    torch._foreach_addcdiv_(u.params, list(grads), spread, -rate)


def _adam(u: Updater, grads: Sequence[Tensor], rate: float) -> None:
    """torch's own kernel, called as `torch.optim.adam` calls it: one call for all parameters, two
    where it decays weights alone."""
    fused: dict[str, Callable[..., None]]
    fused = {"adam": torch._fused_adam_, "adamw": torch._fused_adamw_}
    u.steps.add_(1)
    for keys, decay in u.groups:
        fused[u.how.optimizer](
            *([kept[k] for k in keys] for kept in (u.params, grads, u.first, u.second)),
            [],
            [u.steps] * len(keys),
            lr=rate,
            beta1=0.9,
            beta2=0.999,
            weight_decay=decay,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )


_RULES: dict[str, Callable[[Updater, Sequence[Tensor], float], None]] = {
    "gd": _descend,
    "momentum": _momentum,
    "nesterov": _nesterov,
    "adam": _adam,
    "adamw": _adam,
    "rmsprop": _rmsprop,
}


def clipped(
    grads: Sequence[Tensor], params: Sequence[Tensor], kind: str, limit: float
) -> list[Tensor]:
    """Gradients kept in bounds: all by their common norm, by value, or unit by unit (AGC)."""
    if kind == "norm":
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(grads))))
        return list(torch._foreach_mul(list(grads), (limit / (norm + 1e-6)).clamp(max=1.0)))
    if kind == "value":
        return [g.clamp(-limit, limit) for g in grads]
    return [g * agc_factor(p, g, limit) for p, g in zip(params[:-2], grads, strict=False)] + list(
        grads[-2:]
    )
