"""What a rule's file says in words: records, marked for translation and put together by `words`."""

from __future__ import annotations

from typing import NamedTuple


class EvidenceLabel(NamedTuple):
    """How a number of evidence is called and written.

    Attributes:
        name: key in a finding's evidence.
        text: what it is called.
        form: "number", "share", "decades" (up or down) or "span" (decades without a direction).
        fact: told without its threshold, as that is none, one or obvious.
        silent: not told, as the sentence has said it.
    """

    name: str
    text: str
    form: str = "number"
    fact: bool = False
    silent: bool = False


class Unless(NamedTuple):
    """A case in which a remedy does not fit a network.

    Attributes:
        has: what such a network has, or with a "-" before it lacks, all of it (`words.Network`).
        instead: what is told in place of the remedy; "" = nothing.
    """

    has: str
    instead: str = ""


class Remedy(NamedTuple):
    """What to do about a fault, for a network that it fits.

    Attributes:
        text: a sentence; `make words` gathers it without a mark.
        then: a second one.
        unless: cases where it does not fit; the first that holds counts.
        deep: helps deep networks, and is not told of shallow ones.
    """

    text: str
    then: str = ""
    unless: tuple[Unless, ...] = ()
    deep: bool = False


class Cause(NamedTuple):
    """Why a fault is there, where the reason is no fault with a code of its own.

    Attributes:
        name: in kebab case, as in `Finding.cause`.
        text: it in words, as the end of "because of ..." or the head of a chain.
        remedy: told before the fault's own remedies.
        sure: read off the fault's own evidence, so that no other finding may overrule it.
        harmless: a fault of this cause brings nothing about.
    """

    name: str
    text: str
    remedy: Remedy | None = None
    sure: bool = False
    harmless: bool = False


class EndState(NamedTuple):
    """What a fault ended in, as the last link of a chain.

    Attributes:
        name: as in `Link.what`.
        text: it in words, by itself.
        link: it in words, in a chain; "" = `text`.
        lasting: its step is the last one seen, not the first.
    """

    name: str
    text: str
    link: str = ""
    lasting: bool = False
