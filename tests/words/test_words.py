"""What a person reads: the words of messages, numbers, places and advice."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evenflow import words
from evenflow.faults import CAUSES, REGISTRY
from evenflow.schema import Finding, Link, Run, Severity, Site


def run_of(depth: int = 50, root: str = "MLP", steps: int = 200) -> Run:
    sites = []
    for i in range(depth):
        sites.append(Site(2 * i, root, f"layers.{2 * i}", "linear", "affine"))
        sites.append(Site(2 * i + 1, root, f"layers.{2 * i + 1}", "sigmoid", "activation"))
    numbers = np.arange(0, steps + 1, 10)
    loss = np.ones(steps + 1)
    return Run("run", {}, tuple(sites), (), numbers, {}, np.arange(steps + 1), loss)


def finding(code: str = "EF101", **keys: object) -> Finding:
    plain: dict[str, object] = {
        "code": code,
        "name": REGISTRY[code].name if code in REGISTRY else "new-fault",
        "severity": Severity.error,
        "sites": (),
        "first_step": 0,
        "last_step": 200,
        "evidence": {},
    }
    return Finding(**{**plain, **keys})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (0, "0"),
        (3, "3"),
        (1230, "1,230"),
        (1234.5, "1,230"),
        (0.01234, "0.0123"),
        (0.5, "0.5"),
        (2.0 / 3, "0.667"),
        (99999.7, "1e5"),
        (1.2e-7, "1.2e-7"),
        (-3.456e9, "-3.46e9"),
        (math.nan, "NaN"),
        (math.inf, "infinity"),
        (-math.inf, "-infinity"),
    ],
)
def test_numbers_have_three_digits(x: float, text: str) -> None:
    assert words.number(x) == text


def test_shares_are_whole_only_when_they_are() -> None:
    assert words.share(1.0) == "100 %"
    assert words.share(0.9999) == "above 99.9 %"
    assert words.share(0.995) == "99.5 %"
    assert words.share(0.0) == "0 %"
    assert words.share(1e-9) == "below 0.1 %"
    assert words.share(0.347) == "35 %"
    assert words.share(math.nan) == "NaN"
    assert words.share(-0.083) == "-8 %"
    assert words.share(-0.004) == "-0.4 %"
    assert words.share(-1e-6) == "0 %"


def test_decades_are_told_as_factors() -> None:
    assert words.factor(-12.06) == "a factor of 1.1e12"
    assert words.factor(3.0) == "a factor of 1,000"
    assert words.factor(0.01) == "a factor of 1"
    assert words.factor(1234.5) == "a factor of 1e1234"
    assert words.change(-12.06) == "1.1e12 times smaller"
    assert words.change(1.5) == "32 times larger"
    assert words.change(-math.inf) == words.factor(-math.inf) == "-infinity"
    assert words.span(-12.06) == "12.1 decades"  # as ledgers add them up


def test_places() -> None:
    run = run_of()
    assert words.sites((), run) == ""
    assert words.sites((10_000,), run) == ""  # of another run
    assert words.sites((1,), run) == "layers.1 sigmoid"
    assert words.sites((3, 1), run) == "layers.1 sigmoid and layers.3 sigmoid"
    assert words.sites(range(0, 64, 2), run) == "layers.0 to layers.62, 32 linear layers"
    assert (
        words.sites((99, *range(1, 20, 2)), run) == "layers.1 to layers.99, 11 of 50 sigmoid layers"
    )


def test_places_name_the_root_where_there_are_several() -> None:
    run = Run(
        "gan",
        {},
        (Site(0, "G", "out", "linear", "affine"), Site(1, "D", "", "sigmoid", "activation", 0, 2)),
        (),
        np.arange(1),
        {},
        np.arange(1),
        np.ones(1),
    )
    assert words.sites((0,), run) == "G.out linear"
    assert words.sites((1,), run) == "D sigmoid @2"


def test_a_finding_is_told_with_place_step_number_threshold_and_cause() -> None:
    f = finding(
        "EF504",
        sites=tuple(range(0, 64, 2)),
        evidence={"target_ratio": 1520.0, "other": 3.0},
        threshold={"target_ratio": 30.0},
        cause="EF601",
    )
    assert words.message(f, run_of()) == (
        "The target is not scaled to what the network puts out at layers.0 to layers.62, "
        "32 linear layers: target over first predictions "
        "1,520 (threshold 30). Cause: weights too small at the start (EF601)."
    )


def test_a_chain_is_told_in_order_with_steps_and_places() -> None:
    f = finding(
        "EF202",
        sites=(1, 3),
        first_step=14,
        evidence={"dead": 0.8},
        threshold={"dead": 0.5},
        chain=(
            Link("cause", "EF703", 0),
            Link("event", "EF102", 12, 1),
            Link("end", "EF202", 14, 3),
        ),
    )
    text = words.message(f, run_of())
    assert text.startswith(
        "Units are dead at layers.1 sigmoid and layers.3 sigmoid (no gradient reaches them any "
        "more) since step 14: "
    )
    assert "80 % (threshold 50 %)" in text
    assert text.endswith(
        "Chain: learning rate too high -> step 12 gradient exploded at layers.1 sigmoid"
        " -> units dead at layers.3 sigmoid since step 14."
    )


def test_a_fault_that_passed_has_an_end() -> None:
    run = run_of()
    assert "at step 40" in words.message(finding("EF302", first_step=40, last_step=40), run)
    assert "from step 40 to 90" in words.message(finding("EF302", first_step=40, last_step=90), run)
    assert "since step 40" in words.message(finding("EF302", first_step=40, last_step=200), run)


def test_a_spike_is_not_called_divergence() -> None:
    spike = finding("EF402", severity=Severity.warning, first_step=40, last_step=44)
    assert words.message(spike, run_of()) == "The loss spikes and comes back from step 40 to 44."
    assert words.message(finding("EF402"), run_of()).startswith("The loss diverges")


def test_parameters_stand_for_places() -> None:
    two = finding("EF704", params=("MLP.a.weight", "MLP.a.bias"))
    assert "at MLP.a.weight and MLP.a.bias" in words.message(two, run_of())
    many = finding("EF704", params=tuple(f"p{i}" for i in range(12)))
    assert "at p0 and 11 more parameters" in words.message(many, run_of())


def test_a_chain_does_not_repeat_itself_and_says_what_lasts() -> None:
    dead = (
        Link("cause", "negative-bias", 0, 1),
        Link("event", "EF202", 4, 1),
        Link("end", "dead", 200, 1),
    )
    assert words.message(finding("EF202", chain=dead), run_of()).endswith(
        "Chain: strongly negative biases at layers.1 sigmoid -> "
        "units dead at layers.1 sigmoid since step 4."
    )
    frozen = (Link("cause", "EF501", 0, 1), Link("end", "frozen", 200, 3))
    assert words.message(finding("EF101", chain=frozen), run_of()).endswith(
        "Chain: unscaled input -> frozen at layers.3 sigmoid, still so at step 200."
    )
    rate = (Link("cause", "EF703", 0, 1), Link("end", "EF401", 0))
    assert words.message(finding("EF401", chain=rate), run_of()).endswith(
        "Chain: learning rate too high -> loss stuck from the first step."
    )


def test_numbers_are_told_as_the_code_means_them() -> None:
    def numbers(code: str, **evidence: float) -> str:
        f = finding(code, evidence=evidence, threshold=dict.fromkeys(evidence, 3.0))
        return words.message(f, run_of())

    lost, gained = numbers("EF101", decades=11.6), numbers("EF102", decades=4.9)
    assert "smaller than near the loss by a factor of 4e11 (threshold a factor of 1,000)" in lost
    assert "larger than near the loss by a factor of 79,000" in gained
    assert numbers("EF104", gradient=0.0) == "The gradient is exactly zero from the first step."
    assert numbers("EF503", nonfinite=7.0).endswith(": values that are NaN or infinite 7.")
    assert "other layers' by a factor of 7.9e5" in numbers("EF301", decades_below_peers=5.9)


def test_a_code_as_cause_is_told_in_words_with_its_code() -> None:
    f = finding("EF401", cause="EF703")
    assert words.message(f, run_of()).endswith("Cause: learning rate too high (EF703).")


def test_a_newer_code_is_told_by_name_and_numbers() -> None:
    f = finding("EF999", evidence={"odd_share": 0.25}, threshold={"odd_share": 0.1})
    assert words.message(f, run_of()) == (
        "EF999 new-fault from the first step: odd share 25 % (threshold 10 %)."
    )
    assert words.advice(f) == []
    assert words.title("EF999") == "EF999"


def test_an_empty_run_is_no_obstacle() -> None:
    none = np.zeros(0, dtype=np.int64)
    empty = Run("e", {}, (), (), none, {}, none, np.zeros(0))
    assert words.message(finding("EF103", last_step=0), empty) == (
        "NaN or infinity appears from the first step."
    )


def test_told_fills_in_messages_only() -> None:
    f = finding("EF401")
    (told,) = words.with_messages([f], run_of())
    assert told.message == words.message(f, run_of())
    assert told.code == f.code
    assert f.message == ""


@pytest.mark.parametrize("code", sorted(REGISTRY))
def test_every_code_has_words(code: str) -> None:
    text = words.message(finding(code), run_of())
    assert REGISTRY[code].name not in text  # a sentence, not an identifier
    assert text[0].isupper() and text.endswith(".")
    assert words.advice(finding(code)), "advice is missing"
    assert all(a[0].isupper() and a.endswith((".", ".)", ")")) for a in words.advice(finding(code)))


def test_advice_mends_the_cause_first_and_says_nothing_twice() -> None:
    lost = words.advice(finding("EF101", cause="EF501"))
    assert "Standardise" in lost[0]
    for code in REGISTRY:
        for cause in [*CAUSES, *REGISTRY]:
            advice = words.advice(finding(code, cause=cause))
            assert len(advice) == len(set(advice))


def test_advice_on_deep_sigmoid_nets_is_what_was_measured() -> None:
    text = " ".join(words.advice(finding("EF101")))
    assert "ReZero" in text and "centred LSUV" in text and "BatchNorm before sigmoid" in text
    assert "do not save" in text
    assert "do not add BatchNorm to a deep plain ReLU" in text
