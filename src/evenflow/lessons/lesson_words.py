"""A lesson's text, which is its file's docstring, in the language spoken."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..lang import _, language
from .base import Lesson

_WORDS = re.compile(r"\b(?:the|at|factor)\b")


def told(lesson: Lesson) -> str:
    """The lesson's text as Markdown, in the language spoken.

    English as the docstring has it; a translation has one line a paragraph and one an item of a
    list, for who shows it to break as wide as it likes.
    """
    if language() == "en":
        return lesson.text
    out = []
    for block in blocks(lesson.text):
        if block.startswith("## "):
            out.append(f"## {_(block[3:])}")
        else:
            out.append(block if _is_formula(block) else _(block))
    return "\n\n".join(out)


def messages(lesson: Lesson) -> Iterator[str]:
    """What a translator sees: title, question, answer, headings, paragraphs, lists."""
    yield from (lesson.title, lesson.question, lesson.answer)
    for block in blocks(lesson.text):
        if not _is_formula(block):
            yield block.removeprefix("## ")


def _is_formula(block: str) -> bool:
    """Nothing but symbols; formulas with words beside them are translated as they stand."""
    return block.startswith("    ") and not _WORDS.search(block)


def blocks(text: str) -> Iterator[str]:
    """Headings, formulas as they stand, and paragraphs and lists without their line breaks."""
    for block in text.strip().split("\n\n"):
        head, _newline, rest = block.partition("\n")
        if head.startswith("## "):
            yield head
            block = rest
        if block.startswith("    "):
            yield block
        elif block.strip():
            yield "\n".join(" ".join(item.split()) for item in re.split(r"\n(?=- )", block))
