"""Units that start alike, seen by a watch: three networks that cannot part, and healthy twins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import evenflow
from evenflow.tape import alike


def _same_(model: nn.Module) -> nn.Module:
    with torch.no_grad():
        for p in model.parameters():
            p.fill_(0.1)
    return model


def _perceptron() -> nn.Module:
    return nn.Sequential(
        nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3)
    )


class _Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.RNN(2, 12, batch_first=True), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x.view(len(x), -1, 2))[0][:, -1])


def _convolution() -> nn.Module:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv1d(1, 6, 3), nn.Linear(36, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.relu(self.conv(x[:, None])).flatten(1))

    return Net()


def _codes(model: nn.Module, path: Path, steps: int = 20) -> dict[str, str]:
    torch.manual_seed(0)
    x, y = torch.randn(32, 8), torch.randint(0, 3, (32,))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with evenflow.watch(model, optimizer, run=path, every=1):
        for _ in range(steps):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    return {f.code: f.cause for f in evenflow.diagnose(path)}


@pytest.mark.parametrize("make", [_perceptron, _Recurrent, _convolution])
def test_equal_weights_are_seen(make: Callable[[], nn.Module], tmp_path: Path) -> None:
    assert "EF605" in _codes(_same_(make()), tmp_path / "sick")
    torch.manual_seed(1)
    assert "EF605" not in _codes(make(), tmp_path / "healthy")


def test_what_starts_at_zero_and_wakes_is_healthy(tmp_path: Path) -> None:
    """The head's rows part at once; those of a branch behind a zero gain at the second step."""

    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.head = nn.Linear(8, 8), nn.Linear(8, 3)
            self.gate = nn.Parameter(torch.zeros(1))
            self.scale = nn.Linear(8, 8)
            nn.init.zeros_(self.scale.weight)
            nn.init.ones_(self.scale.bias)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(x + self.gate * (torch.tanh(self.a(x)) * self.scale(x)))

    torch.manual_seed(0)
    model = Branch()
    assert "EF605" not in _codes(model, tmp_path / "branch")
    head = _perceptron()
    nn.init.zeros_(head[4].weight)  # type: ignore[index]
    nn.init.zeros_(head[4].bias)  # type: ignore[index]
    assert "EF605" not in _codes(head, tmp_path / "head")


def test_the_share_is_that_of_comparing_each_pair() -> None:
    torch.manual_seed(0)
    w, g = torch.randn(12, 5), torch.randn(12, 5)
    w[[3, 7, 9]], g[[3, 7]] = w[3].clone(), g[3].clone()
    w[10] = w[11]  # equal weights with other gradients part
    same = [
        any(i != j and bool((w[i] == w[j]).all() and (g[i] == g[j]).all()) for j in range(12))
        for i in range(12)
    ]
    assert float(alike(w, g)) == pytest.approx(sum(same) / 12)
    assert float(alike(w[:1], g[:1])) == 0
