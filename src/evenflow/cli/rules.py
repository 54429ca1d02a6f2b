"""`evenflow rules`: the rules, and the page that each one's docstring is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from ..lang import _, language
from ..nearby import did_you_mean
from .consoles import refuse
from .speaking import Lang

_WIDTH = 96  # of a page that goes into a file or a pipe


def rules(
    code: Annotated[
        str | None,
        typer.Argument(
            metavar="CODE",
            help="A code or a name: its page. The beginning of codes (ef1): those rules.",
        ),
    ] = None,
    lang: Lang = None,
) -> int:
    """List the rules, or show one rule's page."""
    from ..faults import REGISTRY

    if code is None:
        _list(REGISTRY)
        return 0
    by_name = {rule.name: each for each, rule in REGISTRY.items()}
    if found := code.upper() if code.upper() in REGISTRY else by_name.get(code.lower(), ""):
        _page(found)
        return 0
    if alike := [each for each in REGISTRY if each.startswith(code.upper())]:
        _list(alike)
        return 0
    near = did_you_mean(code.upper(), REGISTRY, 3, str) or did_you_mean(
        code.lower(), by_name, 3, str
    )
    said = _("there is no rule {wanted!r}; {hint}")
    hint = near or _("`evenflow rules` lists them all.")
    return refuse("rules", said.format(wanted=code, hint=hint))


def _list(codes: Iterable[str]) -> None:
    from ..faults import REGISTRY, headline

    listed = {code: REGISTRY[code] for code in sorted(codes)}
    widest = max((len(rule.name) for rule in listed.values()), default=0)
    for code, rule in listed.items():
        mark = "" if rule.status == "stable" else f" ({_status(rule.status)})"
        print(f"{code}  {rule.name:<{widest}}  {headline(rule).rstrip('.。')}{mark}")
    print(
        "\n" + _("One rule's page: evenflow rules {code}").format(code=next(iter(listed), "EF101"))
    )


def _page(code: str) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    from ..faults import REGISTRY, told
    from ..words import wrap

    rule = REGISTRY[code]
    text = told(rule)
    head = _("{code} {name} ({status}, since {version})").format(
        code=code, name=rule.name, status=_status(rule.status), version=rule.since
    )
    console = Console()
    if console.is_terminal:
        console.print(Markdown(f"# {head}\n\n{text}"), width=min(console.width, 100))
    else:
        print(f"{head}\n\n{text if language() == 'en' else wrap(text, _WIDTH)}")


def _status(status: str) -> str:
    return {
        "preview": _("preview"),
        "stable": _("stable"),
        "deprecated": _("deprecated"),
        "removed": _("removed"),
    }.get(status, status)
