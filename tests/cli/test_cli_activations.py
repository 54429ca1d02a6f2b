"""`evenflow activations`: the table, a card, JSON, pictures, and what wrong usage says."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from programs import evenflow, run

from evenflow.activations import ACTIVATIONS, card
from evenflow.activations.card_text import text
from evenflow.cli import main


def test_the_table_lists_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["activations"]) == 0
    said = capsys.readouterr()
    assert all(f"\n  {name} " in said.out for name in ACTIVATIONS)
    assert said.err == ""


def test_a_card_is_told_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["activations", "SELU"]) == 0
    said = capsys.readouterr()
    assert said.out.strip() == text(card("selu")).strip()
    assert "zero-centred   yes, at q = 1" in said.out


def test_json_holds_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["activations", "tanh", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == 1
    (one,) = told["activations"]
    assert one["shape"]["bound"] == 1.0
    assert one["starts"][3]["three_decades"] == 13
    assert main(["activations", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in told["activations"]] == list(ACTIVATIONS)


@pytest.mark.parametrize("suffix", ["html", "png", "HTML"])
def test_pictures_are_written(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / f"card.{suffix}"
    assert main(["activations", "gelu", "-o", str(target)]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"wrote {target}\n")
    begins = b"\x89PNG" if suffix == "png" else b"<!doctype html>"
    assert target.read_bytes().startswith(begins)


def test_the_table_as_a_page(tmp_path: Path) -> None:
    target = tmp_path / "all.html"
    assert main(["activations", "-o", str(target)]) == 0
    assert all(f">{name}<" in target.read_text() for name in ACTIVATIONS)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["gelo"], "there is no activation 'gelo'; did you mean gelu"),
        (["gelu", "-o", "card.pdf"], "'card.pdf': a card can be written as .html or .png."),
        (["-o", "all.png"], "a PNG shows one activation: name it"),
        (["meta_acon", "-o", "x.png"], "meta_acon has no curves to draw"),
        (["gelu", "-o", "nowhere/x.html"], "cannot write 'nowhere/x.html': No such file"),
    ],
)
def test_wrong_usage_is_one_clear_line(
    args: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["activations", *args]) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1
    assert told.err.startswith("evenflow activations: ") and said in told.err
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, module, None)
    assert main(["activations", "gelu", "-o", str(tmp_path / "x.png")]) == 2
    assert "evenflow[pictures]" in capsys.readouterr().err
    assert main(["activations", "gelu"]) == 0


def test_the_command_imports_neither_torch_nor_matplotlib(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom evenflow.cli import main\nmain(['activations', 'relu'])\n"
        "print([m for m in ('torch', 'matplotlib') if m in sys.modules])"
    )
    done = run((sys.executable, "-c", code), tmp_path)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_as_a_program(tmp_path: Path) -> None:
    done = evenflow(tmp_path, "activations", "no-such-thing")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no activation 'no-such-thing'" in done.stderr
    assert "Traceback" not in done.stderr
