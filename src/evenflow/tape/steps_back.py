"""What a second backward through a forward that is run again tells, step by step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .retrace import Played, Retrace, Unplayable


def seed_of(out: Tensor) -> Tensor:
    """A cotangent without any symmetry of which a softmax or a norm would make 0."""
    return torch.arange(out.numel(), device=out.device).cos().view(out.shape).to(out.dtype)


def sent_back(out: Tensor, to: list[Tensor], seed: Tensor) -> tuple[Tensor | None, ...]:
    """What of a cotangent comes back to each of these; None where nothing does."""
    try:
        return torch.autograd.grad(out, to, seed, retain_graph=True, allow_unused=True)
    except RuntimeError as e:  # written over in place: the script never asked for this gradient
        raise Unplayable("backward") from e


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
    grads = sent_back(out, [t for _, t in made], seed)
    return max(
        [k for (k, _), g in zip(made, grads, strict=True) if g is not None and bad(g)], default=-1
    )
