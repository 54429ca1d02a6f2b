"""`evenflow ui`: the live page of a folder's runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..lang import _
from .consoles import refuse
from .runs import FOLDER
from .speaking import Lang


def ui(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR", help="Where runs are looked for. Default: evenflow-runs, else here."
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(metavar="N", help="0 takes a free one.", min=0, max=65535)
    ] = 7007,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Another than this machine's own can be reached from elsewhere: the address "
            "printed then ends in a token.",
        ),
    ] = "127.0.0.1",
    lang: Lang = None,
) -> int:
    """Look at runs in a browser, while they are written.

    Nothing leaves this machine, and nothing is fetched from elsewhere. Ctrl-C ends it.
    """
    found = folder or (FOLDER if FOLDER.is_dir() else Path())
    if not found.is_dir():
        return refuse("ui", _("there is no folder {name!r}.").format(name=str(found)))
    try:
        from ..web import serve
    except ModuleNotFoundError as error:
        said = _("{module} is not installed: pip install 'evenflow[ui]'")
        return refuse("ui", said.format(module=error.name))

    def say(address: str) -> None:
        print(_("Open {address}   (Ctrl-C ends it)").format(address=address), file=sys.stderr)

    try:
        serve(found.resolve(), host, port, say)
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        said = _("{host}:{port} cannot be had ({error}); take another --port, or 0 for a free one.")
        return refuse("ui", said.format(host=host, port=port, error=error.strerror or error))
    return 0
