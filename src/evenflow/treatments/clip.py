"""Gradient clipping: one bad batch must not undo what thousands have taught.

By the norm of all gradients, element by element, unit by unit against the weights (AGC), or against
the running distribution of norms (ZClip). Acts before each update, after unscaling. Any time; the
outputs stay the same. Fails: where every gradient explodes it only slows the ruin. Sources: Pascanu
et al. 2013, arXiv:1211.5063; Mikolov 2012, thesis, Brno; Brock et al. 2021, arXiv:2102.06171; Kumar
et al. 2025, arXiv:2504.02507.
"""

from __future__ import annotations

from collections.abc import Callable

from .base import Entry, optional, positive, shown


def _entry(
    method: str, about: str, default: float, edit: Callable[[float], str], name: str
) -> Entry:
    return Entry(
        kind="clip",
        method=method,
        about=about,
        examples=(f"{method}:{default}", method),
        edit=edit,
        parse=optional(positive, default),
        apply=f"clip:{name}",
    )


ENTRIES = (
    _entry(
        "norm",
        "all gradients scaled to a norm of at most 1",
        1.0,
        lambda v: (
            "before optimizer.step(): torch.nn.utils.clip_grad_norm_(model.parameters(), "
            f"{shown(v)})"
        ),
        "norm",
    ),
    _entry(
        "value",
        "each element of the gradient within ±0.5",
        0.5,
        lambda v: (
            "before optimizer.step(): torch.nn.utils.clip_grad_value_(model.parameters(), "
            f"{shown(v)})"
        ),
        "by_value",
    ),
    _entry(
        "agc",
        "each unit's gradient at most a hundredth of its weights, the head left out",
        0.01,
        lambda v: f"evenflow.treat_(model, optimizer, 'clip=agc:{shown(v)}')",
        "agc",
    ),
    _entry(
        "z",
        "norms far above their running mean brought back to it",
        2.5,
        lambda v: f"evenflow.treat_(model, optimizer, 'clip=z:{shown(v)}')",
        "z",
    ),
)
