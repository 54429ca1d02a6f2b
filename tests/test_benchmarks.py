"""The benchmarks of whole scripts, planted faults and induced spikes: what they score by."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from benchmarks import cases, mutants, planted, spikes
from benchmarks.planted.transformer import Attention, Wiring
from evenflow.faults.registry import REGISTRY
from evenflow.schema import Severity

SICK = sorted(cases.OWN.glob("*_sick.py"))


@pytest.mark.parametrize("script", SICK, ids=lambda p: p.stem)
def test_a_pair_says_its_codes_and_has_a_twin_that_differs_little(script: Path) -> None:
    expected = cases.expectation(script, {})
    assert expected[0][2:] == script.stem.split("_")[0]
    assert all(re.fullmatch(r"EF[1-8]\d\d", code) for code in expected)
    twin = script.with_name(script.name.replace("_sick", "_healthy"))
    sound, sick = (set(p.read_text().splitlines()) for p in (twin, script))
    doc = ast.get_docstring(ast.parse(twin.read_text())) or ""
    assert doc.startswith(f"healthy, twin of {expected[0]}:")
    assert 2 <= len(sound ^ sick) <= 20


def test_the_first_grave_finding_decides() -> None:
    def told(*findings: tuple[str, str]) -> str:
        return cases.Told("x", ("EF801",), list(findings)).score

    assert told() == "missed"
    assert told(("info", "EF801")) == "missed"
    assert told(("info", "EF401"), ("error", "EF801")) == "full"
    assert told(("error", "EF402"), ("error", "EF801")) == "symptom"
    assert told(("error", "EF703"), ("error", "EF801")) == "wrong"
    assert cases.peer_score(("EF703", "EF801"), ("EF801",)) == "full"
    assert cases.peer_score((), ("EF801",)) == "missed"


def test_a_table_overrules_what_a_docstring_says(tmp_path: Path) -> None:
    script = tmp_path / "01_x_sick.py"
    script.write_text('"""No code."""\n')
    assert cases.expectation(script, {"01": ("EF701",)}) == ("EF701",)
    with pytest.raises(SystemExit, match=r"01_x_sick\.py"):
        cases.expectation(script, {})


def test_bars_are_missed_by_one_error_on_a_twin() -> None:
    sick = cases.Told("a_sick", ("EF801",), [("error", "EF801")])
    twin = cases.Told("a_healthy", (), [("warning", "EF101")])
    assert cases.missed_bars([sick, twin]) == []
    twin.findings = [("error", "EF101")]
    assert cases.missed_bars([sick, twin]) == ["errors on twins: 1"]


def test_planted_faults_are_many_and_name_codes_that_exist() -> None:
    names = [k.name for k in planted.KINDS]
    assert len(set(names)) == len(names) >= 40
    coming = {"EF208", "EF407", "EF808", "EF809", "EF810", "EF811", "EF812"}  # issue 16's
    for kind in planted.KINDS:
        assert set(kind.codes.split()) <= set(REGISTRY) | coming
        assert kind.part or kind.codes or kind.unseen


@pytest.mark.parametrize("causal", [False, True])
def test_the_sound_attention_is_torch_s(causal: bool) -> None:
    torch.manual_seed(0)
    attention, x = Attention(8, 2, causal, Wiring()), torch.randn(3, 5, 8)
    q, k, v = (
        p(x).view(3, 5, 2, 4).transpose(1, 2) for p in (attention.q, attention.k, attention.v)
    )
    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    assert torch.allclose(attention(x), attention.o(mixed.transpose(1, 2).reshape(3, 5, 8)))


@pytest.mark.parametrize("mask", ["zeroed", "leaky", "inverted"])
def test_a_broken_mask_lets_the_future_in_and_a_blind_one_does_not(mask: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 6, 8, requires_grad=True)
    for wiring, future in ((Wiring(mask=mask), True), (Wiring(mask="blind"), False)):
        out = Attention(8, 2, True, wiring)(x)
        (grad,) = torch.autograd.grad(out[:, 2].sum(), x)
        assert bool((grad[:, 3:].abs() > 1e-9).any()) is future


def test_harm_is_measured_against_the_spread_of_clean_ones() -> None:
    clean = [mutants.Planted("p", "", s, 1.0 + 0.01 * s, 0.9) for s in range(5)]
    harmed = mutants.Planted("p", "k", 0, 1.2, 0.9)
    assert mutants.measurable(harmed, clean)
    assert not mutants.measurable(mutants.Planted("p", "k", 0, 1.03, 0.9), clean)
    assert mutants.measurable(mutants.Planted("p", "k", 0, 1.0, 0.7), clean)
    assert mutants.measurable(mutants.Planted("p", "k", 0, float("nan"), 0.9), clean)


def test_the_right_part_is_the_first_finding_s() -> None:
    def right(code: str, *names: str) -> bool:
        error = Severity.error.name
        found = [(error, code, list(names)), (error, "EF704", ["blocks.1.attn.q.weight"])]
        return mutants.at_right_part(mutants.Planted("p", "q in no optimizer", 0, findings=found))

    assert right("EF704")
    assert right("EF101", "Transformer.blocks.1.attn.q")
    assert not right("EF101", "Transformer.blocks.1.up")


def test_a_spike_lasts_two_steps_and_comes_after_the_onset() -> None:
    calm = [1.0 + 0.01 * (i % 3) for i in range(spikes.STEPS)]
    assert spikes.first_spike(calm) is None
    once = [*calm]
    once[200] = 9.0
    assert spikes.first_spike(once) is None
    once[201] = 9.0
    assert spikes.first_spike(once) == 200
    early = [*calm]
    early[50] = early[51] = 9.0
    assert spikes.first_spike(early) is None


def test_a_warning_counts_from_its_first_score_above_the_bar() -> None:
    ran = spikes.Ran("k", "rate", 0, 300, 9, {"r": [(10, 9.0), (240, 0.5), (260, 2.0), (290, 3.0)]})
    assert spikes.lead(ran, "r", 1.0) == 40
    assert spikes.lead(ran, "r", 5.0) is None
