"""Every translation uses the field's terms: `glossary.toml`, held against all messages."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from catalogues import LANGUAGES, stored

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TERMS: dict[str, dict[str, list[str]]] = tomllib.loads(
    Path(__file__).with_name("glossary.toml").read_text(encoding="utf-8")
)
#: Code is no sentence: spans, options, names with dots or underscores, fields to be filled.
CODE = re.compile(r"`[^`]*`|\{[^}]*\}|--?\w[\w-]*|\w+[._(=]\w*")
#: Share of a term's messages that may say it another way ("the first term", "neuron's own").
FREE = 0.03


def text(message: Any) -> str:
    return message if isinstance(message, str) else " ".join(message)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("term", TERMS)
def test_a_term_is_the_textbooks(term: str, language: str) -> None:
    stems = "|".join(map(re.escape, TERMS[term][language]))
    held, other = 0, list[str]()
    for message in stored(language):
        if not message.id or not re.search(rf"\b{term}", CODE.sub("", text(message.id)), re.I):
            continue
        held += 1
        if not re.search(stems, text(message.string), re.I):
            other.append(f"{text(message.id)[:80]} -> {text(message.string)[:80]}")
    assert held, f"no message says {term!r}"
    assert len(other) <= max(1, FREE * held), other


def test_both_languages_have_every_term() -> None:
    assert len(TERMS) >= 25
    assert all(set(stems) == set(LANGUAGES) and all(stems.values()) for stems in TERMS.values())
