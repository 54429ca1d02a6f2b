"""What a treatment declares, and what it may know of a network before it is applied. No torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..schema import Treatment

#: Deeper than this a plain network needs a start made for its depth.
DEEP = 8


@dataclass(frozen=True, slots=True)
class Facts:
    """What of a network's architecture decides whether a treatment suits it.

    Read off a Run's sites by `architecture.of_run`, or off a live model by `live.looking`.

    Attributes:
        depth: layers with weights on the longest path from the data to the output.
        activations: ops of the hidden elementwise non-linearities, the most frequent first.
        norms: ops of normalisation layers.
        recurrent: ops of recurrent layers ("rnn_tanh", "lstm"), "cell" for one unrolled by hand.
        skips: whether branches meet again (x + f(x)).
        attention, convolution, embedding: whether there is any.
        dropout: whether there is any.
        square: hidden layers with as many outputs as inputs, the only ones a skip fits around.
        hidden: hidden layers (with weights, and others after them).
        floating: whether the first input is of real numbers (not token numbers).
        step: updates made so far; 0 at the start.
        drawn: by which usual start its weights were drawn ("he", "xavier"), as their size tells.
        adaptive: whether an optimizer divides by the gradient's size; None if unknown.
        optimizer: class name of the first optimizer, lower case, "" if unknown.
        lr: learning rate of its first group, NaN if unknown.
    """

    depth: int = 0
    activations: tuple[str, ...] = ()
    norms: frozenset[str] = frozenset()
    recurrent: frozenset[str] = frozenset()
    skips: bool = False
    attention: bool = False
    convolution: bool = False
    embedding: bool = False
    dropout: bool = False
    square: int = 0
    hidden: int = 0
    floating: bool = True
    step: int = 0
    drawn: frozenset[str] = frozenset()
    adaptive: bool | None = None
    optimizer: str = ""
    lr: float = float("nan")

    @property
    def activation(self) -> str:
        """The most frequent hidden activation, "" if there is none."""
        return self.activations[0] if self.activations else ""

    @property
    def plain(self) -> bool:
        """Neither skips nor normalisation: what mean-field theory speaks of."""
        return not self.skips and not self.norms

    @property
    def deep(self) -> bool:
        """More layers than ordinary starts carry through."""
        return self.depth > DEEP


def overwrites(facts: Facts) -> str | None:
    """Of treatments that draw weights: why they come too late, None at the start."""
    return "it would overwrite what the network has learned." if facts.step > 0 else None


def undrawable(facts: Facts) -> str | None:
    """Of treatments that draw layers: why they cannot, None where they can."""
    nothing_there = "the network has no layer whose weights could be drawn."
    return overwrites(facts) or (None if facts.depth else nothing_there)


#: (parsed, facts) -> why a treatment would harm such a network, or cannot work there; None.
Refuse = Callable[[Any, Facts], str | None]


@dataclass(frozen=True, slots=True)
class Entry:
    """One treatment of the registry; the docstring of its file is its page.

    `kind` and `method` make its text: `kind` alone, `kind=method`, `kind=method:detail` or
    `kind=detail`.

    Attributes:
        kind: what stands before "=".
        method: the fixed word that the value starts with; "" where the value is free.
        about: one line for a list.
        examples: valid values; the first is the one to begin with.
        parse: (detail, "" if there is none) -> what all functions below are given; ValueError for
            one that is none of its own. The only place where a value's text is read.
        refuse: see `Refuse`; harmless where it is not given.
        edit: (parsed) -> the same change as code for the user's script.
        leaves: (parsed, facts) -> the architecture once it is applied.
        apply: "module:function" under `evenflow.treatments.live`, the module of the same name;
            "" for a pure edit.
    """

    kind: str
    about: str
    examples: tuple[str, ...]
    parse: Callable[[str], Any]
    edit: Callable[[Any], str]
    apply: str
    method: str = ""
    refuse: Refuse = field(default=lambda parsed, facts: None)
    leaves: Callable[[Any, Facts], Facts] = field(default=lambda parsed, facts: facts)

    @property
    def name(self) -> str:
        """Its key in the registry: "init=lsuv-centred", "lr"."""
        return f"{self.kind}={self.method}" if self.method else self.kind


@dataclass(frozen=True, slots=True)
class Parsed:
    """A treatment whose value has been read: what its entry's functions and `apply` are given."""

    treatment: Treatment
    entry: Entry
    value: Any

    def __str__(self) -> str:
        return str(self.treatment)


def number(text: str, *, above: float = float("-inf"), upto: float = float("inf")) -> float:
    """`text` as a finite float with above < x <= upto; ValueError saying what it must be."""
    try:
        x = float(text)
    except ValueError:
        x = float("nan")
    if not (above < x <= upto) or abs(x) == float("inf"):
        ends = [f"above {above:g}"] if above > float("-inf") else []
        ends += [f"at most {upto:g}"] if upto < float("inf") else []
        raise ValueError(f"{text!r} must be a number{' ' + ' and '.join(ends) if ends else ''}")
    return x


def whole(text: str, *, least: int = 0) -> int:
    """`text` as a whole number of at least `least`; ValueError saying what it must be."""
    if not text.isdecimal() or int(text) < least:
        raise ValueError(f"{text!r} must be a whole number, at least {least}")
    return int(text)


def nothing(text: str) -> None:
    """Of a treatment that takes nothing beyond its name."""
    if text:
        raise ValueError(f"it takes no value, such as {text!r}")


def optional(parse: Callable[[str], Any], default: Any) -> Callable[[str], Any]:
    """`parse` where there is something to parse, else `default`."""
    return lambda text: parse(text) if text else default


def positive(text: str) -> float:
    """`text` as a number above 0.

    >>> from evenflow.treatments import positive
    >>> positive("1e-3")
    0.001
    """
    return number(text, above=0)


def shown(x: float) -> str:
    """A number as a script would have it: 0.1, 1e-05, 250."""
    return f"{x:.12g}"
