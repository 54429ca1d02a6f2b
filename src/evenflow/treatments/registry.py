"""Every treatment by its name, and the check of a treatment's text against them. No torch."""

from __future__ import annotations

import difflib

from ..schema import Treatment
from ..schema import treatment as form
from . import (
    all_parameters,
    attend,
    bias,
    clip,
    dropout,
    edits,
    initial,
    lsuv,
    norm,
    rate,
    recurrent,
    revive,
    rezero,
    shrink,
    standardise,
    swap,
    tailor,
)
from .base import Entry

#: One entry a treatment: kinds with a fixed method ("init=he") have one for each method.
REGISTRY: dict[str, Entry] = {
    e.name: e
    for e in (
        *lsuv.ENTRIES,
        *initial.ENTRIES,
        *tailor.ENTRIES,
        *rezero.ENTRIES,
        swap.ACTIVATION,
        *norm.ENTRIES,
        *revive.ENTRIES,
        *bias.ENTRIES,
        *standardise.ENTRIES,
        *recurrent.ENTRIES,
        *attend.ENTRIES,
        *rate.ENTRIES,
        *clip.ENTRIES,
        *shrink.ENTRIES,
        *dropout.ENTRIES,
        *all_parameters.ENTRIES,
        *edits.ENTRIES,
    )
}
#: What lies outside the model and is proposed as text.
EDITS: dict[str, Entry] = {name: e for name, e in REGISTRY.items() if not e.apply}
KINDS: tuple[str, ...] = tuple(dict.fromkeys(e.kind for e in REGISTRY.values()))


def parse(text: str) -> tuple[Treatment, ...]:
    """The treatments of a text such as "init=lsuv-centred; clip=norm:1.0", each checked.

    ValueError naming the part that is wrong, what is possible there, and the nearest.
    """
    found = form.parse(text)
    for t in found:
        check(t)
    return found


def check(treatment: Treatment) -> None:
    """ValueError unless kind and value are known; says what is possible and what is nearest."""
    e = entry(treatment)
    try:
        e.check(treatment.value)
    except ValueError as error:
        raise ValueError(
            f"{str(treatment)!r}: {error}. {e.kind} takes, for example, {_examples(e.kind)}."
        ) from error


def entry(treatment: Treatment) -> Entry:
    """The registry's entry for a treatment. ValueError for an unknown kind or method."""
    kind, value = treatment.kind, treatment.value
    if kind in REGISTRY:
        return REGISTRY[kind]
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(
            f"{str(treatment)!r}: there is no treatment {kind!r}; {hint}"
            f"There are {', '.join(KINDS)}."
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
