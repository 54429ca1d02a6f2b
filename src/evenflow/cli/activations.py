"""`evenflow activations`: the table of all, or one activation's card as text, JSON or a picture."""

from __future__ import annotations

import json as _json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..lang import _
from . import writing
from .consoles import refuse, wrote
from .options import Force, output_option
from .speaking import Lang

if TYPE_CHECKING:
    from ..activations import Card


def activations(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help='One activation; its card. Also "swish(beta=10)".'),
    ] = None,
    output: Annotated[
        Path | None, output_option(help="Write the card with its picture: FILE.html or FILE.png.")
    ] = None,
    sweep: Annotated[
        str | None,
        typer.Option(metavar="beta=0.1:10", help="NAME at several values of a parameter."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="All figures as JSON on stdout.")] = False,
    force: Force = False,
    lang: Lang = None,
) -> int:
    """List the activations, or show one's card.

    Bounds, saturation, critical initialisation and trainable depth, computed.
    """
    from .. import activations as a

    try:
        if sweep is not None:
            return _swept(name, sweep, output, json, force)
        if name is None:
            cards = tuple(map(a.card, a.names()))
        else:
            found, given = a.spelled(name)
            cards = (a.card(found, **given),)
        if output is not None:
            writing.write(output, _picture(cards, output, name is not None), force=force)
            wrote(output)
    except (ValueError, a.NoPictures, writing.NotWritten) as error:
        return refuse("activations", error)
    if json:
        _print_json(cards)
    elif output is None and name is not None:
        print(a.text(cards[0]))
    elif output is None:
        print(a.table(cards))
        print("\n" + _("One activation's card: evenflow activations gelu"))
    return 0


def _swept(name: str | None, text: str, output: Path | None, json: bool, force: bool) -> int:
    """One activation at several values of a parameter."""
    from .. import activations as a

    if name is None:
        raise ValueError(_("--sweep needs a NAME, as in activations swish --sweep beta=0.1:10"))
    parameter, low, high = a.asked_sweep(text)
    found, given = a.spelled(name)
    if given:
        raise ValueError(_("--sweep takes NAME without parameters"))
    cards = a.sweep(found, parameter, low, high)
    if output is not None:
        kind = output.suffix.lower()
        if kind not in (".html", ".png"):
            raise ValueError(_ends(output))
        draw = a.sweep_page if kind == ".html" else a.sweep_png
        writing.write(output, draw(parameter, cards), force=force)
        wrote(output)
    if json:
        _print_json(cards)
    elif output is None:
        print(a.sweep_table(parameter, cards))
    return 0


def _print_json(cards: Sequence[Card]) -> None:
    from ..activations import as_data

    data = {"schema": 1, "activations": [as_data(each) for each in cards]}
    print(_json.dumps(data, ensure_ascii=False, allow_nan=False))


def _ends(output: Path) -> str:
    return _("{path!r}: a card can be written as .html or .png.").format(path=str(output))


def _picture(cards: tuple[Card, ...], output: Path, alone: bool) -> str | bytes:
    """The HTML page or the PNG that `output` ends in."""
    from ..activations import overview_page, page, png

    kind = output.suffix.lower()
    if kind not in (".html", ".png"):
        raise ValueError(_ends(output))
    if alone:
        return page(cards[0]) if kind == ".html" else png(cards[0])
    if kind == ".png":
        raise ValueError(
            _("a PNG shows one activation: name it, as in activations gelu -o gelu.png")
        )
    return overview_page(cards)
