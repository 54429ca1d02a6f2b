"""A treatment's text, read once into what applies it. No torch."""

from __future__ import annotations

from collections.abc import Iterable

from ..lang import _, sentences
from ..nearby import did_you_mean, there_are
from ..schema import Treatment, parse_treatments
from .base import Entry, Facts, Parsed
from .registry import REGISTRY, kinds


def parse(text: str) -> tuple[Treatment, ...]:
    """The treatments of a text such as "init=lsuv-centred; clip=norm:1.0", each checked.

    ValueError naming the part that is wrong, what is possible there, and the nearest.

    >>> from evenflow.treatments import parse
    >>> [str(t) for t in parse("init=lsuv-centred;clip = norm:1.0")]
    ['init=lsuv-centred', 'clip=norm:1.0']
    """
    return tuple(p.treatment for p in map(read, parse_treatments(text)))


def read(treatment: Treatment) -> Parsed:
    """A treatment with its entry and what its value says.

    ValueError unless kind and value are known; says what is possible and what is nearest.

    >>> from evenflow import Treatment
    >>> from evenflow.treatments import read
    >>> found = read(Treatment("clip", "norm:1.0"))
    >>> found.entry.kind, found.value
    ('clip', 1.0)
    """
    e = _entry(treatment)
    named, colon, more = treatment.value.partition(":")
    try:
        if e.method and colon and not more:
            raise ValueError(f"nothing follows {named!r} and its colon")
        return Parsed(treatment, e, e.parse(more if e.method else treatment.value))
    except ValueError as error:
        raise ValueError(
            f"{str(treatment)!r}: {error}. {e.kind} takes, for example, {_examples(e.kind)}."
        ) from error


def in_order(treatments: Iterable[Parsed]) -> list[Parsed]:
    """As they are applied; those of one kind keep the text's order."""
    order = kinds()
    return sorted(treatments, key=lambda p: order.index(p.entry.kind))


def refusals(treatments: Iterable[Parsed], facts: Facts) -> list[tuple[Parsed, str]]:
    """Which of them would harm, and why, each judged on the network that those before it leave."""
    out = []
    for p in in_order(treatments):
        why = p.entry.refuse(p.value, facts)
        if why is not None:
            out.append((p, why))
        facts = p.entry.leaves(p.value, facts)
    return out


def _entry(treatment: Treatment) -> Entry:
    """The registry's entry for a treatment. ValueError for an unknown kind or method."""
    kind, value = treatment.kind, treatment.value
    if kind in REGISTRY:
        return REGISTRY[kind]
    if kind not in kinds():
        near = did_you_mean(kind, kinds(), write=str)
        there = there_are(kinds(), sentence=bool(near))
        hint = sentences(filter(None, (near, there)))
        said = _("{text!r}: there is no treatment {kind!r}; {hint}")
        raise ValueError(said.format(text=str(treatment), kind=kind, hint=hint))
    method = value.partition(":")[0]
    if f"{kind}={method}" in REGISTRY:
        return REGISTRY[f"{kind}={method}"]
    methods = [e.method for e in REGISTRY.values() if e.kind == kind]
    near = did_you_mean(method, methods, write=lambda name: f"{kind}={name}")
    can_be = _("{kind} can be {names}.").format(kind=kind, names=", ".join(methods))
    said = _("{text!r}: there is no {named}; {hint}").format(
        text=str(treatment),
        named=f"{kind}={method or '...'}",
        hint=sentences(filter(None, (near, can_be))),
    )
    raise ValueError(said)


def _examples(kind: str) -> str:
    shown = [v for e in REGISTRY.values() if e.kind == kind for v in e.examples]
    return ", ".join(f"{kind}={v}" if v else kind for v in dict.fromkeys(shown))
