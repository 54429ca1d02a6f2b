"""Seams: the examples in their docstrings run; runs and ranks are told apart and joined by keys."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

import evenflow
from patience import HANG


@pytest.mark.parametrize("module", ["schema.site", "schema.run", "store.news", "monitor.observer"])
def test_examples_run(module: str) -> None:
    tried = doctest.testmod(importlib.import_module(f"evenflow.{module}"))
    assert tried.attempted and not tried.failed


def test_runs_of_one_second_never_touch_each_others_file(tmp_path: Path) -> None:
    """Several processes make a run of one name at once; each has a file of its own."""
    script = """
import sys, time
from evenflow.schema import Event
from evenflow.store import Writer
time.sleep(max(0.0, float(sys.argv[1]) - time.time()))
for turn in range(5):
    writer = Writer("evenflow-runs/train-20260101-000000.evenflow", {}, numbered=True)
    writer.event(Event("note", 0, {"text": f"{sys.argv[2]} {turn}"}))
    writer.close()
    print(writer.path)
"""
    start = str(time.time() + 3)  # together, as far as can be
    many = [
        subprocess.Popen(
            [sys.executable, "-c", script, start, str(i)],
            cwd=tmp_path, stdout=subprocess.PIPE, text=True,
        )
        for i in range(4)
    ]  # fmt: skip
    told = {}
    for i, process in enumerate(many):
        paths = process.communicate(timeout=HANG)[0].split()
        assert process.returncode == 0
        told.update({path: f"{i} {turn}" for turn, path in enumerate(paths)})
    assert len(told) == 20
    for path, text in told.items():
        assert [e.detail["text"] for e in evenflow.load(tmp_path / path).events] == [text]


@pytest.mark.parametrize("rank", [0, 1])
def test_ranks_are_in_the_name_and_in_the_meta_and_sites_join_them(
    rank: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runs = []
    for told in ({}, {"RANK": str(rank), "WORLD_SIZE": "2"}):
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        with evenflow.watch(net, optimizer, every=1) as watch:
            for _ in range(2):
                optimizer.zero_grad()
                net(torch.ones(4, 2)).square().mean().backward()
                optimizer.step()
        assert watch.path.stem.endswith(f"-rank{rank}") == bool(told)
        runs.append(evenflow.load(watch.path))
    alone, ranked = runs
    assert (alone.meta["rank"], alone.meta["world_size"]) == (0, 1)
    assert (ranked.meta["rank"], ranked.meta["world_size"]) == (rank, 2)
    assert alone.by_key().keys() == ranked.by_key().keys()
    for key, site in alone.by_key().items():
        assert (site.root, site.path, site.op, site.index, site.call) == (
            key.root, key.path, key.op, key.index, key.call,
        )  # fmt: skip
    assert len(alone.by_key()) == len(alone.sites) > 3
