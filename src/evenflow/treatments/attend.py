"""Attention that cannot collapse: its weights held by their spectral norm, or cut short.

σReparam: query, key and value weights as (γ/σ(W)) W. Scores are bounded by the spectral norms of
the weights in front of them; with γ trainable and equal to σ(W) at first the function is the same
at any time, and growth of the weights no longer sharpens the softmax. Max-norm: rows of these
weights at most 1 long, so that queries and keys of normalised inputs have components of variance
at most 1, for which scores are divided by √d; once, at step 0. New parameters join the optimizer.
Fails: slower to sharpen where that is right; inputs of attention that are not normalised may be as
large as they like. Sources: Zhai et al. 2023, arXiv:2303.06296; max-norm: Vaswani et al. 2017,
arXiv:1706.03762, section 3.2.1, and Srebro & Shraibman 2005, COLT.
"""

from __future__ import annotations

from .base import Entry, Facts, nothing, optional, positive, shown


def no_attention(parsed: float | None, facts: Facts) -> str | None:
    return None if facts.attention else "the network has no attention."


def at_the_start(parsed: float | None, facts: Facts) -> str | None:
    if facts.step > 0:
        return "it changes what the trained attention computes; use attention=sigma-reparam."
    return no_attention(parsed, facts)


SIGMA = Entry(
    kind="attention",
    method="sigma-reparam",
    about="query, key and value weights kept at their spectral norm",
    examples=("sigma-reparam",),
    edit=lambda v: (
        "torch.nn.utils.parametrizations.spectral_norm(layer) for the query, key and value layers, "
        "times a trainable scalar"
    ),
    parse=nothing,
    refuse=no_attention,
    apply="attend:apply",
)
MAX_NORM = Entry(
    kind="attention",
    method="max-norm",
    about="rows of query, key and value weights at most 1 long at the start",
    examples=("max-norm", "max-norm:0.5"),
    edit=lambda v: (
        "before training, for the query, key and value layers: layer.weight.mul_("
        f"{shown(v)} / layer.weight.norm(dim=1, keepdim=True).clamp_min({shown(v)}))"
    ),
    parse=optional(positive, 1.0),
    refuse=at_the_start,
    apply="attend:max_norm",
)
ENTRIES = (SIGMA, MAX_NORM)
