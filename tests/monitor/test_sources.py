"""Texts of the script's lines in a run: its own folder's, 200 at most, or none at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import evenflow

SCRIPT = """
import os, torch, evenflow
from torch import nn
{layers}
net = nn.Sequential(*layers)  # a secret of mine
with evenflow.watch(net, run="run.evenflow", every=1{more}):
    for _ in range(2):
        net(torch.ones(2, 2)).sum().backward()
"""


def run(folder: Path, more: str = "", layers: int = 2, **env: str) -> evenflow.Run:
    made = "\n".join(["layers = []", *["layers.append(nn.Linear(2, 2))"] * layers])
    (folder / "train.py").write_text(SCRIPT.format(layers=made, more=more))
    subprocess.run([sys.executable, "train.py"], cwd=folder, check=True, env={**os.environ, **env})
    return evenflow.load(folder / "run.evenflow")


def contents(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("run.evenflow*"))


def test_a_line_and_those_beside_it_are_kept(tmp_path: Path) -> None:
    told = run(tmp_path).meta["source"]
    lines = (tmp_path / "train.py").read_text().split("\n")
    assert list(told) == ["train.py"] and "10" in told["train.py"]
    assert all(text == lines[int(n) - 1] for n, text in told["train.py"].items())


def test_at_most_two_hundred_are(tmp_path: Path) -> None:
    kept = run(tmp_path, layers=250, EVENFLOW_TRACE_LINES="1").meta["source"]["train.py"]
    assert 190 <= len(kept) <= 200


@pytest.mark.parametrize("more", ["", ", source=False"])
def test_none_is_where_none_is_wanted(tmp_path: Path, more: str) -> None:
    found = run(tmp_path, more, EVENFLOW_TRACE_LINES="1")
    assert ("source" in found.meta) == (not more)
    assert (b"a secret of mine" in contents(tmp_path)) == (not more)
    assert found.sites[0].called[0].place == "train.py:10"


def test_nor_is_it_in_a_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVENFLOW_STRICT")
    watch = evenflow.watch(run=tmp_path / "run.evenflow", source=False)
    with pytest.warns(evenflow.EvenflowWarning, match="Evenflow stopped watching"):
        try:
            raise ValueError("ours")  # a secret of mine
        except ValueError as error:
            watch._fail(error, "a test")
    (stopped,) = [event for event in watch.run().events if event.kind == "stopped"]
    assert "test_sources.py" in stopped.detail["trace"] and "ours" in stopped.detail["trace"]
    assert b"a secret of mine" not in contents(tmp_path)


def test_lines_are_traced_only_if_it_is_said() -> None:
    """An import of evenflow brings no torch, whatever the variable says."""
    code = "import sys, evenflow; print('torch' in sys.modules, 'evenflow.tape' in sys.modules)"
    after = "; import torch; print('evenflow.tape' in sys.modules)"
    for said, traced in (("", "False"), ("0", "False"), ("1", "True")):
        done = subprocess.run(
            [sys.executable, "-c", code + after],
            env={**os.environ, "EVENFLOW_TRACE_LINES": said},
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
        assert done.stdout.split() == ["False", "False", traced]
