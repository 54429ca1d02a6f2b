"""`evenflow preflight` as users type it, and `evenflow check --forecast`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from programs import evenflow

from evenflow.cli import main

NETS = """
import torch
from torch import nn

print("what the user's module prints")

def deep():
    return nn.Sequential(*[m for _ in range(40) for m in (nn.Linear(16, 16), nn.Sigmoid())],
                         nn.Linear(16, 4))

def small():
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))

class Ids(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb, self.head = nn.Embedding(50, 16), nn.Linear(16, 50)
    def forward(self, ids, scale):
        assert ids.max() < 50
        return self.head(torch.tanh(self.emb(ids) * scale))

def broken():
    raise RuntimeError("no weights file")

def needs(width):
    return nn.Linear(width, 1)

def number():
    return 3

ready = small()
"""
TRAIN = """
import torch
from torch import nn
import mynets
torch.manual_seed(0)
m = mynets.deep()
o = torch.optim.SGD(m.parameters(), 0.1)
for _ in range(3):
    o.zero_grad()
    nn.functional.cross_entropy(m(torch.randn(32, 16)), torch.randint(0, 4, (32,))).backward()
    o.step()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import sys

    (tmp_path / "mynets.py").write_text(NETS)
    (tmp_path / "badimport.py").write_text("import not_there_at_all\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path  # type: ignore[misc]
    sys.modules.pop("mynets", None)


def test_sick_is_1_healthy_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preflight", "mynets:deep", "--input", "32,16"]) == 1
    out, err = capsys.readouterr()
    assert err == "what the user's module prints\n"
    assert "SICK" in out and "41 layers, but signals survive only" in out
    assert "EF604" in out and "init=lsuv-centred" in out
    assert main(["preflight", "mynets:small", "--input", "32,16"]) == 0
    assert "HEALTHY" in capsys.readouterr().out


def test_json_is_all_there_is_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preflight", "mynets:deep", "--input", "32,16", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == 1 and told["verdict"] == "sick"
    assert {f["code"] for f in told["findings"]} >= {"EF101", "EF604"}
    first = next(s for s in told["sites"] if s["site"] == "Sequential.0 linear")
    assert {"site", "log10_delta", "one_minus_c", "saturated", "dead", "error_bar"} <= set(first)
    assert first["log10_delta"] < -20 and told["trainable_depth"] < 41


@pytest.mark.parametrize(
    "inputs",
    [
        ["--input", "int:8,12<50", "--input", "8,12,16"],
        ["--input", "scale=8,12,1", "--input", "ids=int:8,12<50"],
    ],
)
def test_several_inputs_and_ids(inputs: list[str]) -> None:
    assert main(["preflight", "mynets:Ids", *inputs]) == 0


@pytest.mark.parametrize("target", ["mynets.py:small", "mynets:ready"])
def test_files_and_ready_models(target: str) -> None:
    assert main(["preflight", target, "--input", "32,16", "--dtype", "float64"]) == 0


def test_static_builds_no_weights(capsys: pytest.CaptureFixture[str]) -> None:
    args = ["preflight", "mynets:deep", "--input", "16,16", "--static", "--json"]
    assert main(args) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["method"] == "static"
    assert main(["preflight", "mynets:deep", "--input", "16,16", "--json"]) == 1
    built = json.loads(capsys.readouterr().out)

    def level(forecast: dict[str, list[dict[str, float]]]) -> float:
        return next(s for s in forecast["sites"] if s["site"].endswith(".0 linear"))["log10_delta"]  # type: ignore[attr-defined]

    assert level(built) < -20
    assert level(told) == pytest.approx(level(built), abs=1.5)


WRONG = {
    ("mynets", "--input", "3"): "names no factory: write PKG.MOD:FACTORY",
    (
        "mynetz:small",
        "--input",
        "3",
    ): "no module 'mynetz' here or installed. Did you mean 'mynets'?",
    ("gone.py:small", "--input", "3"): "there is no file 'gone.py'",
    ("mynets:smal", "--input", "3"): "has no 'smal'. Did you mean 'small'?",
    ("badimport:x", "--input", "3"): "No module named 'not_there_at_all'",
    ("mynets:broken", "--input", "3"): "mynets:broken() failed: RuntimeError: no weights file",
    ("mynets:needs", "--input", "3"): "missing 1 required positional argument: 'width'",
    ("mynets:number", "--input", "3"): "gave a int, not a torch.nn.Module",
    ("mynets:small",): "give the model's --input",
    ("mynets:small", "--input", "4x3"): "'4x3' cannot be read",
    ("mynets:small", "--input", "4,3"): "cannot be called with (float32 [4, 3])",
    ("mynets:small", "--input", "4,16", "--dtype", "int"): "dtype 'int' is none of float",
    ("mynets:small", "--input", "4,16", "--static", "--dtype", "half"): "leave out --dtype",
    ("mynets:ready", "--input", "4,16", "--static"): "must be a function or class",
    ("mynets:small", "--input", "4,16", "--out", "mynets.py/f"): "'mynets.py/f'",
}


@pytest.mark.parametrize("args", WRONG, ids=" ".join)
def test_wrong_usage_is_2_and_says_what(
    args: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["preflight", *args]) == 2
    out, err = capsys.readouterr()
    assert WRONG[args] in err and err.count("evenflow preflight: ") == 1
    assert out == "" and "Traceback" not in err


def test_check_sets_the_forecast_beside_the_run(folder: Path) -> None:
    (folder / "train.py").write_text(TRAIN)
    kept = evenflow(folder, "preflight", "mynets:deep", "--input", "32,16", "--out", "f.evenflow")
    assert kept.returncode == 1
    assert "Next: evenflow check RUN --forecast f.evenflow" in kept.stderr
    assert evenflow(folder, "run", "--every", "1", "train.py").returncode == 0
    done = evenflow(folder, "check", "--forecast", "f.evenflow")
    assert done.returncode == 1
    assert "81 sites, off by " in done.stdout
    assert " foreseen -" in done.stdout and ", measured -" in done.stdout
    told = json.loads(evenflow(folder, "check", "--json", "--forecast", "f.evenflow").stdout)
    pairs = told["forecast"]
    assert abs(pairs[0]["foreseen"] - pairs[0]["measured"]) < 1
    missing = evenflow(folder, "check", "--forecast", "g.evenflow")
    assert missing.returncode == 2 and "evenflow preflight ... --out g.evenflow" in missing.stderr
