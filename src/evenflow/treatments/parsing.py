"""A treatment's text, read once into what applies it. No torch."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from ..schema import Treatment, parse_treatments
from .base import Entry, Facts, Parsed
from .registry import REGISTRY, kinds


def parse(text: str) -> tuple[Treatment, ...]:
    """The treatments of a text such as "init=lsuv-centred; clip=norm:1.0", each checked.

    ValueError naming the part that is wrong, what is possible there, and the nearest.
    """
    return tuple(p.treatment for p in map(read, parse_treatments(text)))


def read(treatment: Treatment) -> Parsed:
    """A treatment with its entry and what its value says.

    ValueError unless kind and value are known; says what is possible and what is nearest.
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
        why = p.refuse(facts)
        if why is not None:
            out.append((p, why))
        facts = p.leaves(facts)
    return out


def _entry(treatment: Treatment) -> Entry:
    """The registry's entry for a treatment. ValueError for an unknown kind or method."""
    kind, value = treatment.kind, treatment.value
    if kind in REGISTRY:
        return REGISTRY[kind]
    if kind not in kinds():
        near = difflib.get_close_matches(kind, kinds(), 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(
            f"{str(treatment)!r}: there is no treatment {kind!r}; {hint}"
            f"There are {', '.join(kinds())}."
        )
    method = value.partition(":")[0]
    if f"{kind}={method}" in REGISTRY:
        return REGISTRY[f"{kind}={method}"]
    methods = [e.method for e in REGISTRY.values() if e.kind == kind]
    near = difflib.get_close_matches(method, methods, 1)
    hint = f"did you mean {kind}={near[0]}? " if near else ""
    raise ValueError(
        f"{str(treatment)!r}: there is no {kind}={method or '...'}; {hint}"
        f"{kind} can be {', '.join(methods)}."
    )


def _examples(kind: str) -> str:
    shown = [v for e in REGISTRY.values() if e.kind == kind for v in e.values]
    return ", ".join(f"{kind}={v}" if v else kind for v in dict.fromkeys(shown))
