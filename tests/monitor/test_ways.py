"""The same sick network, run in every way: one diagnosis, or a sentence on what was not seen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

import evenflow
from evenflow.faults import View
from evenflow.report.sentences import headline
from evenflow.schema import Finding, Run, Severity
from evenflow.store import load
from ways import WAYS

_PIXELS, _LABELS = load_digits(return_X_y=True)
DIGITS, LABELS = torch.tensor(_PIXELS, dtype=torch.float32) / 16, torch.tensor(_LABELS)
#: Each takes seconds to be imported or compiled.
SLOW = ("compile: eager", "compile: aot_eager", "checkpoint: nested")
CASES = [pytest.param(w, marks=pytest.mark.slow if w in SLOW else ()) for w in WAYS]
#: Of what runs outside of Python no output is read.
BLIND = ("trace", "script", "script in part")
DEPTH = 12


def sick() -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(DEPTH):
        layers += [nn.Linear(64, 64), nn.Sigmoid()]
    return nn.Sequential(*layers, nn.Linear(64, 10))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(64, 64), nn.Linear(64, 64)

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.3 * self.b(torch.relu(self.a(x)))


def well() -> nn.Sequential:
    return nn.Sequential(*(Block() for _ in range(DEPTH // 2)), nn.LayerNorm(64), nn.Linear(64, 10))


def train(way: str, healthy: bool, path: Path | None = None) -> Tensor:
    """All weights after 60 steps."""
    torch.manual_seed(0)
    draw = torch.Generator().manual_seed(0)
    held, call = WAYS[way](well() if healthy else sick(), DIGITS[:32])
    optimizer = torch.optim.SGD(held.parameters(), 0.1)
    watch = evenflow.watch(held, optimizer, run=path, every=4) if path else None
    for _ in range(60):
        ids = torch.randint(0, len(DIGITS), (32,), generator=draw)
        loss = F.cross_entropy(call(DIGITS[ids]), LABELS[ids])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if watch is not None:
        watch.close()
    return torch.cat([p.detach().flatten() for p in held.parameters()])


def watched(way: str, path: Path, healthy: bool) -> tuple[dict[str, Finding], Run]:
    """What is told of a training, which is the same to the bit as without a watch."""
    bare = train(way, healthy=healthy)
    assert torch.equal(bare, train(way, healthy=healthy, path=path))
    return told(path)


def told(path: Path) -> tuple[dict[str, Finding], Run]:
    """Findings from a warning on, by code."""
    found = evenflow.diagnose(path)
    return {f.code: f for f in found if f.severity >= Severity.warning}, load(path)


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("way", CASES)
def test_the_sick_one_has_one_diagnosis(way: str, tmp_path: Path) -> None:
    found, run = watched(way, tmp_path / "a.run", healthy=False)
    said = headline(run, list(found.values()))[1]
    if way in BLIND:
        assert {"EF101", "EF401"} <= set(found) <= {"EF101", "EF205", "EF401"}
        assert "was not judged" in said
    else:
        assert set(found) == {"EF101", "EF205", "EF401"}
        assert "not judged" not in said
    vanished = [run.sites[i] for i in found["EF101"].sites]
    assert len(vanished) >= DEPTH - 5
    weights = [p.name for p in run.params if p.name.endswith("weight")]  # in forward order
    assert [run.sites[i].op for i in View(run).losses] == ["cross_entropy"]  # in all samples
    layers = [next(n for n in run.sites[i].params if n in weights) for i in View(run).layers]
    assert layers == weights
    assert all(f"{s.root}.{s.path}.weight" in s.params for s in vanished)  # by its true name
    starved = [weights.index(f"{s.root}.{s.path}.weight") for s in vanished]
    assert starved == list(range(starved[0], starved[-1] + 1)) and starved[0] <= 1


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("way", CASES)
def test_the_healthy_one_has_none(way: str, tmp_path: Path) -> None:
    found, run = watched(way, tmp_path / "a.run", healthy=True)
    assert not found
    assert len(View(run).layers) == DEPTH + 1
    assert ("not judged" in headline(run, [])[1]) == (way in BLIND)
