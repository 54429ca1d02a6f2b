"""`evenflow rules`: the rules, and the page that each one's docstring is."""

from __future__ import annotations

import difflib
import inspect
import sys


def show_rules(wanted: str | None) -> int:
    """List all rules, or print the page of one named by code or name."""
    from ..rules import REGISTRY

    if wanted is None:
        _list()
        return 0
    by_name = {rule.name: code for code, rule in REGISTRY.items()}
    code = wanted.upper() if wanted.upper() in REGISTRY else by_name.get(wanted.lower(), "")
    if code:
        _page(code)
        return 0
    close = difflib.get_close_matches(wanted.upper(), REGISTRY, 3) or difflib.get_close_matches(
        wanted.lower(), by_name, 3
    )
    hint = f"did you mean {' or '.join(close)}?" if close else "`evenflow rules` lists them all."
    print(f"evenflow rules: there is no rule {wanted!r}; {hint}", file=sys.stderr)
    return 2


def _list() -> None:
    from ..rules import REGISTRY

    widest = max((len(rule.name) for rule in REGISTRY.values()), default=0)
    for code, rule in sorted(REGISTRY.items()):
        mark = "" if rule.status == "stable" else f" ({rule.status})"
        print(f"{code}  {rule.name:<{widest}}  {_title(rule)}{mark}")
    print("\nOne rule's page: evenflow rules EF101")


def _page(code: str) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    from ..rules import REGISTRY

    rule = REGISTRY[code]
    text = inspect.cleandoc(rule.__doc__ or "")
    head = f"{code} {rule.name} ({rule.status}, since {rule.since})"
    console = Console()
    if console.is_terminal:
        console.print(Markdown(f"# {head}\n\n{text}"), width=min(console.width, 100))
    else:
        print(f"{head}\n\n{text}")


def _title(rule: type) -> str:
    return inspect.cleandoc(rule.__doc__ or "").split("\n", 1)[0].rstrip(".")
