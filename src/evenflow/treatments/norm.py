"""Normalisation between each hidden layer and its activation.

Keeps signals in range whatever the weights do. BatchNorm mends deep sigmoid and tanh networks
(93.8 %); LayerNorm does not save the sigmoid (8.8 %). Refused: BatchNorm on deep plain ReLU, where
it makes the gradient grow at each layer (12.3 %; Yang et al. 2019, arXiv:1902.08129). Step 0. New
parameters join the optimizer. Sources: Ioffe & Szegedy 2015, arXiv:1502.03167; Ba et al. 2016,
arXiv:1607.06450; Wu & He 2018, arXiv:1803.08494; Zhang & Sennrich 2019, arXiv:1910.07467.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from .base import Entry, Facts, Refuse, nothing, optional, whole


def _common(facts: Facts) -> str | None:
    if facts.step > 0:
        return "it changes what the trained layers after it were made for."
    if not facts.hidden or not facts.activations:
        return "no hidden layer feeds an activation."
    return None


def _batch(parsed: None, facts: Facts) -> str | None:
    if why := _common(facts):
        return why
    if facts.deep and not facts.skips and facts.activation in ("relu", "leaky_relu", "relu6"):
        return (
            f"in {facts.depth} plain ReLU layers BatchNorm makes gradients grow at each layer "
            "(measured, 50 layers: 12.3 %); use tailored or rezero."
        )
    if "batch_norm" in facts.norms:
        return "the network has BatchNorm already."
    if facts.recurrent or facts.attention:
        return "statistics over a batch of sequences mix time steps; use norm=layer."
    return None


def _unless(method: str) -> Refuse:
    """Refusals of a normalisation over one sample's features."""

    def refuse(groups: int | None, facts: Facts) -> str | None:
        if why := _common(facts):
            return why
        if any(op.startswith(method) for op in facts.norms):
            return "the network has it already."
        if facts.deep and not facts.skips and facts.activation == "sigmoid":
            return "it does not save deep sigmoid networks (measured, 50 layers: 8.8 %)."
        return None

    return refuse


def _entry(method: str, about: str, module: str, refuse: Refuse | None = None) -> Entry:
    return Entry(
        kind="norm",
        method=method,
        about=about,
        examples=(method, "group:4") if method == "group" else (method,),
        edit=lambda groups: f"put {module} between each hidden layer and its activation",
        parse=optional(partial(whole, least=1), 8) if method == "group" else nothing,
        refuse=refuse or _unless(method),
        leaves=lambda v, facts: replace(facts, norms=facts.norms | {f"{method}_norm"}),
        apply=f"norm:{method}",
    )


ENTRIES = (
    _entry(
        "batch",
        "BatchNorm before the activation",
        "torch.nn.BatchNorm1d(features)",
        _batch,
    ),
    _entry(
        "layer",
        "LayerNorm before the activation",
        "torch.nn.LayerNorm(features)",
    ),
    _entry(
        "group",
        "GroupNorm before the activation",
        "torch.nn.GroupNorm(8, channels)",
    ),
    _entry(
        "rms",
        "RMSNorm before the activation",
        "torch.nn.RMSNorm(features)",
    ),
)
