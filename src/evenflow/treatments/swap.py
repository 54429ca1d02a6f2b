"""Other activations: what does not die, does not saturate, or is centred.

Cures dying ReLU (LeakyReLU, ELU, GELU, SiLU never switch off), saturation and, with depth, signals
that die out. All hidden activations of a kind are swapped, `nn.Module`s and functional calls
alike; gates (factors of a product) and outputs are left. Any time, though a trained network
changes its function. Fails: not exact; SELU wants LeCun-normal weights and AlphaDropout.

`centred_sigmoid` is 4(σ(x) - ½): a sigmoid of mean 0 and slope 1, with which a plain network is
critical under orthogonal weights, however deep (measured: 1,000 layers).

Sources: Maas et al. 2013; Clevert et al. 2015, arXiv:1511.07289; Klambauer et al. 2017,
arXiv:1706.02515; Hendrycks & Gimpel 2016, arXiv:1606.08415.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from ..activations import find
from ..lang import _
from ..nearby import did_you_mean, there_are
from ..network import ACTIVATIONS
from .base import Entry, Facts

#: Activations that a swap may begin from, as torch names the functions.
SOURCES = tuple(name for name in ACTIVATIONS if name != "prelu")  # which has weights
#: The number that may follow ":" in the value, by the activation's name.
DETAIL = {
    "leaky_relu": "negative_slope",
    "prelu": "init",
    "elu": "alpha",
    "tailored_tanh": "depth",
    "tailored_sigmoid": "depth",
    "tailored_leaky_relu": "depth",
    "sigmoid": "slope",
}
EXTRA = ("centred_sigmoid", "identity")


class Swap(NamedTuple):
    """Which activation becomes which, with the new one's numbers by name."""

    old: str
    new: str
    parameters: dict[str, float]


def _parse(value: str) -> Swap:
    """Of "old->new" or "old->new:number"; ValueError otherwise."""
    old, arrow, target = (p.strip() for p in value.partition("->"))
    new, colon, text = target.partition(":")
    if not arrow or not new:
        raise ValueError(f"{value!r} must read OLD->NEW, such as relu->leaky_relu:0.1")
    if old not in SOURCES:
        hint = did_you_mean(old, SOURCES, write=str) or there_are(SOURCES)
        said = _("{name!r} is no activation to swap; {hint}")
        raise ValueError(said.format(name=old, hint=hint))
    if new not in EXTRA:
        if find(new).f is None:
            raise ValueError(f"{new} needs to know the number of channels; swap it by hand")
        new = find(new).name
    parameters: dict[str, float] = {}
    if colon:
        name = DETAIL.get(new)
        if name is None:
            raise ValueError(f"{new} takes no number after ':'")
        try:
            number = float(text)
        except ValueError:
            raise ValueError(f"{text!r} after {new} must be a number") from None
        parameters[name] = int(number) if name == "depth" and number == int(number) else number
    return Swap(old, new, parameters)


def _refuse(swap: Swap, facts: Facts) -> str | None:
    if swap.old not in facts.activations:
        there = ", ".join(facts.activations) or "none that can be swapped"
        return f"the network has no hidden {swap.old} (it has {there})."
    if swap.new == "sigmoid" and facts.deep:
        return "the sigmoid is never centred: a deep network of them does not train."
    if swap.new == "identity":
        return "without a non-linearity the layers act as a single one."
    return None


def _edit(swap: Swap) -> str:
    numbers = "".join(f", {k}={v:g}" for k, v in swap.parameters.items())
    if swap.new == "centred_sigmoid":
        return "replace torch.sigmoid(x) between layers by 4 * (torch.sigmoid(x) - 0.5)"
    return f"replace {swap.old} between layers by evenflow.activations.get({swap.new!r}{numbers})"


def _leaves(swap: Swap, facts: Facts) -> Facts:
    there = (swap.new if a == swap.old else a for a in facts.activations)
    return replace(facts, activations=tuple(dict.fromkeys(there)))


ACTIVATION = Entry(
    kind="activation",
    about="another activation between the layers",
    examples=(
        "relu->leaky_relu:0.1",
        "relu->elu",
        "relu->gelu",
        "relu->selu",
        "sigmoid->centred_sigmoid",
        "sigmoid->tanh",
        "tanh->relu",
    ),
    edit=_edit,
    parse=_parse,
    refuse=_refuse,
    leaves=_leaves,
    apply="swap:apply",
)
ENTRIES = (ACTIVATION,)
