"""Which claims there are: one explicit dict."""

from __future__ import annotations

from . import (
    auxiliary_heads,
    batch_norm,
    clipping,
    constants,
    dropout,
    input_scale,
    layer_norm,
    leaky_slope,
    local_minima,
    positive_bias,
    relu_at_zero,
    selu_recipe,
    sigmoid_and_tanh,
    truncated_time,
    xavier,
)
from .base import Claim

CLAIMS: dict[str, Claim] = {
    c.name: c
    for c in (
        dropout.CLAIM,
        xavier.CLAIM,
        batch_norm.CLAIM,
        layer_norm.CLAIM,
        sigmoid_and_tanh.CLAIM,
        selu_recipe.CLAIM,
        constants.CLAIM,
        positive_bias.CLAIM,
        leaky_slope.CLAIM,
        relu_at_zero.CLAIM,
        clipping.CLAIM,
        truncated_time.CLAIM,
        auxiliary_heads.CLAIM,
        input_scale.CLAIM,
        local_minima.CLAIM,
    )
}
