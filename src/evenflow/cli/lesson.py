"""`evenflow explain --lesson NAME`: a lesson on stdout; `list` shows which there are."""

from __future__ import annotations

import sys

from ..lang import _, sentences
from ..nearby import did_you_mean, there_are
from .consoles import busy, refuse, stdout

LIST = "list"


def explain_lesson(
    name: str,
    run: str | None,
    site: str | None,
    step: int | None,
    as_json: bool,
    output: str | None,
) -> int:
    """Run the lesson and print it. 0; 2 for an unknown one, or options that lessons do not take."""
    given = {"RUN": run, "--site": site, "--step": step, "--output": output}
    both = [option for option, value in given.items() if value is not None]
    both += ["--json"] * as_json
    if both:
        line = _("--lesson {name} stands alone: leave out {options}.")
        return refuse("explain", line.format(name=name, options=", ".join(both)))
    from ..lessons import REGISTRY, beside, plain, terminal

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
    else:
        with busy(_("running {name} ...").format(name=name)):
            result = REGISTRY[name].run()
        width = max(60, min(stdout().width, 100) - 2)
        encoding = sys.stdout.encoding or "utf-8"
        unicode = plain("●─", encoding) == "●─"
        line = terminal(REGISTRY[name], result, width, unicode, beside(name))
        print(plain(line, encoding), end="")
    return 0
