"""Codes, pages and imports: what keeps registry, rules and zoo together."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from evenflow.faults import REGISTRY as RULES
from evenflow.treatments import EDITS, REGISTRY
from evenflow.treatments.base import Facts
from evenflow.treatments.choices import TABLE, of
from evenflow.treatments.registry import KINDS, parse
from evenflow.treatments.together import ORDER
from patience import HANG
from tests.treatments.findings import finding


def test_treatments_name_codes_that_exist_and_every_code_is_treated() -> None:
    named = {c for e in REGISTRY.values() for c in e.codes}
    assert named <= set(RULES)
    assert named == set(RULES), f"no treatment names {sorted(set(RULES) - named)}"
    assert set(RULES) <= set(TABLE)
    assert {k for k in TABLE if k.startswith("EF")} <= set(RULES)


def test_the_zoos_codes_are_treated() -> None:
    from zoo.registry import REGISTRY as ZOO

    for case in ZOO.values():
        assert case.expect <= set(TABLE), case.name


@pytest.mark.parametrize("code", list(TABLE))
@pytest.mark.parametrize(
    "facts",
    [
        Facts(),
        Facts(50, ("sigmoid",), hidden=49, square=48),
        Facts(50, ("tanh",), hidden=49, square=48),
        Facts(50, ("relu",), hidden=49, square=48),
        Facts(3, ("relu",), recurrent=frozenset(("rnn_tanh",)), hidden=2),
        Facts(3, ("gelu",), skips=True, attention=True, norms=frozenset(("layer_norm",))),
    ],
)
def test_every_choice_is_a_text_that_parses(code: str, facts: Facts) -> None:
    f = finding(code if code.startswith("EF") else "EF401", cause=code)
    for text in of(f, facts):
        assert parse(text)


def test_every_kind_has_its_place_and_its_page() -> None:
    assert set(KINDS) == set(ORDER)
    pages = {m for m in sys.modules if m.startswith("evenflow.treatments.") and "live" not in m}
    for name in pages:
        assert len((import_module(name).__doc__ or "").strip()) > 40, name


def test_edits_are_texts_only() -> None:
    assert set(EDITS) == {n for n, e in REGISTRY.items() if e.kind == "edit"}
    assert "softmax" in EDITS["edit=logits"].edit("logits")


def test_apply_points_at_functions() -> None:
    for e in REGISTRY.values():
        if e.apply:
            home, name = e.apply.split(":")
            module = import_module(f"evenflow.treatments.live.{home}")
            assert (getattr(module, name).__doc__ or "").strip(), e.name


WITHOUT = """
import sys
import evenflow.treatments, evenflow.prescription
{more}
assert "torch" not in sys.modules
"""


def test_no_torch_is_needed_to_parse_and_prescribe() -> None:
    code = WITHOUT.format(more="evenflow.treatments.parse('activation=relu->elu; init=he')")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=HANG)
    with pytest.raises(subprocess.CalledProcessError):
        code = WITHOUT.format(more="evenflow.treatments.treat_")
        subprocess.run([sys.executable, "-c", code], check=True, timeout=HANG, capture_output=True)
