"""The lines of the script that a finding is about, on runs really recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import evenflow
from evenflow.schema import Where

HERE = Path(__file__)


def told(tmp_path: Path, warm_up: int) -> list[str]:
    """How, and at which text, the lines of EF703 are told."""
    torch.manual_seed(0)
    with evenflow.watch(run=tmp_path / "run.evenflow"):
        net = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 4))
        optimizer = torch.optim.Adam(net.parameters(), 0.6)
        for i in range(100):
            x = torch.randn(32, 8)
            y = x[:, :4].argmax(1)
            if i < warm_up:
                out, y = net(x), y  # in a warm-up
            else:
                out, y = net(x), y  # and then
            optimizer.zero_grad()
            F.cross_entropy(out, y).backward()
            optimizer.step()
    found = {f.code: f for f in evenflow.diagnose(tmp_path / "run.evenflow")}
    return [f"{w.how}: {_text(w)}" for w in found["EF703"].where]


def _text(line: Where) -> str:
    assert Path(line.file).name == HERE.name
    return HERE.read_text(encoding="utf-8").splitlines()[line.line - 1].strip()


@pytest.mark.parametrize("warm_up", [0, 5])
def test_of_a_net_that_two_lines_call_the_line_that_built_it_is_told(
    warm_up: int, tmp_path: Path
) -> None:
    made, *rest = told(tmp_path, warm_up)
    assert made == "made: optimizer = torch.optim.Adam(net.parameters(), 0.6)"
    assert any(line.startswith("called: ") for line in rest) == (not warm_up), rest
    assert all(line.endswith("# and then") for line in rest if line.startswith("called: ")), rest
    if warm_up:
        assert any(line.startswith("made: net = nn.Sequential(") for line in rest), rest
