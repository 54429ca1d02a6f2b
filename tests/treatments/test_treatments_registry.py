"""Codes, pages and imports: what keeps registry, rules and zoo together."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
import torch

from evenflow.faults import REGISTRY as RULES
from evenflow.treatments import REGISTRY, Entry, Facts, treat_
from evenflow.treatments.parsing import parse
from evenflow.treatments.registry import TABLE, of
from patience import HANG
from tests.treatments.findings import finding

#: Treatments that go together in one text, on a small rectifier network.
NAMES = "input init=he norm=layer bias clip=norm clip=z momentum lr warmup l2 dropout"
CALM = [REGISTRY[name] for name in NAMES.split()]


def test_every_code_is_treated_and_no_other() -> None:
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


def test_every_treatment_has_its_page() -> None:
    pages = {m for m in sys.modules if m.startswith("evenflow.treatments.") and "live" not in m}
    for name in pages:
        assert len((import_module(name).__doc__ or "").strip()) > 40, name


def test_edits_are_texts_only() -> None:
    assert all((e.apply == "") == (e.kind == "edit") for e in REGISTRY.values())
    assert "softmax" in REGISTRY["edit=logits"].edit(None)


def test_what_applies_a_treatment_has_the_name_of_its_file() -> None:
    for e in REGISTRY.values():
        if e.apply:
            home, name = e.apply.split(":")
            assert e in import_module(f"evenflow.treatments.{home}").ENTRIES
            module = import_module(f"evenflow.treatments.live.{home}")
            assert (getattr(module, name).__doc__ or "").strip(), e.name


def test_a_value_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many functions of an entry are asked: each text goes through `parse` one time."""
    text = "; ".join(f"{e.kind}={e.examples[0]}" for e in CALM)
    count: Counter[str] = Counter()
    for e in CALM:

        def parse_once(detail: str, e: Entry = e) -> Any:
            count[e.name] += 1
            return e.parse(detail)

        monkeypatch.setitem(REGISTRY, e.name, replace(e, parse=parse_once))
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    opt = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    treat_(model, opt, text, torch.randn(16, 4))
    assert count == {e.name: 1 for e in CALM}


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
