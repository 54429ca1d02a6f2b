"""A forward that is run again leaves no trace: hooks, states, random numbers, weights, memory."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

import evenflow
from evenflow.tape import what_depends

N, T, D = 8, 5, 4


class Noisy(nn.Module):
    """Counts, keeps state, draws random numbers, writes into buffers and in place."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.norm = nn.GRU(D, 8), nn.BatchNorm1d(8)
        self.drop, self.head = nn.Dropout(0.3), nn.Linear(8, 1)
        self.register_buffer("mean", torch.zeros(8))
        self.calls, self.kept = 0, []

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        h = self.rnn(x.view(T, N, D))[0][-1]
        self.kept.append(h.detach())
        with torch.no_grad():
            self.mean.mul_(0.9).add_(h.mean(0), alpha=0.1)
        h = self.drop(self.norm(h + 0.1 * torch.randn_like(h)))
        buffer = torch.zeros(N, 8)
        buffer[:, :8] = h
        buffer += self.mean
        return self.head(buffer.relu_() ** 2)


def train(watched: Path | None, heard: list[str]) -> tuple[list[Tensor], Tensor, Noisy]:
    torch.manual_seed(0)
    net = Noisy()
    net.rnn.register_forward_hook(lambda *a: heard.append("module"))
    net.head.weight.register_hook(lambda g: heard.append("gradient"))

    def pack(t: Tensor) -> Tensor:
        heard.append("packed")
        return t

    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    watch = None if watched is None else evenflow.watch(run=watched, every=1)
    for _ in range(5):
        x = torch.randn(N, T, D)
        optimizer.zero_grad()
        with saved_tensors_hooks(pack, pack):
            F.mse_loss(net(x), x[:, -1, :1]).backward()
        optimizer.step()
    if watch is not None:
        watch.close()
    return [*net.state_dict().values()], torch.rand(3), net


def test_nobody_hears_of_it_and_all_is_equal_to_the_bit(tmp_path: Path) -> None:
    bare, watched = [], []
    plain, drawn, net = train(None, bare)
    same, again, other = train(tmp_path / "run.evenflow", watched)
    assert all(torch.equal(a, b) for a, b in zip(plain, same, strict=True))
    assert torch.equal(drawn, again)
    assert bare == watched and net.calls == other.calls == 5
    assert all(torch.equal(a, b) for a, b in zip(net.kept, other.kept, strict=True))
    found = evenflow.diagnose(tmp_path / "run.evenflow")
    assert found[0].code == "EF808"  # so it was run again


def test_what_is_followed_is_let_go(tmp_path: Path) -> None:
    net = Noisy()
    optimizer = torch.optim.Adam(net.parameters())
    refs = []
    with evenflow.watch(run=tmp_path / "run.evenflow", every=1):
        for _ in range(2):
            x = torch.randn(N, T, D)
            F.mse_loss(net(x), x[:, -1, :1]).backward()
            optimizer.step()
            refs.append(weakref.ref(x))
            del x
            gc.collect()
            assert refs[-1]() is None


def test_a_function_somebody_has_put_in_torchs_place_is_not_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    own = torch.nn.functional.linear

    def counted(*args: Any, **kwargs: Any) -> Tensor:
        calls.append(1)
        return own(*args, **kwargs)

    monkeypatch.setattr(torch.nn.functional, "linear", counted)
    net = nn.MultiheadAttention(D, 2)
    optimizer = torch.optim.Adam(net.parameters())

    def steps() -> int:
        before = len(calls)
        for _ in range(3):
            x = torch.randn(N, T, D)
            F.mse_loss(net(x, x, x)[0].mean(1), x[:, 0]).backward()
            optimizer.step()
        return len(calls) - before

    bare = steps()
    with evenflow.watch(run=tmp_path / "run.evenflow", every=1):
        assert steps() == bare
    assert bare


def test_an_error_of_torchs_is_silence(tmp_path: Path) -> None:
    """Written in place over what the second backward wants: the first did not want it."""

    class Over(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(T * D, 1)

        def forward(self, x: Tensor) -> Tensor:
            y = x.exp()
            y += 1
            return self.head(y.flatten(1))

    net = Over()
    optimizer = torch.optim.Adam(net.parameters())
    with evenflow.watch(run=tmp_path / "run.evenflow", every=1) as watch:
        for _ in range(3):
            x = torch.randn(N, T, D)
            F.mse_loss(net(x), x[:, -1, :1]).backward()
            optimizer.step()
    assert not [e for e in evenflow.load(watch.path).events if e.kind == "stopped"]
    assert "EF808" not in {f.code for f in evenflow.diagnose(watch.path)}


def test_it_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        "evenflow.monitor.updates.what_depends",
        lambda *args: (asked.append(1), what_depends(*args))[1],
    )
    net = Noisy()
    optimizer = torch.optim.Adam(net.parameters())
    with evenflow.watch(run=tmp_path / "run.evenflow", every=1):
        for _ in range(20):
            x = torch.randn(N, T, D)
            F.mse_loss(net(x), x[:, -1, :1]).backward()
            optimizer.step()
    assert asked == [1]
