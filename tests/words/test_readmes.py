"""README in three languages: code, commands, links, tables and pictures are the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LANGUAGES = {"ru": r"[а-яё]", "zh": r"[一-鿿]"}
FENCED = re.compile(r"^```.*?^```$", re.M | re.S)


def read(language: str = "") -> str:
    name = f"README.{language}.md" if language else "README.md"
    return (ROOT / name).read_text(encoding="utf-8")


def prose(text: str) -> str:
    """Without code and comments."""
    return re.sub(r"<!--.*?-->", "", FENCED.sub("", text), flags=re.S)


def targets(text: str) -> list[str]:
    """Where links and pictures lead, but for the languages themselves."""
    found = re.findall(r"\]\((.+?)\)", prose(text))
    return [target for target in found if not target.startswith("README")]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_parts_are_the_same(language: str) -> None:
    ours, theirs = read(), read(language)
    assert FENCED.findall(theirs) == FENCED.findall(ours), "code and outputs"
    assert re.findall(r"<!--.*?-->", theirs, re.S) == re.findall(r"<!--.*?-->", ours, re.S)
    assert sorted(targets(theirs)) == sorted(targets(ours))
    for mark in (r"^## ", r"^### ", r"^\| ", r"^!\[", r"^- "):
        count = [len(re.findall(mark, prose(text), re.M)) for text in (ours, theirs)]
        assert count[0] == count[1], mark
    spans = [sorted(set(re.findall(r"`[^`\n]+`", prose(text)))) for text in (ours, theirs)]
    assert spans[0] == spans[1], "commands and names"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_is_left_in_english(language: str) -> None:
    letters = re.compile(LANGUAGES[language], re.I)
    for paragraph in prose(read(language)).split("\n\n"):
        plain = re.sub(r"`[^`]*`|\]\(.*?\)|https?://\S+|\*\*|[|#>-]", " ", paragraph)
        words = re.findall(r"[A-Za-z]{3,}", plain)
        if len(words) > 8:
            assert len(letters.findall(plain)) > 8, paragraph[:200]


@pytest.mark.parametrize("language", ["", *LANGUAGES])
def test_each_leads_to_the_others(language: str) -> None:
    others = {"": "README.md", "ru": "README.ru.md", "zh": "README.zh.md"}
    del others[language]
    for name in others.values():
        assert f"]({name})" in read(language)
