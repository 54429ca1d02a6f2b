"""Gradient clipping: one bad batch must not undo what thousands have taught.

By the norm of all gradients, element by element, unit by unit against the weights (AGC), or against
the running distribution of norms (ZClip). Acts before each update, after unscaling. Any time; the
outputs stay the same. Fails: where every gradient explodes it only slows the ruin.
"""

from __future__ import annotations

from .base import Entry, optional, positive, shown


def _entry(method: str, about: str, source: str, default: float, edit: object, name: str) -> Entry:
    return Entry(
        kind="clip",
        method=method,
        about=about,
        when="any",
        preserves=True,
        cost="one pass over the gradients a step",
        fails="structural explosion: every step is clipped and little is learned",
        source=source,
        values={f"{method}:{default}": about, method: f"the same as :{default}"},
        edit=edit,  # type: ignore[arg-type]
        parse=optional(positive, default),
        apply=f"clip:{name}",
    )


ENTRIES = (
    _entry(
        "norm",
        "all gradients scaled to a norm of at most 1",
        "Pascanu et al. 2013, arXiv:1211.5063",
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
        "Mikolov 2012, thesis, Brno",
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
        "Brock et al. 2021, arXiv:2102.06171",
        0.01,
        lambda v: f"evenflow.treat_(model, optimizer, 'clip=agc:{shown(v)}')",
        "agc",
    ),
    _entry(
        "z",
        "norms far above their running mean brought back to it",
        "Kumar et al. 2025, arXiv:2504.02507",
        2.5,
        lambda v: f"evenflow.treat_(model, optimizer, 'clip=z:{shown(v)}')",
        "z",
    ),
)
