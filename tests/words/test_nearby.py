"""The one question that errors ask, and that no other file asks it in its own way."""

from __future__ import annotations

import pytest

from evenflow import lang
from evenflow.lang import FOLDER
from evenflow.nearby import did_you_mean, hint, there_are

NAMES = ("relu", "elu", "tanh", "sigmoid")


def test_the_nearest_names_are_asked_for() -> None:
    assert did_you_mean("sigmod", NAMES) == "did you mean 'sigmoid'?"
    assert did_you_mean("rellu", NAMES, 2, str) == "did you mean relu or elu?"
    assert did_you_mean("rleu", NAMES, sentence=True) == "Did you mean 'relu'?"
    assert did_you_mean("xyz", NAMES) == did_you_mean("", ()) == ""
    assert did_you_mean("xyz", NAMES, also=["w of a site"]) == "did you mean w of a site?"


def test_names_that_are_shown_alike_are_asked_for_once() -> None:
    known = {"silu": "silu", "silu1": "silu", "selu": "selu"}
    assert did_you_mean("silu", known, 3, known.__getitem__) == "did you mean silu or selu?"


def test_where_none_is_near_it_is_said_what_there_is() -> None:
    assert there_are(NAMES) == "there are relu, elu, tanh, sigmoid."
    assert hint("rellu", NAMES) == "did you mean 'relu' or 'elu'?"
    assert hint("3", ["layers.3.weight", "head"]) == "did you mean 'layers.3.weight'?"
    assert hint("q", ["a", "", "b", "a"]) == "there are 'a', 'b'"
    assert hint("q", "abcdefg") == "there are 'a', 'b', 'c', 'd', 'e', 'f' ..."


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("ru", ("может быть, relu или elu?", "Может быть, relu или elu?", "есть такие: a, b.")),
        ("zh", ("是否指 relu 或 elu？", "是否指 relu 或 elu？", "现有：a, b。")),
    ],
)
def test_in_the_users_language(code: str, said: tuple[str, ...]) -> None:
    lang.set_language(code)
    try:
        asked = (did_you_mean("rellu", NAMES, 2, str, sentence=start) for start in (False, True))
        assert (*asked, there_are("ab")) == said
    finally:
        lang.set_language(None)


def test_no_other_file_asks_in_its_own_way() -> None:
    source = FOLDER.parent
    asking = [
        path.name
        for path in source.rglob("*.py")
        if "get_close_matches" in (text := path.read_text()) or "did you mean" in text.lower()
    ]
    assert asking == ["nearby.py"]
