"""Every textbook sentence leads to what shows it: pages and anchors are there, commands run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from evenflow.activations import card, curve
from evenflow.cli.app import main
from evenflow.lessons import REGISTRY

DOCS = Path(__file__).parents[2] / "docs"
VERDICTS = {"true", "true only if", "depends", "false", "misprint"}
ROW = re.compile(r"^\| (?!sentence|---)(.+?) \| (.+?) \| (.+?) \| (.*?) ?\|$", re.M)
ROWS = ROW.findall((DOCS / "sentences.md").read_text(encoding="utf-8"))
COMMANDS = sorted({c for row in ROWS for c in re.findall(r"`evenflow (.+?)`", row[2])})


def test_there_are_many_and_each_once() -> None:
    said = [row[0] for row in ROWS]
    assert len(said) >= 80 and len(set(said)) == len(said)
    for sentence, verdict, shown, more in ROWS:
        assert verdict.strip("*") in VERDICTS, sentence
        assert re.search(r"\]\(|`evenflow ", shown), f"nothing shows it: {sentence}"
        assert verdict != "**misprint**" or more, f"its right form: {sentence}"


def test_what_they_lead_to_is_there() -> None:
    anchors = re.findall(r"^## (.+)$", (DOCS / "claims.md").read_text(encoding="utf-8"), re.M)
    for sentence, _, shown, _more in ROWS:
        for target in re.findall(r"\]\((.+?)\)", shown):
            path, _hash, anchor = target.partition("#")
            assert (DOCS / path).is_file(), (sentence, target)
            assert not anchor or anchor in anchors, (sentence, target)
            if path.startswith("lessons/"):
                assert Path(path).stem in REGISTRY


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_runs(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DOCS.parent)
    assert main(shlex.split(command)) == 0


def test_the_errata_by_number() -> None:
    z = np.linspace(-4, -0.1, 40)
    elu = curve("elu", alpha=0.5)
    np.testing.assert_allclose(elu.df(z), elu.f(z) + 0.5, rtol=1e-12)
    x = np.array([-20.0, 20.0])
    np.testing.assert_allclose(curve("tanh").f(x), [-1, 1])
    mean = {name: next(m.mean for m in card(name).moments if m.q == 1) for name in ("elu", "relu")}
    assert 0 < mean["elu"] < mean["relu"]
    lecun = next(s for s in card("selu").starts if s.name == "LeCun")
    assert 100 < abs(lecun.three_decades) < 400
    assert curve("selu").f(np.array(1.0)) == pytest.approx(1.0507, abs=1e-4)


def test_the_misprinted_alpha_of_selu_is_harmless() -> None:
    x, weight = np.polynomial.hermite_e.hermegauss(200)
    q = 1.0
    for _ in range(50):  # layers with LeCun weights
        z = np.sqrt(q) * x
        f = 1.0507009873554805 * np.where(z > 0, z, 1.67733 * np.expm1(np.minimum(z, 0)))
        q = float((weight * f * f).sum() / np.sqrt(2 * np.pi))
    assert q == pytest.approx(1.010, abs=2e-3)
