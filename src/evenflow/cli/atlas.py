"""`evenflow activations`: the table of all, or one activation's card as text, JSON or a picture."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ..lang import _
from . import writing


def show_activations(
    name: str | None, output: Path | None, as_json: bool, force: bool = False
) -> int:
    """0, or 2 for a wrong name, a file that cannot be written, or matplotlib missing."""
    from ..activations import NoPictures, as_data, card, find, names, table, text

    try:
        wanted = names() if name is None else (find(name).name,)
        if output is not None:
            _picture(wanted, output, name is not None, force)
    except (ValueError, NoPictures, writing.NotWritten) as error:
        print(f"evenflow activations: {error}", file=sys.stderr)
        return 2
    if as_json:
        data = {"schema": 1, "activations": [as_data(card(each)) for each in wanted]}
        print(json.dumps(data, ensure_ascii=False, allow_nan=False))
    elif output is None and name is not None:
        print(text(card(wanted[0])))
    elif output is None:
        print(table(card(each) for each in wanted))
        print("\n" + _("One activation's card: evenflow activations gelu"))
    return 0


def _picture(wanted: tuple[str, ...], output: Path, alone: bool, force: bool) -> None:
    """Write the HTML page or the PNG that `output` ends in."""
    from ..activations import card, overview_page, page, png

    kind = output.suffix.lower()
    if kind not in (".html", ".png"):
        text = _("{path!r}: a card can be written as .html or .png.")
        raise ValueError(text.format(path=str(output)))
    if not alone and kind == ".png":
        raise ValueError(
            _("a PNG shows one activation: name it, as in activations gelu -o gelu.png")
        )
    if not alone:
        data = overview_page(tuple(map(card, wanted))).encode()
    elif kind == ".html":
        data = page(card(wanted[0])).encode()
    else:
        data = png(card(wanted[0]))
    writing.write(output, data, force=force)
    print(_("wrote {file}").format(file=output), file=sys.stderr)
