"""A treatment as text: one change to a training, such as `init=lsuv-centred`.

    text       = treatment *( ";" treatment )
    treatment  = kind [ "=" value ]
    kind       = lower-case letters, digits and "-", a letter first
    value      = any printable text without ";", no blank at its ends

Which kinds and values there are is the business of `evenflow.treatments`; here only the form.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_KIND = re.compile(r"[a-z][a-z0-9-]*")


@dataclass(frozen=True, slots=True)
class Treatment:
    """One change to a training, as `kind` and `value`; `str` gives its text, which
    `parse_treatments` reads.

    `reason` (why it was prescribed) and `codes` (of the findings it is for) are not part of the
    text, and treatments that differ only in them are equal. ValueError for a kind or value that
    the text could not hold.
    """

    kind: str
    value: str = ""
    reason: str = field(default="", compare=False)
    codes: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if not _KIND.fullmatch(self.kind):
            raise ValueError(
                f"{self.kind!r} is no kind of treatment: lower-case letters, digits and '-' only, "
                "a letter first, as in init=lsuv."
            )
        if self.value != self.value.strip() or ";" in self.value or not self.value.isprintable():
            raise ValueError(
                f"{self.value!r} is no value of {self.kind}: printable text without ';' and "
                "without blanks at its ends, as in clip=norm:1.0."
            )

    def __str__(self) -> str:
        return f"{self.kind}={self.value}" if self.value else self.kind


def parse_treatments(text: str) -> tuple[Treatment, ...]:
    """The treatments of a text, in its order; () for an empty one.

    Blanks around "=" and ";" and a ";" at the end do not matter. ValueError naming the part that
    has not the form of a treatment.

    >>> from evenflow.schema import parse_treatments
    >>> [(t.kind, t.value) for t in parse_treatments("rezero; clip=norm:1.0")]
    [('rezero', ''), ('clip', 'norm:1.0')]
    """
    parts = [part.strip() for part in text.split(";")]
    if parts[-1] == "":
        parts.pop()
    return tuple(_one(part, text) for part in parts)


def treatment_text(treatments: Iterable[Treatment]) -> str:
    """Of several; `parse_treatments` gives them back (reasons and codes left out).

    >>> from evenflow.schema import Treatment, treatment_text
    >>> treatment_text([Treatment("rezero"), Treatment("clip", "norm:1.0")])
    'rezero; clip=norm:1.0'
    """
    return "; ".join(map(str, treatments))


def _one(part: str, text: str) -> Treatment:
    kind, equals, value = (p.strip() for p in part.partition("="))
    if not kind or (equals and not value):
        raise ValueError(
            f"{part!r} in {text!r} is no treatment: it must read KIND or KIND=VALUE, such as "
            "init=lsuv-centred; several are parted by ';'."
        )
    return Treatment(kind, value)
