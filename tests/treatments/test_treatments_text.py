"""The text of treatments: lossless both ways, and errors that help."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenflow.schema import Treatment, parse_treatments, treatment_text
from evenflow.treatments import parse

KINDS = st.from_regex(r"[a-z][a-z0-9-]{0,11}", fullmatch=True)
VALUES = st.text(st.characters(blacklist_categories=("C", "Z"), blacklist_characters=";"))
TREATMENTS = st.builds(Treatment, KINDS, VALUES)


@given(st.lists(TREATMENTS))
def test_what_is_printed_is_read_back(treatments: list[Treatment]) -> None:
    told = treatment_text(treatments)
    assert parse_treatments(told) == tuple(treatments)
    assert treatment_text(parse_treatments(told)) == told


@given(st.text())
def test_any_text_is_read_or_refused_clearly(text: str) -> None:
    try:
        found = parse_treatments(text)
    except ValueError as e:
        assert "treatment" in str(e) or "value" in str(e)
    else:
        assert parse_treatments(treatment_text(found)) == found


def test_reason_and_codes_are_no_part_of_it() -> None:
    told = Treatment("clip", "norm:1.0", "spikes", ("EF402",))
    assert str(told) == "clip=norm:1.0" and told == Treatment("clip", "norm:1.0")
    assert parse(" init = lsuv-centred;clip=norm:1.0 ; rezero ;") == (
        Treatment("init", "lsuv-centred"),
        Treatment("clip", "norm:1.0"),
        Treatment("rezero"),
    )
    assert parse("") == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("clpi=norm", ["'clpi=norm'", "did you mean clip?"]),
        ("init=orthogonl", ["did you mean init=orthogonal?", "lsuv-centred"]),
        ("init", ["there is no init=...", "he"]),
        ("clip=norm:-1", ["'clip=norm:-1'", "'-1' must be a number above 0", "clip=norm:1.0"]),
        ("clip=norm:nan", ["must be a number"]),
        ("lr=fast", ["'fast' must be a number above 0", "lr=x0.1"]),
        ("warmup=0", ["at least 1"]),
        ("rezero=3", ["takes no value"]),
        ("activation=relu", ["OLD->NEW"]),
        ("activation=rleu->elu", ["did you mean relu?"]),
        ("activation=relu->lekay_relu", ["leaky_relu"]),
        ("activation=relu->tanh:2", ["takes no number"]),
        ("optimizer=adm", ["did you mean adam"]),
        ("dropout=1.5", ["at most 0.95"]),
        ("input=normal", ["standardise, minmax"]),
        ("target=standardise", ["standardise:MEAN:STD"]),
        ("init=he=2", ["there is no init=he=2"]),
        ("=he", ["KIND=VALUE"]),
        ("init=", ["KIND=VALUE"]),
        ("init=he;;lr=1", ["''"]),
        ("Init=he", ["no kind of treatment"]),
    ],
)
def test_a_wrong_text_says_what_would_be_right(text: str, words: list[str]) -> None:
    with pytest.raises(ValueError) as e:
        parse(text)
    for word in words:
        assert word in str(e.value), str(e.value)


@pytest.mark.parametrize("value", ["a;b", " a", "a ", "a\nb"])
def test_a_value_the_text_cannot_hold_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="is no value of clip"):
        Treatment("clip", value)
