"""Attention that cannot collapse: σReparam and query-key normalisation.

σReparam: query, key and value weights as (γ/σ(W)) W. Scores are bounded by the spectral norms of
the weights in front of them; with γ trainable and equal to σ(W) at first the function is the same
at any time, and growth of the weights no longer sharpens the softmax. QK-norm: each head's queries
and keys have rms 1 times a gain per component, so that no score grows with the weights at all; step
0, as it is another function. Max-norm: rows of these weights at most 1 long, so that queries and
keys of normalised inputs have components of variance at most 1, for which scores are divided by √d;
once, at step 0. New parameters join the optimizer. Fails: slower to sharpen where that is right.
"""

from __future__ import annotations

from .base import Entry, Facts, bare, detail, number, optional


def _refuse(value: str, facts: Facts) -> str | None:
    return None if facts.attention else "the network has no attention."


def _start(value: str, facts: Facts) -> str | None:
    if facts.step > 0:
        return "it changes what the trained attention computes; use attention=sigma-reparam."
    return _refuse(value, facts)


SIGMA = Entry(
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
    apply="attend:apply",
)
QK = Entry(
    kind="attention",
    method="qk-norm",
    about="queries and keys normalised before their scores",
    codes=("EF204", "EF206", "EF703"),
    when="start",
    needs=("batch", "attention"),
    preserves=False,
    cost="two normalisations of queries and keys a step",
    fails="slower to sharpen where that is right",
    source="Henry et al. 2020, arXiv:2010.04245; Dehghani et al. 2023, arXiv:2302.05442",
    values={"qk-norm": "each head's to rms 1, with a gain per component"},
    edit=lambda v: (
        "in each attention, before the scores: q, k = q_norm(q), k_norm(k), with torch.nn.RMSNorm("
        "head size) for each"
    ),
    check=bare,
    refuse=_start,
    apply="qk_norm:apply",
)
MAX_NORM = Entry(
    kind="attention",
    method="max-norm",
    about="rows of query, key and value weights at most 1 long at the start",
    codes=("EF204",),
    when="start",
    needs=("batch", "attention"),
    preserves=False,
    cost="none",
    fails="inputs of attention that are not normalised may be as large as they like",
    source="Vaswani et al. 2017, arXiv:1706.03762, section 3.2.1; Srebro & Shraibman 2005, COLT",
    values={"max-norm": "rows of norm 1 at most", "max-norm:0.5": "half as long"},
    edit=lambda v: (
        "before training, for the query, key and value layers: layer.weight.mul_("
        f"{detail(v) or 1} / layer.weight.norm(dim=1, keepdim=True).clamp_min({detail(v) or 1}))"
    ),
    check=optional(lambda text: number(text, above=0)),
    refuse=_start,
    apply="attend:max_norm",
)
ENTRIES = (SIGMA, QK, MAX_NORM)
