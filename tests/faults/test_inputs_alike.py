"""EF507 on runs made by hand and on real recorded ones, and what keeps legitimate data out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.faults import judge
from evenflow.schema import Finding, Severity

from .synthetic import Builder, perceptron

Batch = tuple[tuple[Tensor, ...], Tensor]


def alike(varies: float = 0.0, **loss: float) -> Builder:
    """A classifier that learns nothing, of samples that differ by so much."""
    b = perceptron()
    b.set("input", "varies", varies).set("input", "spread", varies**2)
    for s in b.sites:
        if s.kind in ("affine", "activation"):
            b.set(s.id, "spread", varies**2)
    at = loss.get("at", 2.3)
    return b.loss(at + (2.3 - at) * np.exp(-np.arange(len(b.curve_steps)) / 20))


def told(b: Builder) -> dict[str, Finding]:
    return {f.code: f for f in judge(b.run())}


@pytest.mark.parametrize("varies", [0.0, 1e-7, 1e-3, 1.9e-2])
def test_samples_that_are_the_same_are_the_root_of_all(varies: float) -> None:
    found = judge(alike(varies).run())
    assert found[0].code == "EF507" and found[0].severity is Severity.error
    assert found[0].evidence["varies"] == varies
    assert {f.cause for f in found[1:]} == {"EF507"}, [f.code for f in found]
    assert ("EF205" in {f.code for f in found}) == (varies < 1e-6)


@pytest.mark.parametrize("varies", [2.1e-2, 0.5, 1.0])
def test_samples_with_a_feature_that_differs_are_not_alike(varies: float) -> None:
    assert "EF507" not in told(alike(varies))


def test_a_loss_below_that_of_even_guessing_excuses_equal_samples_less_than_near_ones() -> None:
    assert told(alike(0.0, at=1.0))["EF507"].severity is Severity.error
    assert told(alike(0.0, at=0.5))["EF507"].severity is Severity.warning
    assert "EF507" not in told(alike(0.0, at=0.2))  # a sample learned by heart
    assert told(alike(1e-3, at=1.3))["EF507"].severity is Severity.warning
    assert "EF507" not in told(alike(1e-3, at=1.0))


def test_another_input_that_differs_or_was_not_read_keeps_it_silent() -> None:
    b = alike()
    other = b.input((32, 5))
    read = b.id("layers.1 linear")
    b.sites[read] = replace(b.sites[read], inputs=(*b.sites[read].inputs, other))
    b.set(other, "varies", 0.9)
    assert "EF507" not in told(b)
    b.set(other, "varies", float("nan"))
    assert "EF507" not in told(b)
    b.set(other, "varies", 0.0)
    assert "EF507" in told(b)


def test_batches_that_differ_are_not_one_batch() -> None:
    b = alike()
    n = len(b.steps)
    b.set("input", "feature_high", [1.0 + 0.1 * (i % 3) for i in range(n)])
    assert "EF507" not in told(b)


def test_layers_that_tell_samples_apart_do_so_by_something() -> None:
    b = alike()
    b.set("layers.0 linear", "spread", 0.3)  # equal steps, time first
    assert "EF507" not in told(b)


# --- real runs ------------------------------------------------------------------------------------


class Words(nn.Module):
    """Tokens, by an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.rnn, self.head = nn.Embedding(30, 8), nn.GRU(8, 16), nn.Linear(16, 2)

    def forward(self, ids: Tensor) -> Tensor:
        out: Tensor = self.head(self.rnn(self.embed(ids.T))[1][-1])
        return out


class Two(nn.Module):
    """Data and a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(8, 16), nn.Linear(16, 2)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        out: Tensor = self.head(torch.tanh(self.body(x * mask)))
        return out


def table(norm: bool = False) -> nn.Module:
    first = [nn.BatchNorm1d(8)] if norm else []
    return nn.Sequential(*first, nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2))


def labels(n: int = 32) -> Tensor:
    return torch.randint(0, 2, (n,))


def codes(net: nn.Module, batch: Callable[[], Batch], path: Path, steps: int = 80) -> list[str]:
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    with evenflow.watch(net, optimizer, run=path):
        for _ in range(steps):
            x, y = batch()
            optimizer.zero_grad()
            F.cross_entropy(net(*x), y).backward()
            optimizer.step()
    return [f.code for f in evenflow.diagnose(path)]


SICK: dict[str, Callable[[], tuple[nn.Module, Callable[[], Batch]]]] = {
    "own-largest": lambda: (table(), lambda: ((_own(torch.rand(32, 1)),), labels())),
    "zeros": lambda: (table(), lambda: ((torch.rand(32, 8).long().float(),), labels())),
    "norm-first": lambda: (table(True), lambda: ((torch.full((32, 8), 0.7),), labels())),
    "unknown-words": lambda: (
        Words(),
        lambda: ((torch.ones(32, 6, dtype=torch.long),), labels()),
    ),
    "with-a-mask": lambda: (Two(), lambda: ((torch.ones(32, 8), torch.ones(32, 8)), labels())),
}


def _own(x: Tensor) -> Tensor:
    """One feature and zeros, divided by the sample's largest."""
    x = F.pad(x + 0.1, (0, 7))
    return x / x.amax(1, keepdim=True)


@pytest.mark.parametrize("kind", SICK)
def test_equal_samples_are_told_first(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    assert codes(*SICK[kind](), tmp_path / "run.evenflow")[0] == "EF507"


def _background() -> Batch:
    y = labels()
    x = torch.ones(32, 8)
    x[torch.arange(32), y] = 0
    return (x,), labels()


HEALTHY: dict[str, Callable[[], tuple[nn.Module, Callable[[], Batch]]]] = {
    "standardised": lambda: (table(), lambda: ((torch.randn(32, 8),), labels())),
    "background": lambda: (table(), _background),
    "one-hot": lambda: (
        table(),
        lambda: ((F.one_hot(torch.randint(0, 8, (32,)), 8).float(),), labels()),
    ),
    "rare-words": lambda: (table(), lambda: (((torch.rand(32, 8) < 0.02).float(),), labels())),
    "tokens": lambda: (Words(), lambda: ((torch.randint(0, 30, (32, 6)),), labels())),
    "padded": lambda: (
        Words(),
        lambda: ((F.pad(torch.randint(0, 30, (32, 1)), (0, 9)),), labels()),
    ),
    "mask": lambda: (Two(), lambda: ((torch.randn(32, 8), torch.ones(32, 8)), labels())),
    "norm-first": lambda: (
        table(True),
        lambda: ((5 + 1e-2 * torch.randn(32, 8),), labels()),
    ),
    "sampled-often": lambda: (table(), lambda: ((torch.randn(1, 8).repeat(32, 1),), labels())),
    "one-at-a-time": lambda: (table(), lambda: ((torch.ones(1, 8),), labels(1))),
}


@pytest.mark.parametrize("kind", HEALTHY)
def test_samples_that_differ_are_not_accused_though_nothing_is_learned(
    kind: str, tmp_path: Path
) -> None:
    """Labels drawn anew: there is nothing to learn."""
    torch.manual_seed(0)
    assert "EF507" not in codes(*HEALTHY[kind](), tmp_path / "run.evenflow")
