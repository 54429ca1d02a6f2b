"""What a second backward through a forward that is run again tells, step by step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .retrace import Played, Retrace


def seed_of(out: Tensor) -> Tensor:
    """A cotangent without any symmetry of which a softmax or a norm would make 0."""
    return torch.arange(out.numel(), device=out.device).cos().view(out.shape).to(out.dtype)


def last_bad(
    retrace: Retrace,
    played: Played,
    out: Tensor,
    seed: Tensor,
    fits: Callable[[Tensor], bool],
    bad: Callable[[Tensor], bool],
) -> int:
    """The last step whose output `fits` and has a `bad` gradient; -1: the data alone do."""
    made = []
    for k, step in enumerate(retrace.steps):
        for slot in step.outs:
            t = played.values[slot]
            if t is not None and t is not out and t.requires_grad and fits(t):
                made.append((k, t))
    if not made:
        return -1
    grads = torch.autograd.grad(out, [t for _, t in made], seed, allow_unused=True)
    return max(
        [k for (k, _), g in zip(made, grads, strict=True) if g is not None and bad(g)], default=-1
    )
