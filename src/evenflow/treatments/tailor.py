"""Tailored activations (TAT): the activation bent to the network's depth, with orthogonal weights.

LeakyReLU with the slope for which two unrelated inputs keep a correlation below 0.9 through all
layers (0.43 for 50); tanh and sigmoid as γ(φ(αx + β) + δ) with Q(1) = Q'(1) = C'(1) = 1. Cures
what depth does to plain networks without skips or normalisation: 50 layers of ReLU from 81 % to
95 %. Step 0. Fails: sensitive to the learning rate. Source: Martens et al. 2021, arXiv:2110.01765;
Zhang et al. 2022, arXiv:2203.08120.
"""

from __future__ import annotations

from dataclasses import replace

from .base import Entry, Facts, overwrites, whole


def _parse(text: str) -> int | None:
    """The depth to tailor to; None: the network's own."""
    return None if text in ("", "auto") else whole(text, least=1)


def _refuse(depth: int | None, facts: Facts) -> str | None:
    if why := overwrites(facts):
        return why
    if not set(facts.activations) & {"relu", "leaky_relu", "tanh", "sigmoid"}:
        return "the network has no hidden ReLU, tanh or sigmoid to tailor."
    if facts.norms or facts.skips:
        return "it is made for plain networks; norms and skips already do its work."
    return None


def _edit(depth: int | None) -> str:
    of = depth or "DEPTH"
    return (
        f"replace ReLU by evenflow.activations.TailoredLeakyReLU(depth={of}) (tanh, sigmoid: "
        f"TailoredTanh(depth={of})), and torch.nn.init.orthogonal_ each weight"
    )


TAILORED = Entry(
    kind="tailored",
    about="activations bent to the depth, with orthogonal weights",
    examples=("auto", "50"),
    edit=_edit,
    parse=_parse,
    refuse=_refuse,
    leaves=lambda depth, facts: replace(facts, activations=("tailored_tanh",)),
    apply="tailor:apply",
)
ENTRIES = (TAILORED,)
