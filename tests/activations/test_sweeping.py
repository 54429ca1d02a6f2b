"""Activations with parameters put in by the command line, and families of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from evenflow.activations import card, curve, spelled, sweep
from evenflow.cli.app import main


def test_a_name_with_its_parameters() -> None:
    assert spelled("elu(alpha = 0.5)") == ("elu", {"alpha": 0.5})
    for text, said in (
        ("swish(", "is no activation; write"),
        ("swish(beta=x)", "must be a parameter and a number"),
        ("swish(beta=inf)", "must be a parameter and a number"),
        ("swosh(beta=1)", "there is no activation 'swosh'"),
    ):
        with pytest.raises(ValueError, match=said):
            spelled(text)


def test_a_sweep_is_the_cards_of_its_values() -> None:
    cards = sweep("swish", "beta", 0.1, 10, 5)
    values = [dict(c.parameters)["beta"] for c in cards]
    assert values == pytest.approx([0.1, 0.316, 1, 3.16, 10])
    for value, each in zip(values, cards, strict=True):
        x = np.array(each.x)
        np.testing.assert_allclose(each.f, x / (1 + np.exp(-value * x)), atol=1e-12)
        assert each == card("swish", beta=value)
    assert [dict(c.parameters)["alpha"] for c in sweep("elu", "alpha", -1, 1, 3)] == [-1, 0, 1]


def test_the_command_tells_a_card_and_a_family(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["activations", "sigmoid(slope=2)", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["activations"]
    assert told["shape"]["bound"] == pytest.approx(0.5), "a quarter of the slope"
    assert main(["activations", "sigmoid", "--sweep", "slope=1:4"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].split()[0] == "slope" and rows[1].split()[:2] == ["1", "0.25"]
    pytest.importorskip("matplotlib")
    for kind, begins in ((".png", b"\x89PNG"), (".html", b"<!doctype html>")):
        out = tmp_path / f"family{kind}"
        assert main(["activations", "swish", "--sweep", "beta=0.1:10", "-o", str(out)]) == 0
        assert out.read_bytes().startswith(begins)


@pytest.mark.parametrize(
    "argv, said",
    [
        (["--sweep", "beta=1:2"], "--sweep needs a NAME"),
        (["swish", "--sweep", "beta"], "'beta' must be a parameter and its ends"),
        (["swish", "--sweep", "beta=1:1"], "two ends that differ"),
        (["swish", "--sweep", "gamma=1:2"], "swish has no parameter 'gamma'; it takes beta"),
        (["swish(beta=1)", "--sweep", "beta=1:2"], "NAME without parameters"),
        (["swish", "--sweep", "beta=1:2", "-o", "x.txt"], "can be written as .html or .png"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    capsys: pytest.CaptureFixture[str], argv: list[str], said: str
) -> None:
    assert main(["activations", *argv]) == 2
    assert said in capsys.readouterr().err


def test_a_curve_of_a_steeper_sigmoid() -> None:
    steep = curve("sigmoid", slope=3.0)
    assert float(steep.df(np.array(0.0))) == pytest.approx(0.75)
