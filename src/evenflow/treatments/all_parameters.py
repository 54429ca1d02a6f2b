"""Parameters that no optimizer holds, appended to one.

A layer built after the optimizer, or kept in a plain list, never moves (EF704). Any time; outputs
stay the same. Fails: modules in plain lists are not the model's own and cannot be found.
"""

from __future__ import annotations

from .base import Entry


def _parse(text: str) -> None:
    if text != "all":
        raise ValueError(f"{text!r} must be all")


PARAMETERS = Entry(
    kind="parameters",
    about="every trainable parameter of the model is trained",
    examples=("all",),
    edit=lambda v: "make the optimizer last, with model.parameters()",
    parse=_parse,
    apply="all_parameters:apply",
)
ENTRIES = (PARAMETERS,)
