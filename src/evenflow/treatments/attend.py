"""σReparam: query, key and value weights as (γ/σ(W)) W, so that attention cannot collapse.

Scores are bounded by the spectral norms of the weights in front of them; with γ trainable and
equal to σ(W) at first the function is the same at any time, and growth of the weights no longer
sharpens the softmax. New parameters γ join the optimizer. Fails: slower to sharpen where that is
right.
"""

from __future__ import annotations

from .base import Entry, Facts, bare


def _refuse(value: str, facts: Facts) -> str | None:
    return None if facts.attention else "the network has no attention."


ATTENTION = Entry(
    kind="attention",
    method="sigma-reparam",
    about="query, key and value weights kept at their spectral norm",
    codes=("EF204", "EF206"),
    when="any",
    needs=("batch", "attention"),
    preserves=True,
    cost="one power iteration a weight and step",
    fails="slower to sharpen where that is right",
    source="Zhai et al. 2023, arXiv:2303.06296",
    values={"sigma-reparam": "W = (γ/σ(W)) W"},
    edit=lambda v: (
        "torch.nn.utils.parametrizations.spectral_norm(layer) for the query, key and value layers, "
        "times a trainable scalar"
    ),
    check=bare,
    refuse=_refuse,
    apply="attention:apply",
)
ENTRIES = (ATTENTION,)
