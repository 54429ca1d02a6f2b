"""The language of the command line: `--lang`, and help texts in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from ..lang import LANGUAGES, _, set_language, unknown


def _chosen(code: str | None) -> str | None:
    """The option as the parser meets it; `speak` has set it already."""
    if code is not None and code.lower() not in LANGUAGES:
        raise typer.BadParameter(unknown(code))
    return code


Lang = Annotated[
    str | None,
    typer.Option(
        "--lang",
        metavar="|".join(LANGUAGES),
        show_default=False,
        callback=_chosen,
        help="Language. Default: EVENFLOW_LANG, else the locale.",
    ),
]


def speak(command: Any, argv: Sequence[str]) -> None:
    """Set the language that `argv` asks for, and put the help texts into it.

    Before anything is parsed: help and wrong usage speak it too. What follows the script of
    `evenflow run` is the script's own.
    """
    set_language(None)
    asked = _asked(command, argv)
    if asked is not None and asked.lower() in LANGUAGES:
        set_language(asked.lower())
    for text, owner, attribute in _texts(command):
        setattr(owner, attribute, _(text))


def helps(command: Any) -> Iterator[tuple[str, str]]:
    """(where, text) of each help text in English, to be translated."""
    for text, owner, _attribute in _texts(command):
        yield owner.name, text


def _asked(command: Any, argv: Sequence[str]) -> str | None:
    """The value of the last --lang that is ours."""
    words, found = list(argv), None
    while words:
        word = words.pop(0)
        if word == "--":
            break
        if word.startswith("-"):
            name, equals, value = word.partition("=")
            takes = any(name in p.opts and not getattr(p, "is_flag", True) for p in command.params)
            if takes and not equals and words:
                value = words.pop(0)
            if name == "--lang":
                found = value
        elif (below := getattr(command, "commands", {}).get(word)) is not None:
            command = below
        elif not command.allow_interspersed_args:
            break
    return found


def _texts(command: Any) -> Iterator[tuple[str, Any, str]]:
    """Each help text, who holds it and as what, from the top down."""
    for owner, attribute in (
        (command, "help"),
        (command, "epilog"),
        *((p, "help") for p in command.params),
    ):
        if text := getattr(owner, attribute, None):
            yield text, owner, attribute
    for below in getattr(command, "commands", {}).values():
        yield from _texts(below)
