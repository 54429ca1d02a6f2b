"""`evenflow activations`: the table of all, or one activation's card as text, JSON or a picture."""

from __future__ import annotations

import json as _json
from pathlib import Path
from typing import Annotated

import typer

from ..lang import _
from . import writing
from .consoles import refuse, wrote
from .options import Force, output_option
from .speaking import Lang


def activations(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One activation; its card.")
    ] = None,
    output: Annotated[
        Path | None, output_option(help="Write the card with its picture: FILE.html or FILE.png.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="All figures as JSON on stdout.")] = False,
    force: Force = False,
    lang: Lang = None,
) -> int:
    """List the activations, or show one's card.

    Bounds, saturation, critical initialisation and trainable depth, computed.
    """
    from ..activations import NoPictures, as_data, card, find, names, table, text

    try:
        wanted = names() if name is None else (find(name).name,)
        if output is not None:
            writing.write(output, _picture(wanted, output, name is not None), force=force)
            wrote(output)
    except (ValueError, NoPictures, writing.NotWritten) as error:
        return refuse("activations", error)
    if json:
        data = {"schema": 1, "activations": [as_data(card(each)) for each in wanted]}
        print(_json.dumps(data, ensure_ascii=False, allow_nan=False))
    elif output is None and name is not None:
        print(text(card(wanted[0])))
    elif output is None:
        print(table(card(each) for each in wanted))
        print("\n" + _("One activation's card: evenflow activations gelu"))
    return 0


def _picture(wanted: tuple[str, ...], output: Path, alone: bool) -> str | bytes:
    """The HTML page or the PNG that `output` ends in."""
    from ..activations import card, overview_page, page, png

    kind = output.suffix.lower()
    if kind not in (".html", ".png"):
        line = _("{path!r}: a card can be written as .html or .png.")
        raise ValueError(line.format(path=str(output)))
    if alone:
        return page(card(wanted[0])) if kind == ".html" else png(card(wanted[0]))
    if kind == ".png":
        raise ValueError(
            _("a PNG shows one activation: name it, as in activations gelu -o gelu.png")
        )
    return overview_page(tuple(map(card, wanted)))
