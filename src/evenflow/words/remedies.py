"""Advice that fits a network: nothing that it has already, nothing for what it lacks."""

from __future__ import annotations

from typing import NamedTuple

from ..faults import CAUSES, REGISTRY, Remedy
from ..lang import _, sentences
from ..schema import Finding


class Network(NamedTuple):
    """What advice may know of a network.

    Attributes:
        depth: number of layers; 0 = not known.
        has: what it has: of "skips", "norm" and single norms ("batch_norm"), activations by name,
            "recurrent", "gated" (LSTM, GRU), "forget-bias", "adaptive", "momentum", "decay" (of
            weights), "he", "xavier" (its start; orthogonal weights look like it), "scaled" inputs,
            "half" precision. None = not known, so that all advice is told.
    """

    depth: int = 0
    has: frozenset[str] | None = None


#: What is told from so many layers on: below, depth is not what ails the network.
_DEEP_FROM = 5


def advice(finding: Finding, network: Network | None = None) -> list[str]:
    """What to do, best first; what mends the cause stands before what eases the symptom.

    What helps deep networks is not told of shallow ones, and nothing is recommended that the
    network has already. An unknown code (a newer run file) gives the advice of its cause, or none.
    """
    network = network or Network()
    rule = REGISTRY.get(finding.code)
    first = _of_cause(finding.cause)
    remedies = [*([first] if first else []), *(rule.remedies if rule else ())]
    if 0 < network.depth < _DEEP_FROM:
        remedies = [r for r in remedies if not r.deep]
        remedies = [*(rule.if_shallow if rule else ()), *remedies]
    fitting = (_fitting(r, network.has) for r in remedies)
    return list(dict.fromkeys(sentences(map(_, texts)) for texts in fitting if texts))


def _of_cause(name: str) -> Remedy | None:
    if name in REGISTRY:
        return REGISTRY[name].if_cause
    return CAUSES[name].remedy if name in CAUSES else None


def _fitting(remedy: Remedy, has: frozenset[str] | None) -> tuple[str, ...]:
    """The remedy's sentences for a network that has this, or what is told instead; maybe none."""
    for case in remedy.unless:
        if has is not None and all(_holds(word, has) for word in case.has.split()):
            return (case.instead,) if case.instead else ()
    return (remedy.text, remedy.then) if remedy.then else (remedy.text,)


def _holds(word: str, has: frozenset[str]) -> bool:
    return word[1:] not in has if word[0] == "-" else word in has
