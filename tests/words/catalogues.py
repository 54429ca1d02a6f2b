"""Gather every message into the catalogues and compile them: `make words`.

Messages are what the source marks with `_`, `N_` and `ngettext`; the text of each `Remedy`; the
paragraphs of each rule's docstring; the text, title, question and answer of each lesson; the
definitions of metrics; the help texts of the command line.
"""

from __future__ import annotations

import ast
import io
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from babel.messages import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from evenflow.lang import FOLDER

SOURCE = Path(__file__).parents[2] / "src" / "evenflow"
LANGUAGES = ("ru", "zh")
KEYWORDS: dict[str, Any] = {"_": None, "N_": None, "ngettext": (1, 2)}
METHODS = [("**.py", "python")]


def path(language: str, kind: str = "po") -> Path:
    return FOLDER / language / "LC_MESSAGES" / f"evenflow.{kind}"


def gather() -> Catalog:
    """All messages of the source, without translations."""
    found = Catalog(project="evenflow", fuzzy=False)
    for file, line, text, notes, _ in extract_from_dir(
        SOURCE, METHODS, keywords=KEYWORDS, comment_tags=("Translators:",)
    ):
        found.add(text, locations=[(file, 0)], auto_comments=notes)
        del line  # lines move with every edit: a catalogue would change all the time
    for where, text in (*remedies(), *rules(), *lessons(), *commands(), *metrics(), *THEIRS):
        found.add(text, locations=[(where, 0)])
    return found


def remedies() -> Iterator[tuple[str, str]]:
    """What each `Remedy` of the source says first; a text made elsewhere is marked there."""
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            called = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
            if called == "Remedy" and isinstance(node.args[0], ast.Constant):
                yield file.relative_to(SOURCE).as_posix(), node.args[0].value


def rules() -> Iterator[tuple[str, str]]:
    """Paragraphs and headings of the rules' pages."""
    from evenflow.faults import REGISTRY
    from evenflow.faults.pages import paragraphs

    for code, rule in REGISTRY.items():
        for text in paragraphs(rule):
            yield f"rules/{code}", text


def metrics() -> Iterator[tuple[str, str]]:
    """How each metric is defined."""
    from evenflow.schema import METRICS

    for metric in METRICS.values():
        yield "schema/metrics.py", metric.text


def lessons() -> Iterator[tuple[str, str]]:
    """Titles, questions, answers and blocks of text of the lessons."""
    from evenflow.lessons import REGISTRY
    from evenflow.lessons.lesson_words import messages

    for name, lesson in REGISTRY.items():
        for text in messages(lesson):
            yield f"lessons/{name}", text


def commands() -> Iterator[tuple[str, str]]:
    """Help of the commands, their arguments and options."""
    import typer

    from evenflow.cli.app import app
    from evenflow.cli.speaking import helps

    for where, text in helps(typer.main.get_command(app)):
        yield f"cli/{where}", text


def stored(language: str) -> Catalog:
    with path(language).open("rb") as file:
        return read_po(file, locale=language, domain="evenflow")


def compiled(catalogue: Catalog) -> bytes:
    out = io.BytesIO()
    write_mo(out, catalogue)
    return out.getvalue()


def write(catalogue: Catalog, language: str) -> None:
    """The catalogue and what is compiled from it, without dates: the same text, the same bytes."""
    path(language).parent.mkdir(parents=True, exist_ok=True)
    kept = Catalog(locale=language, domain="evenflow", project="evenflow", fuzzy=False)
    kept.header_comment = "# Messages of Evenflow. Written by `make words`; translate here."
    for message in sorted((m for m in catalogue if m.id), key=_place):
        kept.add(
            message.id,
            message.string,
            locations=[(file, 0) for file in sorted({file for file, _ in message.locations})],
            auto_comments=message.auto_comments,
            flags=message.flags - {"fuzzy"},
        )
    kept.creation_date = kept.revision_date = datetime(2026, 11, 21, tzinfo=timezone.utc)
    out = io.BytesIO()
    write_po(out, kept, width=98, include_lineno=False, sort_output=False)
    path(language).write_bytes(out.getvalue())
    path(language, "mo").write_bytes(compiled(stored(language)))


def _place(message: Any) -> tuple[str, str]:
    key = message.id if isinstance(message.id, str) else message.id[0]
    return (sorted({file for file, _ in message.locations} or {""})[0], key)


def update(language: str) -> tuple[int, int]:
    """Take in what is new, drop what is gone; how many are untranslated, how many were dropped."""
    template = gather()
    old = stored(language) if path(language).exists() else Catalog(locale=language)
    dropped = 0
    for message in old:
        if not message.id:
            continue
        if (new := template.get(message.id)) is None:
            dropped += 1
        else:
            new.string = message.string
    write(template, language)
    empty = [m for m in stored(language) if m.id and not all(_forms(m.string))]
    for message in empty:
        print(f"{language}: not translated: {message.id!r:.120}")
    return len(empty), dropped


def _forms(text: Any) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text) or ("",)


#: What the library that reads the command line says by itself.
THEIRS: tuple[tuple[str, str], ...] = ()


if __name__ == "__main__":
    for each in LANGUAGES:
        missing, gone = update(each)
        print(f"{each}: {missing} to translate, {gone} dropped")
