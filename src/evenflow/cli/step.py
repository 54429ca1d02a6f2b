"""`evenflow step`: back-propagation by hand through a small network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..lang import _
from . import writing
from .consoles import as_json, refuse, stdout, wrote
from .options import Force, output_option
from .speaking import Lang

#: "1,2" is one sample, "1,2;3,4" are two.
_GIVEN = {
    "metavar": "1,2;3,4",
    "help": "Instead of the file's: numbers of a sample, ';' between.",
}
Samples = Annotated[str | None, typer.Option("--x", **_GIVEN)]
Targets = Annotated[str | None, typer.Option("--t", **_GIVEN)]


def step(
    net: Annotated[Path, typer.Argument(metavar="NET.toml", help="Layers, samples, loss.")],
    x: Samples = None,
    t: Targets = None,
    eta: Annotated[float | None, typer.Option(metavar="η", help="Learning rate.")] = None,
    alpha: Annotated[float | None, typer.Option(metavar="α", help="Momentum.")] = None,
    mode: Annotated[
        str | None,
        typer.Option(metavar="MODE", help="online, epoch, or the samples of a mini-batch."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(metavar="N", help="Updates that are told in full.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="All numbers as JSON on stdout.")] = False,
    output: Annotated[
        Path | None,
        output_option(help="Write a page on which the network can be stepped: FILE.html."),
    ] = None,
    force: Force = False,
    lang: Lang = None,
) -> int:
    """Step a network by hand: forward, errors, gradients as products, updates.

    Each number is found twice, by the miniature and by autograd. NET.toml holds x and t (a sample a
    row), eta, alpha, loss (squared, squared-whole, cross-entropy), mode, steps, a [stop] rule and a
    [[layer]] with W, b and f for each layer.
    """
    from ..lessons import read_net, step_text, walked
    from ..report import finite
    from ..views import net_html

    try:
        given = {"x": rows_of(x, "--x"), "t": rows_of(t, "--t"), "eta": eta, "alpha": alpha}
        asked = read_net(net).changed(**given, mode=_mode(mode), steps=steps)
        if output is not None:
            page = net_html(net.stem, net.stem, asked.as_dict())
            writing.write(output, page, [net], force)
            wrote(output)
            return 0
        found = walked(asked)
    except (ValueError, writing.NotWritten) as error:
        return refuse("step", error)
    except OSError as error:
        said = _("{path!r} cannot be read: {error}")
        return refuse("step", said.format(path=str(net), error=error.strerror or error))
    if json:
        print(as_json(finite(found.as_dict())))
        return 0
    console = stdout()
    for row in step_text(asked, found):
        console.print(row, markup=False, highlight=False, soft_wrap=True)
    return 0


def rows_of(text: str | None, option: str) -> list[list[float]] | None:
    """Samples as the option has them. ValueError."""
    if text is None:
        return None
    try:
        return [[float(v) for v in row.split(",")] for row in text.split(";")]
    except ValueError:
        said = _("{option} must be numbers as 1,2;3,4 and not {text!r}")
        raise ValueError(said.format(option=option, text=text)) from None


def _mode(text: str | None) -> int | str | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else text
