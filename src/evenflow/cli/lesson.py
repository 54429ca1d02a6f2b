"""`evenflow explain --lesson NAME`: a lesson on stdout; `list` shows which there are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..lang import _, sentences
from ..nearby import did_you_mean, there_are
from . import writing
from .consoles import busy, refuse, stdout, wrote
from .step import rows_of

LIST = "list"
OwnWeights = Annotated[
    str | None,
    typer.Option(metavar="1,2;3,4|5,6", help="With --lesson: weights of each layer, '|' between."),
]
OwnEta = Annotated[float | None, typer.Option(metavar="η", help="With --lesson: learning rate.")]
OwnAlpha = Annotated[float | None, typer.Option(metavar="α", help="With --lesson: momentum.")]
OwnSteps = Annotated[
    int | None, typer.Option(metavar="N", help="With --lesson: updates told in full.")
]


def explain_lesson(
    name: str,
    foreign: dict[str, Any],
    as_json: bool,
    own: dict[str, Any],
    output: str | None,
    force: bool,
) -> int:
    """Run the lesson and print or write it. 0; 2 for an unknown one, or options it cannot take.

    Args:
        foreign: options that belong to a run.
        own: numbers to step the lesson's network with.
    """
    both = [option for option, value in foreign.items() if value is not None] + ["--json"] * as_json
    if both:
        line = _("--lesson {name} stands alone: leave out {options}.")
        return refuse("explain", line.format(name=name, options=", ".join(both)))
    from ..lessons import REGISTRY

    known = [LIST, *REGISTRY]
    if name not in known:
        said = (
            _("there is no lesson {name!r}.").format(name=name),
            did_you_mean(name, known, 3, str, sentence=True),
            there_are(known, sentence=True),
        )
        return refuse("explain", sentences(filter(None, said)))
    if name == LIST:
        widest = max(map(len, REGISTRY))
        for lesson in REGISTRY.values():
            print(f"{lesson.name:<{widest}}  {_(lesson.title)}")
        print("\n" + _("One lesson: evenflow explain --lesson linear-neuron"))
        return 0
    try:
        return _stepped(name, own) if own else _told(name, output, force)
    except (ValueError, writing.NotWritten) as error:
        return refuse("explain", error)


def _told(name: str, output: str | None, force: bool) -> int:
    from ..lessons import REGISTRY, beside, lesson_html, plain, terminal

    if output is not None and Path(output).suffix.lower() not in (".html", ".htm"):
        raise ValueError(_("{path!r}: a lesson is written as .html.").format(path=output))
    with busy(_("running {name} ...").format(name=name)):
        result = REGISTRY[name].run()
    if output is not None:
        writing.write(Path(output), lesson_html(REGISTRY[name], result, beside(name)), force=force)
        wrote(Path(output))
        return 0
    width = max(60, min(stdout().width, 100) - 2)
    encoding = sys.stdout.encoding or "utf-8"
    unicode = plain("●─", encoding) == "●─"
    line = terminal(REGISTRY[name], result, width, unicode, beside(name))
    print(plain(line, encoding), end="")
    return 0


def _stepped(name: str, own: dict[str, Any]) -> int:
    """The lesson's network with the reader's own numbers."""
    from ..lessons import REGISTRY, step_text, walked

    made = REGISTRY[name].net
    if made is None:
        able = ", ".join(n for n, lesson in REGISTRY.items() if lesson.net is not None)
        said = _("lesson {name} has no small network to step with numbers of your own; {able} have")
        raise ValueError(said.format(name=name, able=able))
    told = {key: own.get(key) for key in ("eta", "alpha", "steps")}
    for key in ("x", "t"):
        told[key] = rows_of(own.get(key), f"--{key}")
    if "w" in own:
        told["w"] = [rows_of(part, "--w") for part in own["w"].split("|")]
    net = made().changed(**told)
    console = stdout()
    for row in step_text(net, walked(net)):
        console.print(row, markup=False, highlight=False, soft_wrap=True)
    return 0
