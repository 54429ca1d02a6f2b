"""The zoo keeps its own rules: codes, halves, twins, sites."""

from __future__ import annotations

import re

import pytest

from evenflow.faults import REGISTRY as RULES
from zoo import FAMILY, REGISTRY, Case, select
from zoo.case import codes, sick

JUDGED = {code for code in RULES if not code.startswith("EF6")}


def test_every_code_is_a_rule_and_every_rule_has_sick_networks() -> None:
    expected = {code for case in REGISTRY.values() for code in case.expect}
    assert expected == JUDGED
    known = JUDGED | {"EF601", "EF602", "EF603", "EF604", "EF605"}
    for case in REGISTRY.values():
        assert case.allow <= known, case.name
        assert not case.allow & case.expect, case.name


@pytest.mark.parametrize("code", sorted(JUDGED))
def test_each_code_is_shown_by_different_families_in_each_half(code: str) -> None:
    halves = {
        half: {c.family for c in select(half, code=code)} for half in ("calibration", "report")
    }
    assert halves["calibration"] and halves["report"], halves
    assert not halves["calibration"] & halves["report"]
    assert len(select(code=code)) >= 2


def test_names_are_unique_and_begin_with_their_family() -> None:
    assert len({c.name for c in REGISTRY.values()}) == len(REGISTRY)
    for name, case in REGISTRY.items():
        assert name == case.name
        assert name.startswith(f"{case.family}-")
        assert case.about


def test_every_family_is_used_and_stands_in_one_half() -> None:
    assert {c.family for c in REGISTRY.values()} == set(FAMILY)
    assert set(FAMILY.values()) == {"calibration", "report"}


@pytest.mark.parametrize("case", select(healthy=False), ids=lambda c: c.name)
def test_a_sick_case_has_a_healthy_twin_of_its_family_that_may_score_more(case: Case) -> None:
    twin = REGISTRY[case.twin]
    assert twin.healthy
    assert twin.family == case.family
    assert twin.train.func is case.train.func  # type: ignore[attr-defined]
    assert twin.bound >= case.bound - 0.4


@pytest.mark.parametrize("case", select(healthy=False), ids=lambda c: c.name)
def test_site_patterns_are_for_expected_codes_and_compile(case: Case) -> None:
    assert set(case.sites) <= case.expect
    for pattern in case.sites.values():
        assert re.compile(pattern)
        assert not re.search(pattern, "nowhere at all")


@pytest.mark.parametrize("half", ["calibration", "report"])
def test_each_half_has_healthy_networks_beside_the_twins(half: str) -> None:
    twins = {c.twin for c in select(half, healthy=False)}
    assert len({c.name for c in select(half, healthy=True)} - twins) >= 15
    assert select(half, healthy=True) and select(half, healthy=False)


def test_select_narrows_and_refuses_an_unknown_half() -> None:
    assert len(select()) == len(REGISTRY)
    assert len(select("report")) + len(select("calibration")) == len(REGISTRY)
    assert all("EF101" in c.expect and c.half == "report" for c in select("report", code="EF101"))
    with pytest.raises(ValueError, match="'both'"):
        select("both")


def test_a_case_is_sick_by_what_it_expects() -> None:
    case = sick(
        "cnn", "x", "a fault", lambda seed: 0.0, 0.5, twin="y", expect="101 205", allow="205 401"
    )
    assert (case.name, case.twin, case.half) == ("cnn-x", "cnn-y", "report")
    assert case.expect == codes("101 205") == frozenset({"EF101", "EF205"})
    assert case.allow == {"EF401"}
    assert not case.healthy
