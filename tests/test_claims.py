"""Every claim: measured in a reduced form, its verdict borne out, its row in the docs current."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from benchmarks.claims import __main__ as command
from benchmarks.claims import pages
from benchmarks.claims.base import VERDICTS, Row, Rows, digits, shown
from benchmarks.claims.registry import CLAIMS

ROOT = Path(__file__).parents[1]

#: What textbooks say, and the claims that put it to the measurement.
ASKED = {
    "dropout helps against explosion": ["dropout-explosion"],
    "Xavier suits deep sigmoid nets": ["xavier-deep-sigmoid"],
    "BN cures vanishing and exploding": ["batch-norm-cures-both"],
    "LN helps saturation": ["layer-norm-saturation"],
    "never use tanh or sigmoid": ["never-tanh-or-sigmoid"],
    "SELU needs LeCun init and AlphaDropout": ["selu-recipe"],
    "SELU's constants": ["selu-constants"],
    "large positive bias saves ReLU": ["large-bias-saves-relu"],
    "LeakyReLU's negative slope": ["leaky-relu-slope"],
    "ReLU'(0)": ["relu-slope-at-zero"],
    "clipping cures exploding RNNs": ["clipping-exploding-rnn"],
    "shortening the error's path": ["truncation-through-time", "auxiliary-heads"],
    "input standardisation prevents saturation": ["standardised-inputs"],
    "full batch sticks in local minima": ["full-batch-local-minima"],
}


def test_every_statement_has_its_claim() -> None:
    assert sorted(name for names in ASKED.values() for name in names) == sorted(CLAIMS)
    for name, claim in CLAIMS.items():
        assert claim.name == name and claim.verdict in VERDICTS
        assert claim.statement.endswith(".") and claim.source


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_in_its_reduced_form(name: str) -> None:
    claim = CLAIMS[name]
    rows = claim.measure(range(2) if claim.random else range(1), True)
    assert claim.holds(rows), pages.told(claim, pages.Result(rows, 0, ""), full=False)
    measured = pages.load()[name].rows
    assert {row.setting for row in rows} <= {row.setting for row in measured}
    assert pages.header(rows) == pages.header(measured)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_at_full_size(name: str) -> None:
    """The first two seeds anew; the rows that were written down are of more."""
    claim = CLAIMS[name]
    rows = claim.measure(range(2) if claim.random else range(1), False)
    assert claim.holds(rows), pages.told(claim, pages.Result(rows, 0, ""))
    assert [r.setting for r in rows] == [r.setting for r in pages.load()[name].rows]


def test_the_docs_are_the_registry_and_what_was_measured() -> None:
    results = pages.load()
    assert list(results) == list(CLAIMS)
    page = pages.PAGE.read_text(encoding="utf-8")
    assert page == pages.page(results), "write it anew: python -m benchmarks.claims --pages"
    table = [line for line in page.splitlines() if line.startswith("| [")]
    assert len(table) == len(CLAIMS)
    for line, claim in zip(table, CLAIMS.values(), strict=True):
        assert claim.statement in line and f"**{claim.verdict}**" in line
        assert f"`python -m benchmarks.claims {claim.name}`" in line


@pytest.mark.parametrize("name", CLAIMS)
def test_what_was_written_down_bears_the_verdict_out(name: str) -> None:
    claim, result = CLAIMS[name], pages.load()[name]
    assert claim.holds(result.rows)
    assert result.seeds >= (5 if claim.random else 1)
    said = claim.tell(result.rows)
    assert said.endswith(".") and "nan" not in said and "none" not in said


@pytest.mark.parametrize("name", CLAIMS)
def test_a_verdict_can_fail(name: str) -> None:
    """Figures that are all alike bear out nothing."""
    rows = pages.load()[name].rows
    flat = Rows(Row(r.setting, {k: [0.5] * len(v) for k, v in r.figures.items()}) for r in rows)
    assert not CLAIMS[name].holds(flat)
    told = pages.told(CLAIMS[name], pages.Result(flat, 0, ""), full=False)
    assert "NOT BORNE OUT" in told


def test_the_command_lists_and_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list"]) == 0
    assert all(name in capsys.readouterr().out for name in ["dropout-explosion"])
    assert command.main(["dropout"]) == 2
    out, err = capsys.readouterr()
    assert "no claim 'dropout'; there are dropout-explosion, " in err and not out
    assert command.main(["--seeds", "0"]) == 2


def test_the_command_measures_prints_and_writes_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pages, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(pages, "PAGE", tmp_path / "claims.md")
    assert command.main(["selu-constants", "--quick"]) == 0
    assert not list(tmp_path.iterdir())  # small figures are not written down
    assert command.main(["selu-constants"]) == 0
    assert "TRUE" in capsys.readouterr().out
    page = (tmp_path / "claims.md").read_text(encoding="utf-8")
    assert "| **true** | λ = 1.0507009874 and α = 1.6732632424" in page
    assert list(json.loads((tmp_path / "results.json").read_text())) == ["selu-constants"]
    (kept,) = pages.load().values()
    assert kept.rows("solved", "λ") == pytest.approx(1.0507009873554805, rel=1e-11)


def test_a_verdict_that_is_not_borne_out_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import dataclasses

    claim = dataclasses.replace(CLAIMS["selu-constants"], holds=lambda rows: False)
    monkeypatch.setitem(CLAIMS, "selu-constants", claim)
    assert command.main(["selu-constants", "--quick"]) == 1
    assert "NOT BORNE OUT" in capsys.readouterr().out


def test_figures_that_are_not_finite_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "RESULTS", tmp_path / "results.json")
    rows = Rows([Row("one", {"far": [math.inf, -math.inf, math.nan, 1 / 3]})])
    pages.save({"selu-recipe": pages.Result(rows, 1.0, "2")})
    found = pages.load()["selu-recipe"].rows[0].figures["far"]
    assert found[:2] == [math.inf, -math.inf] and math.isnan(found[2])
    assert found[3] == pytest.approx(1 / 3, rel=1e-9)
    assert math.isnan(rows("one", "far"))


def test_cells() -> None:
    assert [digits(v) for v in (0.0, 0.98765, -12.345, 1e-7, -2e9, math.inf, -math.inf)] == [
        "0", "0.988", "−12.3", "1.0e-07", "−2.0e+09", "∞", "−∞",
    ]  # fmt: skip
    assert shown([1.0507009]) == "1.0507" and shown([3, 1, 2]) == "2 [1, 3]"
    assert shown([1, math.nan]) == "none"
