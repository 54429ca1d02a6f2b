"""EF401 on real runs: labels of no meaning are told as what will not move, slow starts are not."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import evenflow
from evenflow.schema import Severity


def _deep(act: type[nn.Module], layers: int, start: float = 1.0) -> nn.Module:
    sizes = [16, *[32] * layers]
    pairs = pairwise(sizes)
    net = nn.Sequential(*[m for a, b in pairs for m in (nn.Linear(a, b), act())])
    net.append(nn.Linear(32, 10))
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(start)
    return net


class Rows(nn.Module):
    """An LSTM over four rows of four."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(4, 32, batch_first=True), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x.view(len(x), 4, 4))[0][:, -1])


def _stuck(
    path: Path, make: Callable[[], nn.Module], rate: float, steps: int, apart: bool, seed: int = 0
) -> tuple[Severity | None, float]:
    """What EF401 says of it, and the loss at the end over that of guessing."""
    torch.manual_seed(seed)
    centres = torch.randn(10, 16)
    model = make()
    optimizer = torch.optim.Adam(model.parameters(), rate)
    losses = []
    with evenflow.watch(run=path, every=5):
        for _ in range(steps):
            classes = torch.randint(10, (64,))
            x = centres[classes] + 0.5 * torch.randn(64, 16)
            told = classes[torch.randperm(64)] if apart else classes
            loss = nn.functional.cross_entropy(model(x), told)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    said = [f.severity for f in evenflow.diagnose(evenflow.load(path)) if f.code == "EF401"]
    return (said[0] if said else None), losses[-1] / 2.302585


@pytest.mark.parametrize("make", [lambda: _deep(nn.ReLU, 2), lambda: _deep(nn.Tanh, 3), Rows])
def test_labels_that_do_not_belong_to_their_inputs(
    make: Callable[[], nn.Module], tmp_path: Path
) -> None:
    said, left = _stuck(tmp_path / "sick", make, 3e-3, 200, apart=True)
    assert left > 0.95
    assert said is not None and said >= Severity.warning
    said, left = _stuck(tmp_path / "healthy", make, 3e-3, 200, apart=False)
    assert left < 0.5
    assert said is None


SLOW = {  # network, rate, steps it stands still for, steps after which it has learnt
    "at a saddle": (lambda: _deep(nn.Tanh, 5, 0.35), 3e-4, 60, 600),
    "sigmoids": (lambda: _deep(nn.Sigmoid, 3), 1e-3, 60, 700),
    "a low rate": (lambda: _deep(nn.ReLU, 4), 5e-5, 40, 1000),
}


@pytest.mark.parametrize("name", SLOW)
def test_a_slow_start_is_only_noted(name: str, tmp_path: Path) -> None:
    """The same training, ended while it stands still and when it has learnt."""
    make, rate, stands, learns = SLOW[name]
    said, left = _stuck(tmp_path / "young", make, rate, stands, apart=False)
    assert left > 0.9
    assert said is None or said == Severity.info
    said, left = _stuck(tmp_path / "grown", make, rate, learns, apart=False)
    assert left < 0.75
    assert said is None
