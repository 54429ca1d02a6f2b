"""Tailored activations (TAT): the activation bent to the network's depth, with orthogonal weights.

LeakyReLU with the slope for which two unrelated inputs keep a correlation below 0.9 through all
layers (0.43 for 50); tanh and sigmoid as γ(φ(αx + β) + δ) with Q(1) = Q'(1) = C'(1) = 1. Cures
what depth does to plain networks without skips or normalisation: 50 layers of ReLU from 81 % to
95 %. Step 0. Fails: sensitive to the learning rate.
"""

from __future__ import annotations

from .base import Entry, Facts, whole


def _check(value: str) -> None:
    if value not in ("", "auto"):
        whole(value, least=1)


def _refuse(value: str, facts: Facts) -> str | None:
    if facts.step > 0:
        return "it would overwrite what the network has learned."
    if not set(facts.activations) & {"relu", "leaky_relu", "tanh", "sigmoid"}:
        return "the network has no hidden ReLU, tanh or sigmoid to tailor."
    if facts.norms or facts.skips:
        return "it is made for plain networks; norms and skips already do its work."
    return None


def _edit(value: str) -> str:
    depth = value if value not in ("", "auto") else "DEPTH"
    return (
        f"replace ReLU by evenflow.activations.TailoredLeakyReLU(depth={depth}) (tanh, sigmoid: "
        f"TailoredTanh(depth={depth})), and torch.nn.init.orthogonal_ each weight"
    )


TAILORED = Entry(
    kind="tailored",
    about="activations bent to the depth, with orthogonal weights",
    codes=("EF604", "EF205", "EF101", "EF202"),
    when="start",
    needs=("batch", "activation", "layers"),
    preserves=False,
    cost="none beyond the new function's",
    fails="sensitive to the learning rate; plain networks only",
    source="Zhang et al. 2022, arXiv:2203.08120; Martens et al. 2021, arXiv:2110.01765",
    values={"auto": "for the depth the network has", "50": "for 50 non-linear layers"},
    edit=_edit,
    check=_check,
    refuse=_refuse,
    apply="tailor:apply",
)
ENTRIES = (TAILORED,)
