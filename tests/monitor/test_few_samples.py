"""A long training of which a budget left one or two samples is not called healthy."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import evenflow
from evenflow.cli.check import check
from evenflow.monitor.cadence import Cadence
from evenflow.report import as_json, headline
from evenflow.schema import Run, Severity, verdict
from evenflow.views import html

pytestmark = pytest.mark.budget

#: Seconds a bare step takes, as the cadence is told here: no clock of this machine has a say.
BARE = 1e-4


def train(steps: int, sick: bool = False) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for step in range(steps):
        x = torch.randn(32, 4)
        loss = nn.functional.mse_loss(net(x), x.sum(1, keepdim=True))
        if sick and step > steps // 2:
            loss = loss * float("nan")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def watched(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    price: float,
    steps: int = 300,
    every: str | int = "auto",
    sick: bool = False,
) -> Run:
    """Trained where each sample takes `price` seconds in truth."""
    sampled, bare, worked = Cadence.ran_sampled, Cadence.ran_bare, Cadence.worked
    cost = price / 1.27
    monkeypatch.setattr(Cadence, "limit", lambda self: float("inf"))
    monkeypatch.setattr(Cadence, "also", lambda self, cost: None)
    monkeypatch.setattr(Cadence, "worked", lambda self, processor: worked(self, cost))
    monkeypatch.setattr(Cadence, "ran_bare", lambda self, wall, n=1: bare(self, BARE, n))
    monkeypatch.setattr(
        Cadence, "ran_sampled", lambda self, step, *told: sampled(self, step, BARE + price, cost)
    )
    with evenflow.watch(run=path, every=every) as watch:
        train(steps, sick)
    return evenflow.load(watch.path)


@pytest.mark.parametrize(
    ("price", "steps", "every", "samples", "word"),
    [
        (1.9, 300, "auto", 1, "unjudged"),
        (0.9, 300, "auto", 2, "unjudged"),
        (0.6, 300, "auto", 3, "healthy"),
        (1.9, 20, "auto", 1, "unjudged"),
        (1.9, 19, "auto", 1, "healthy"),  # one of so few is a large share
        (1.9, 300, 200, 2, "healthy"),  # as was asked for
    ],
)
def test_health_is_claimed_of_what_was_looked_at(
    price: float,
    steps: int,
    every: str | int,
    samples: int,
    word: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = watched(tmp_path / "r.evenflow", monkeypatch, price, steps, every)
    assert (len(run.steps), run.counted) == (samples, steps)
    findings = evenflow.diagnose(run)
    assert verdict(findings, run) == as_json(run, findings)["verdict"] == word
    refused = word == "unjudged"
    assert run.unjudged == ("few-samples" if refused else "")
    assert check(str(tmp_path / "r.evenflow"), True) == (3 if refused else 0)
    assert json.loads(capsys.readouterr().out)["verdict"] == word
    said = headline(run, findings)[1]
    assert (f"{samples} of {steps}" in said and "--every" in said) == refused
    assert ("Too few steps were measured" in html(run, findings)) == refused
    killed = {key: told for key, told in run.meta.items() if key not in ("steps", "samples")}
    assert verdict(findings, replace(run, meta=killed)) == word
    # Nor is "no fault" claimed where only some rules are asked.
    assert check(str(tmp_path / "r.evenflow"), True, select=["EF1"]) == (3 if refused else 0)


def test_an_error_is_one_however_few_samples_saw_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Cadence, "alert", lambda self: None)
    run = watched(tmp_path / "r.evenflow", monkeypatch, 1.9, sick=True)
    findings = evenflow.diagnose(run)
    assert len(run.steps) == 1 and run.unjudged == "few-samples"
    assert findings[0].code == "EF103" and verdict(findings, run) == "sick"
    warned = [replace(findings[0], severity=Severity.warning)]
    assert verdict(warned, run) == "warning", "what is wrong in few samples is wrong all the same"
    assert check(str(tmp_path / "r.evenflow"), True) == 1
