"""`evenflow explain`: text, JSON, one HTML file, and what wrong usage gets."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from evenflow.cli import main

STEPS = 4


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from torch import nn

    import evenflow

    torch.manual_seed(0)
    layers = [m for _ in range(12) for m in (nn.Linear(8, 8), nn.Sigmoid())]
    model = nn.Sequential(*layers, nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    path = tmp_path_factory.mktemp("runs") / "deep.evenflow"
    with evenflow.watch(model, optimizer, run=path, every=1):
        for _ in range(STEPS):
            optimizer.zero_grad()
            model(torch.randn(6, 8)).square().mean().backward()
            optimizer.step()
    return path


def test_it_says_who_lost_the_error(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(stored)]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"evenflow  deep, step {STEPS - 1}\n")
    assert re.search(r"The error falls by \d+\.\d decades from the loss to 0 linear", said)
    assert re.search(r"of the \d+\.\d lost decades are the 12 sigmoids, 0\.\d+ each", said)
    assert "‖W‖/√n" in said


def test_step_and_site(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(stored), "--site", "22", "--step", "0"]) == 0
    said = capsys.readouterr().out
    assert "deep, step 0" in said and "to 22 linear" in said
    assert "√Eφ'²" in said  # a full step


def test_json_is_one_document_that_adds_up(
    stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", str(stored), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == 1
    assert (told["source"], told["run"], told["site"]) == ("stored", "deep", "0 linear")
    assert sum(link["decades"] for link in told["links"]) == pytest.approx(told["decades"])
    assert told["contributions"][0]["op"] == "sigmoid"


def test_the_page_needs_nothing_else(
    stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "why.html"
    assert main(["explain", str(stored), "-o", str(page)]) == 0
    assert f"wrote {page}" in capsys.readouterr().err
    text = page.read_text(encoding="utf-8")
    assert text.count("<rect") == 26  # 24 factors of the chain, pow and mean
    assert "default-src 'none'" in text and "<script" not in text
    assert "http:" not in text and "https:" not in text
    assert main(["explain", str(stored), "-o", "-"]) == 0
    assert capsys.readouterr().out == text
    assert main(["explain", str(stored), "-o", str(tmp_path / "x.png")]) == 2
    assert "x.png': a ledger is written as one HTML file" in capsys.readouterr().err
    assert not (tmp_path / "x.png").exists()
    assert main(["explain", str(stored), "-o", str(tmp_path / "no" / "x.html")]) == 2


def test_the_report_has_the_picture(stored: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert main(["report", str(stored), "-o", str(page)]) == 0
    assert 'class="waterfall"' in page.read_text(encoding="utf-8")


WRONG = {
    ("--site", "11 sigmod"): (2, "the run has no site '11 sigmod': did you mean '11 sigmoid'"),
    ("--step", "77"): (2, "step 77 was not sampled; the nearest that were: 1, 2, 3."),
    ("--lesson", "saturation", "--step", "1"): (2, "--lesson saturation stands alone"),
}


@pytest.mark.parametrize("args", WRONG, ids=" ".join)
def test_wrong_usage_says_what(
    args: tuple[str, ...], stored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = WRONG[args]
    assert main(["explain", str(stored), *args]) == code
    out, err = capsys.readouterr()
    assert said in err and out == ""


def test_no_run_is_exit_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(tmp_path / "none.evenflow")]) == 3
    assert "there is no file" in capsys.readouterr().err


def test_lessons_are_reached_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--lesson", "list"]) == 0
    assert "linear-neuron" in capsys.readouterr().out
    assert main(["explain", "--lesson", "linear-neurn"]) == 2
    assert "Did you mean linear-neuron" in capsys.readouterr().err
