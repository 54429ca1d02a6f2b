"""A thousand hostile files, fixed seeds: each is judged, or refused in one sentence, in time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hostile import EVIL, by_structure, judge

import evenflow
from evenflow.schema import Channel, Event, Parameter, Reading, Site
from evenflow.store import Writer, load

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run, sick, with events of every sort."""
    import torch
    from torch import nn

    path = tmp_path_factory.mktemp("fuzz") / "base.evenflow"
    torch.manual_seed(0)
    layers = [m for _ in range(6) for m in (nn.Linear(8, 8), nn.Sigmoid())]
    model = nn.Sequential(*layers, nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with evenflow.watch(model, optimizer, run=path, every=4) as watch:
        for _ in range(60):
            x = torch.randn(32, 8)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), (x.sum(1) > 0).long()).backward()
            optimizer.step()
        found = watch.findings()
        writer = watch._writer
        assert writer is not None
        writer.findings(found)
        writer.event(Event("stopped", 5, {"where": "w", "error": "e", "trace": "a\nb"}))
        guard = {"where": "x", "origin": "o", "params": ["p"], "count": 1, "did": "skip"}
        writer.event(Event("nonfinite", 6, guard))
        heal = {"did": "clip", "reason": "outlier-gradient", "optimizer": 0, "attempt": 1}
        heal |= {"site": "s", "before": {"norm": 9.0}, "after": {"norm": 1.0}, "note": ""}
        writer.event(Event("healed", 7, {**heal, "evidence": {"norm": 9.0}}))
        writer.event(Event("skipped", 8, {"why": "no reason"}))
    assert found
    return path


def run(base: Path, first: int, last: int) -> dict[str, int]:
    """The child's exit codes; one child for many files, under 500 MB and 10 s each."""
    child = [sys.executable, str(HERE / "hostile.py"), str(base), str(first), str(last)]
    # As a user has it: a rule that fails on absurd numbers is told, the others judge.
    users = {k: v for k, v in os.environ.items() if k != "EVENFLOW_STRICT"}
    done = subprocess.run(child, capture_output=True, text=True, env=users)
    assert done.returncode == 0, f"at {done.stderr[-2000:]}"
    record = json.loads(done.stdout)
    assert record["wrong"] == []
    assert record["slowest"] < 10
    codes: dict[str, int] = record["codes"]
    assert sum(codes.values()) == last - first
    return codes


def test_hostile_files_end_in_a_judgement_or_one_sentence(base: Path) -> None:
    codes = run(base, 0, 160)
    assert min(codes.get("1", 0), codes.get("3", 0)) > 20


@pytest.mark.slow
def test_a_thousand_hostile_files(base: Path) -> None:
    for first in range(160, 1200, 260):
        run(base, first, first + 260)


def test_what_is_forged_and_sealed_is_taken_for_true(base: Path) -> None:
    """The structural half would test nothing if checksums refused it all."""
    import random

    path, taken = base.with_name("s.evenflow"), 0
    for number in range(40):
        path.write_bytes(base.read_bytes())
        by_structure(path, random.Random(number))
        try:
            load(path)
            taken += 1
        except evenflow.StoreError:
            pass
    assert 5 < taken < 40


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """A run of ours in which every text is an attack."""
    plain = EVIL.replace("\ud800", "")
    writer = Writer(tmp_path / "r.evenflow", {"script": EVIL, "argv": [EVIL], plain: EVIL})
    writer.sites([Site(0, EVIL, EVIL, EVIL, "affine", params=(EVIL,))])
    writer.params([Parameter(0, EVIL, (2, 2))])
    writer.event(Event(plain, 1, {EVIL: EVIL}))
    names = (Channel("site", 0, "delta"), Channel("site", 0, EVIL))
    for step in range(3):
        writer.reading(Reading(step, names, np.ones(2)))
    writer.close()
    assert writer.error is None
    return writer.path


def test_names_of_a_run_are_shown_harmless(evil: Path) -> None:
    loaded = load(evil)
    assert loaded.sites[0].root.startswith("\\x1b]0;PWNED\\x07\\x1b[2J")
    for number in range(0, 8, 2):
        code, wrong, _ = judge(number, evil)
        assert (code, wrong) == (0, []), wrong


def test_the_fuzz_test_would_see_an_escape(evil: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the store's care the same file does print control characters."""
    from evenflow.store import codec

    monkeypatch.setattr(codec, "visible", lambda text, lines=False: text)
    _, wrong, _ = judge(6, evil)
    assert any("control characters" in each or "Unicode" in each for each in wrong), wrong
