"""Lessons and activation cards in every language: no English sentence is left."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import catalogues
import pytest

from evenflow import lang
from evenflow.activations import card, names, table, text
from evenflow.activations.figures import document, page
from evenflow.cli import main
from evenflow.lessons import REGISTRY, beside, terminal
from evenflow.lessons.lesson_words import messages, told

LANGUAGES = catalogues.LANGUAGES
CHEAP = ("linear-neuron", "nested-functions", "four-layers")
#: Four words of a Latin alphabet in a row; formulas have symbols between them.
_ENGLISH = re.compile(r"[A-Za-z]{2,}(?:,? [A-Za-z]{2,}){3}")


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    yield
    lang.set_language(None)


def english(said: str) -> list[str]:
    """English in a text, but for its formulas and sources."""
    lines = (line for line in said.splitlines() if not line.startswith("    "))
    return [line for line in lines if _ENGLISH.search(line)]


def test_english_is_found() -> None:
    assert english("x\nand the gradient is gone\n") == ["and the gradient is gone"]
    assert not english("    the rate of a formula\nградиент softmax равен tanh")


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_block_of_a_lesson_is_translated(code: str) -> None:
    for lesson in REGISTRY.values():
        english_blocks = len(lesson.text.strip().split("\n\n"))
        lang.set_language(code)
        assert told(lesson).count("\n\n") + 1 >= english_blocks
        assert not english(told(lesson)), lesson.name
        for message in messages(lesson):
            assert lang._(message) != message or not re.search("[a-z]{4,}", message), message
        lang.set_language("en")
        assert told(lesson) == lesson.text


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("name", CHEAP)
def test_a_lesson_speaks_one_language(name: str, code: str) -> None:
    lang.set_language(code)
    said = terminal(REGISTRY[name], REGISTRY[name].run(), beside=beside(name))
    assert not english(said)
    assert all(lang._(words) in said for words in ("next", "See also"))
    assert all(lang._(words).upper() in said for words in ("A question", "Its answer"))


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_list_of_lessons(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--lesson", "list", "--lang", code]) == 0
    said = capsys.readouterr().out
    lang.set_language(code)
    assert all(lang._(lesson.title) in said for lesson in REGISTRY.values())
    assert not english(said)


@pytest.mark.parametrize("code", LANGUAGES)
def test_cards_speak_one_language(code: str) -> None:
    lang.set_language(code)
    for name in names():
        assert not english(text(card(name))), name
    assert not english(table([card("relu"), card("tailored_tanh")]))
    assert f"lang='{lang.TAGS[code]}'" in document("x", "")


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.filterwarnings("error:Glyph")
def test_a_picture_has_letters_that_can_be_drawn(code: str) -> None:
    """No missing glyph: without a Chinese font the picture speaks English, its page Chinese."""
    lang.set_language(code)
    assert lang._("Critical initialisation (χ1 = 1)") in page(card("tailored_tanh"))


def sentences(source: str) -> list[str]:
    """What is told and not marked: not docstrings, names of numbers, or what a `Lesson` is made
    of (`catalogues.lessons` gathers that)."""
    tree = ast.parse(source)
    fine: set[ast.AST] = set()
    for node in ast.walk(tree):
        called = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
        if called in ("_", "N_", "Lesson", "AssertionError") or isinstance(node, ast.Subscript):
            fine.update(ast.walk(node))
        if isinstance(node, ast.Dict):
            fine.update(n for key in node.keys if key for n in ast.walk(key))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            fine.add(node.value)
    texts = [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and n not in fine]
    found = [n.value for n in texts if isinstance(n.value, str)]
    return [t for t in found if re.search(r"[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}", t)]


FILES = sorted((catalogues.SOURCE / "lessons").glob("*.py"))
SHOWN = ("atlas", "card_text", "figures", "registry", "sweeping", "tailoring")
FILES += [catalogues.SOURCE / "activations" / f"{name}.py" for name in SHOWN]


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_no_sentence_is_left_unmarked(path: Path) -> None:
    known = ("alice was beginning", "device-width, initial", "et al.", "arXiv:", "hard swing at")
    found = sentences(path.read_text(encoding="utf-8"))
    assert not [t for t in found if not any(k in t for k in known)]


def test_an_unmarked_sentence_is_found() -> None:
    assert sentences('Table("one and the other", ())')
    assert not sentences('Table(_("one and the other"), ())\nx = {"one and the other": 1}')
