"""Treatments that meet in one text: what each finds after those applied before it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..schema import Treatment
from . import registry
from .base import Facts
from .swap import split

#: Order of application, whatever order the text has: structure first, then weights, then steps.
ORDER = (
    *("input", "target", "recurrent", "activation", "tailored", "norm", "rezero", "dropout"),
    *("attention", "init", "bias", "revive", "parameters"),
    *("l1", "l2", "clip", "momentum", "lr", "warmup", "decay", "optimizer", "edit"),
)


def in_order(treatments: Iterable[Treatment]) -> list[Treatment]:
    """As they are applied; those of one kind keep the text's order."""
    return sorted(treatments, key=lambda t: ORDER.index(t.kind))


def refusals(treatments: Iterable[Treatment], facts: Facts) -> list[tuple[Treatment, str]]:
    """Which of them would harm, and why, each judged on the network that those before it leave."""
    out = []
    for t in in_order(treatments):
        why = registry.entry(t).refuse(t.value, facts)
        if why is not None:
            out.append((t, why))
        facts = after(t, facts)
    return out


def after(t: Treatment, facts: Facts) -> Facts:
    """The architecture once `t` is applied."""
    if t.kind == "activation":
        old, new, _ = split(t.value)
        acts = tuple(dict.fromkeys(new if a == old else a for a in facts.activations))
        return replace(facts, activations=acts)
    if t.kind == "tailored":
        return replace(facts, activations=("tailored_tanh",))
    if t.kind == "norm":
        return replace(facts, norms=facts.norms | {f"{t.value.partition(':')[0]}_norm"})
    if t.kind == "rezero":
        return replace(facts, skips=True)
    if t.kind == "dropout":
        return replace(facts, dropout=True)
    if t.kind == "recurrent" and t.value in ("lstm", "gru"):
        return replace(facts, recurrent=frozenset((t.value,)))
    return facts
