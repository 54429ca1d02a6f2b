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


class Remedial(NamedTuple):
    """What to do, in words, and the treatment that does it ("" = a person alone)."""

    text: str
    treatment: str = ""


def advice(finding: Finding, network: Network | None = None) -> list[str]:
    """What to do, best first; what mends the cause stands before what eases the symptom.

    What helps deep networks is not told of shallow ones, and nothing is recommended that the
    network has already. An unknown code (a newer run file) gives the advice of its cause, or none.
    """
    return [remedial.text for remedial in _ranked(finding, network or Network())]


def what_to_do(finding: Finding, network: Network | None = None, most: int = 3) -> list[Remedial]:
    """What to do here, `most` at most, in the order in which it is expected to mend the fault.

    Where treatments do what is advised, the other advice is left out, unless it comes first.
    """
    ranked = _ranked(finding, network or Network())
    done = [remedial for remedial in ranked if remedial.treatment]
    if ranked and ranked[0].treatment:
        ranked = done
    return (ranked or [Remedial("", text) for text in finding.treatments])[:most]


def _ranked(finding: Finding, network: Network) -> list[Remedial]:
    """Advice in the order of the treatments that do it, the rest behind; where it begins with what
    only a person can do (data, wiring), all of it keeps its order."""
    found = _advice(finding, network)
    out = [Remedial(text, _does(finding, remedy)) for text, remedy in found]
    if found and not found[0][1].by:
        return out
    place = {text: k for k, text in enumerate(finding.treatments)}
    return sorted(out, key=lambda remedial: place.get(remedial.treatment, len(place)))


def _does(finding: Finding, remedy: Remedy) -> str:
    """The first course of treatments that begins with what the remedy says; "" if none does."""
    return next((t for t in finding.treatments if remedy.by and t.startswith(remedy.by)), "")


def _advice(finding: Finding, network: Network) -> list[tuple[str, Remedy]]:
    rule = REGISTRY.get(finding.code)
    first = _of_cause(finding.cause)
    remedies = [*([first] if first else []), *(rule.remedies if rule else ())]
    if 0 < network.depth < _DEEP_FROM:
        remedies = [r for r in remedies if not r.deep]
        remedies = [*(rule.if_shallow if rule else ()), *remedies]
    fitting = ((_fitting(r, network.has), r) for r in remedies)
    out: dict[str, Remedy] = {}
    for texts, remedy in fitting:
        if texts:
            out.setdefault(sentences(map(_, texts)), remedy)
    return list(out.items())


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
