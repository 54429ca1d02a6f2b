"""From findings to treatments: roots first, harm refused, reasons given."""

from __future__ import annotations

from dataclasses import replace

import pytest

import evenflow
from evenflow.schema import Finding, Severity, Treatment
from evenflow.treatments import Facts, Refused
from evenflow.treatments.ranking import courses
from tests.treatments.findings import finding

SIGMOID = Facts(50, ("sigmoid",), hidden=49, square=48, adaptive=True)


def rank(findings: list[Finding], facts: Facts) -> tuple[list[Treatment], list[Refused]]:
    """Single treatments, best first."""
    found, refused = courses(findings, facts)
    return [t for course in found for t in course.treatments], refused


def test_the_first_choice_for_fifty_sigmoid_layers_is_centred_lsuv() -> None:
    found, refused = rank([finding("EF101")], SIGMOID)
    assert str(found[0]) == "init=lsuv-centred"
    assert found[0].codes == ("EF101",) and "EF101 a-fault (share 0.9)" in found[0].reason
    texts = [str(t) for t in found]
    assert texts.index("norm=batch") < len(texts)
    assert any(str(r.treatment) == "init=xavier" and "8.8 %" in r.reason for r in refused)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
@pytest.mark.parametrize(("depth", "rate"), [(1000, "lr=x0.0316"), (10_000, "lr=x0.00316")])
def test_great_depth_is_tailored_at_the_rate_it_asks_for(
    activation: str, depth: int, rate: str
) -> None:
    facts = replace(SIGMOID, depth=depth, activations=(activation,))
    found, _ = courses([finding("EF604")], facts)
    assert [str(c) for c in found[:2]] == [f"tailored=auto; {rate}", "tailored=auto"]
    assert all(t.reason for t in found[0].treatments)


def test_deep_relu_is_tailored_and_never_centred_or_batch_normalised() -> None:
    found, refused = rank([finding("EF205")], Facts(50, ("relu",), hidden=49, square=48))
    assert [str(t) for t in found[:2]] == ["tailored=auto", "rezero"]
    why = {str(r.treatment): r.reason for r in refused}
    assert "12.3 %" in why["norm=batch"] and "11.6 %" in why["init=lsuv-centred"]


def test_deep_tanh_is_made_orthogonal() -> None:
    found, _ = rank([finding("EF604")], Facts(50, ("tanh",), hidden=49, square=48))
    assert str(found[0]) == "init=orthogonal"


def test_the_root_comes_before_its_symptoms() -> None:
    findings = [finding("EF501"), finding("EF201", cause="EF501"), finding("EF401", cause="EF501")]
    found, _ = rank(findings, Facts(3, ("tanh",), hidden=2))
    assert str(found[0]) == "input=standardise"


def test_many_symptoms_do_not_outvote_a_fault_of_the_data() -> None:
    symptoms = [finding(c, cause="EF502") for c in ("EF703", "EF206", "EF102", "EF302", "EF402")]
    found, _ = rank([finding("EF502", Severity.warning), *symptoms], Facts(3, ("relu",), hidden=2))
    assert str(found[0]) == "input=clamp:10"
    found, _ = rank([finding("EF703"), finding("EF502")], Facts(3, ("relu",), hidden=2))
    assert [str(t) for t in found[:2]] == ["clip=norm:1.0", "input=clamp:10"]  # one is for both


def test_targets_are_scaled_by_what_was_measured() -> None:
    f = finding("EF504", evidence={"target_mean": 250.0, "target_std": 80.0})
    found, _ = rank([f], Facts(3, ("relu",), hidden=2))
    assert str(found[0]) == "target=standardise:250:80"
    found, _ = rank([finding("EF504")], Facts(3, ("relu",), hidden=2))
    assert str(found[0]) == "edit=target-scale"


def test_a_double_softmax_is_an_edit() -> None:
    found, _ = rank([finding("EF701")], Facts(3, ("relu",), hidden=2))
    assert [str(t) for t in found] == ["edit=logits"]


@pytest.mark.parametrize("severity", [Severity.info, None])
def test_a_healthy_run_gets_nothing(severity: Severity | None) -> None:
    findings = [] if severity is None else [finding("EF404", severity)]
    assert rank(findings, SIGMOID) == ([], [])


def test_an_unknown_code_gives_nothing_and_breaks_nothing() -> None:
    assert rank([finding("EF999")], SIGMOID) == ([], [])


def test_findings_order_does_not_matter_and_nothing_is_said_twice() -> None:
    findings = [finding("EF101"), finding("EF201", Severity.warning), finding("EF703")]
    one, _ = rank(findings, SIGMOID)
    two, _ = rank(findings[::-1], SIGMOID)
    assert one[0] == two[0] and set(one) == set(two)
    texts = [str(course) for course in courses(findings, SIGMOID)[0]]
    assert len(set(texts)) == len(texts)


def test_prescribe_reads_a_run_and_a_forecast() -> None:
    import torch
    from torch import nn

    torch.manual_seed(0)
    deep = [m for _ in range(30) for m in (nn.Linear(16, 16), nn.Sigmoid())]
    model = nn.Sequential(*deep, nn.Linear(16, 3))
    forecast = evenflow.preflight(model, torch.randn(32, 16))
    refused: list[object] = []
    found = evenflow.prescribe(forecast, refused)  # type: ignore[arg-type]
    assert str(found[0]) == "init=lsuv-centred" and refused
    assert evenflow.prescribe(forecast.run) == found and len(set(found)) == len(found)
    evenflow.treat_(model, None, found[:1], torch.randn(32, 16))
