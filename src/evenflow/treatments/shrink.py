"""L1 and L2: large weights pulled back, so that saturated units come back into their slope.

Added to the gradient of every matrix before each update. Any time; outputs stay the same. Fails:
too strong, it holds the network at small weights. Source: Tibshirani 1996; Krogh & Hertz 1991.
"""

from __future__ import annotations

from collections.abc import Callable

from .base import Entry, positive, shown


def _entry(kind: str, about: str, first: str, edit: Callable[[float], str]) -> Entry:
    return Entry(
        kind=kind,
        about=about,
        examples=(first,),
        edit=edit,
        parse=positive,
        apply=f"shrink:{kind}",
    )


ENTRIES = (
    _entry(
        "l1",
        "λ|w| added to the loss",
        "1e-5",
        lambda v: f"loss = loss + {shown(v)} * sum(p.abs().sum() for p in model.parameters())",
    ),
    _entry(
        "l2",
        "½λw² added to the loss",
        "1e-4",
        lambda v: f"give the optimizer weight_decay={shown(v)}",
    ),
)
