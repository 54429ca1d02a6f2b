"""Dropout, and alpha dropout for SELU networks, with random numbers of its own.

At the inputs of layers that read activations. Masks depend on seed, place and update alone: the
script's random numbers, and so its data order, stay the same. Fails: slows learning; no cure for
gradients. In evaluation the outputs stay the same. Source: Srivastava et al. 2014, JMLR 15;
Klambauer et al. 2017, arXiv:1706.02515.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from .base import Entry, Facts, number, shown


class Dropout(NamedTuple):
    """The share of units to drop, and whether SELU's mean and variance are kept."""

    share: float
    alpha: bool


def _parse(text: str) -> Dropout:
    kind, colon, share = text.partition(":")
    if kind == "alpha" and not colon:
        raise ValueError(f"{text!r} must give the share to drop, such as alpha:0.05")
    alpha = kind == "alpha"
    return Dropout(number(share if alpha else text, above=0, upto=0.95), alpha)


def _refuse(wanted: Dropout, facts: Facts) -> str | None:
    if not facts.activations:
        return "no layer reads an activation."
    if facts.dropout:
        return "the network has dropout already."
    if wanted.alpha and facts.activation != "selu":
        return "alpha dropout keeps mean and variance of SELU's outputs alone."
    if not wanted.alpha and facts.activation == "selu":
        return "plain dropout breaks SELU's mean and variance: use dropout=alpha:0.05."
    if facts.deep and facts.plain:
        return f"{facts.depth} plain layers would each add noise: the signal drowns."
    return None


DROPOUT = Entry(
    kind="dropout",
    about="random units left out at each update",
    examples=("0.1", "alpha:0.05"),
    edit=lambda v: (
        f"put torch.nn.AlphaDropout({shown(v.share)}) after each SELU"
        if v.alpha
        else f"put torch.nn.Dropout({shown(v.share)}) after each activation"
    ),
    parse=_parse,
    refuse=_refuse,
    leaves=lambda v, facts: replace(facts, dropout=True),
    apply="dropout:apply",
)
ENTRIES = (DROPOUT,)
