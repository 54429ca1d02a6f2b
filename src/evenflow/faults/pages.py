"""The page of each rule, which is its docstring, in the language spoken."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from ..lang import _, language
from .base import Rule


def headline(rule: type[Rule]) -> str:
    """The first sentence of the rule's page, in the language spoken."""
    return _(next(paragraphs(rule), ""))


def told(rule: type[Rule]) -> str:
    """The rule's page as Markdown, in the language spoken.

    English as the docstring has it; a translation has one line a paragraph, for who shows it to
    break as wide as it likes.
    """
    text = inspect.getdoc(rule) or ""
    if language() == "en":
        return text
    return "\n\n".join(f"## {_(p[3:])}" if p.startswith("## ") else _(p) for p in _parts(text))


def paragraphs(rule: type[Rule]) -> Iterator[str]:
    """What a translator sees of the page: each heading and each paragraph as one line."""
    for part in _parts(inspect.getdoc(rule) or ""):
        yield part.removeprefix("## ")


def _parts(text: str) -> Iterator[str]:
    for block in text.split("\n\n"):
        head, _newline, rest = block.partition("\n")
        if head.startswith("## "):
            yield head
            block = rest
        if block.strip():
            yield " ".join(block.split())
