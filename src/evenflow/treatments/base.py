"""What a treatment declares, and what it may know of a network before it is applied. No torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

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


def never(value: str, facts: Facts) -> str | None:
    """Of treatments that harm nobody: nothing to refuse."""
    return None


@dataclass(frozen=True, slots=True)
class Entry:
    """One treatment of the registry; the docstring of its file is its page.

    Whoever writes one gives everything below; the conformance tests hold it to that. `kind` and
    `method` make its text: `kind` alone, `kind=method`, `kind=method:detail` or `kind=detail`.

    Attributes:
        kind: what stands before "=".
        method: the fixed word that the value starts with; "" where the value is free.
        about: one line for a list.
        codes: findings it treats, best suited first.
        when: "start" (before the first step only) or "any".
        needs: what it needs to be applied: "batch", "optimizer", "layers", "activation", ...
        preserves: whether the network's outputs stay the same at the moment it is applied.
        alters: (value) -> whether they change at this value, though it `preserves` at others.
        cost: of applying it and of each step, in words.
        fails: how it fails, in words.
        source: paper or measurement.
        values: valid values with their meaning; the first is the one to begin with.
        check: (value) -> None; raises ValueError for a value that is none of its own.
        refuse: (value, facts) -> why it would harm this network, or cannot work there; None.
        edit: (value) -> the same change as code for the user's script.
        apply: "module:function" under `evenflow.treatments.live`; "" for a pure edit.
    """

    kind: str
    about: str
    codes: tuple[str, ...]
    when: str
    preserves: bool
    cost: str
    fails: str
    source: str
    values: dict[str, str]
    edit: Callable[[str], str]
    check: Callable[[str], None]
    apply: str
    method: str = ""
    needs: tuple[str, ...] = ()
    refuse: Callable[[str, Facts], str | None] = field(default=never)
    alters: Callable[[str], bool] = field(default=lambda value: False)

    @property
    def name(self) -> str:
        """Its key in the registry: "init=lsuv-centred", "lr"."""
        return f"{self.kind}={self.method}" if self.method else self.kind

    def keeps_outputs(self, value: str) -> bool:
        """Do the network's outputs stay the same when it is applied at this value?"""
        return self.preserves and not self.alters(value)


def detail(value: str) -> str:
    """What follows the first ":" of a value; "" if nothing does."""
    return value.partition(":")[2]


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


def bare(value: str) -> None:
    """Check of a treatment that takes nothing beyond its method."""
    if detail(value) or ":" in value:
        raise ValueError(f"{value!r} takes nothing after {value.partition(':')[0]!r}")


def optional(parse: Callable[[str], object]) -> Callable[[str], None]:
    """Check of a value `method` or `method:detail`, the detail parsed by `parse`."""

    def check(value: str) -> None:
        if ":" in value:
            parse(detail(value))

    return check


def needed(parse: Callable[[str], object]) -> Callable[[str], None]:
    """Check of a value that is all detail."""

    def check(value: str) -> None:
        parse(value)

    return check
