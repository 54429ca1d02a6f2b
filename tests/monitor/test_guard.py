"""The guard names where NaN and Inf come from, and keeps them out of the weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.schema import Event


class Net(nn.Module):
    """Goes wrong in a place of choice from a step of choice on."""

    def __init__(self, where: str, at: int) -> None:
        super().__init__()
        self.a, self.norm, self.b = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)
        self.drop = nn.Dropout(0.5)
        self.where, self.at, self.calls = where, at, 0

    def forward(self, x: Tensor) -> Tensor:
        bad = self.calls == self.at
        h = self.drop(torch.tanh(self.norm(self.a(x))))
        if bad and self.where == "forward":
            h = torch.log(h.abs() * 0.0)  # finite in, -inf out
        out: Tensor = self.b(h)
        if bad and self.where == "backward":
            out = out + (out * 0).sqrt()  # forward 0, derivative infinite
        return out


def train(net: Net, loss: Callable[[Tensor, Tensor], Tensor], steps: int = 8) -> nn.Module:
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    for net.calls in range(steps):
        optimizer.zero_grad()
        x = torch.randn(6, 4)
        if net.where == "input" and net.calls == net.at:
            x[0, 0] = float("nan")
        loss(net(x), torch.zeros(6, dtype=torch.long)).backward()
        optimizer.step()
    return net


def events(path: Path) -> list[Event]:
    return [e for e in evenflow.load(path).events if e.kind == "nonfinite"]


@pytest.mark.parametrize("every", [0, 1, "auto"])
@pytest.mark.parametrize("where", ["forward", "input", "backward"])
def test_the_origin_is_named(
    where: str, every: int | str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    net = Net(where, 5)
    with evenflow.watch(net, run=tmp_path / "r.evenflow", every=every, on_nonfinite="skip") as w:
        train(net, F.cross_entropy)
    assert all(bool(torch.isfinite(p).all()) for p in net.parameters())
    (event,) = events(w.path)
    assert event.step == 5 and event.detail["where"] == where
    run = evenflow.load(w.path)
    if where == "forward":
        assert run.sites[event.detail["site"]].op == "log"
    if where == "input":
        assert run.sites[event.detail["site"]].kind == "input"
    if where == "backward" and every == 1:
        assert run.sites[event.detail["site"]].op == "sqrt"
    assert run.meta["steps"] == 7, "a skipped update is no step"
    assert "step 5" in capsys.readouterr().err


def test_a_loss_that_is_not_finite(tmp_path: Path) -> None:
    def loss(out: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(out, y) + torch.log(out.sum() * 0)

    net = Net("none", -1)
    with evenflow.watch(net, run=tmp_path / "r.evenflow", on_nonfinite="skip") as watch:
        train(net, loss, 2)
    assert events(watch.path)[-1].detail["where"] == "loss"
    assert "log" in events(watch.path)[-1].detail["origin"]


def test_stop_raises_before_the_update_and_report_does_not(tmp_path: Path) -> None:
    net = Net("forward", 3)
    with (
        pytest.raises(evenflow.NonFiniteError, match=r"step 3: .*a\.weight.*log"),
        evenflow.watch(net, run=tmp_path / "s.evenflow", on_nonfinite="stop") as watch,
    ):
        train(net, F.cross_entropy)
    assert all(bool(torch.isfinite(p).all()) for p in net.parameters())
    assert evenflow.load(watch.path).meta["ended"].startswith("error: NonFiniteError")
    net = Net("forward", 3)
    with evenflow.watch(net, run=tmp_path / "t.evenflow", on_nonfinite="report"):
        train(net, F.cross_entropy)
    assert any(bool(torch.isnan(p).any()) for p in net.parameters()), "report must not interfere"


def test_a_replay_leaves_no_trace(tmp_path: Path) -> None:
    """BatchNorm's statistics and the random state are those of a run without a guard."""

    def go(guarded: bool) -> tuple[list[Tensor], Tensor]:
        torch.manual_seed(1)
        net = Net("forward", 5)
        if guarded:
            with evenflow.watch(net, run=tmp_path / "r.evenflow", on_nonfinite="report"):
                train(net, F.cross_entropy, 6)
        else:
            train(net, F.cross_entropy, 6)
        return list(net.buffers()), torch.get_rng_state()

    (bare, rng), (watched, rng2) = go(False), go(True)
    assert torch.equal(rng, rng2)
    for a, b in zip(bare, watched, strict=True):
        assert torch.equal(a, b)


def test_the_batch_is_kept_only_when_asked(tmp_path: Path) -> None:
    for keep in (False, True):
        net = Net("forward", 2)
        path = tmp_path / f"{keep}.evenflow"
        with evenflow.watch(net, run=path, on_nonfinite="skip", keep_batch=keep):
            train(net, F.cross_entropy, 4)
        kept = path.with_suffix(".batch.pt")
        assert kept.exists() == keep
    saved = torch.load(kept, weights_only=True)
    assert saved["step"] == 2 and saved["calls"][0]["args"][0].shape == (6, 4)


def test_finite_but_huge_gradients_are_let_through(tmp_path: Path) -> None:
    p = nn.Parameter(torch.zeros(4))
    optimizer = torch.optim.SGD([p], 1e-30)
    with evenflow.watch(run=tmp_path / "r.evenflow", on_nonfinite="stop"):
        (p * 3e30).sum().backward()  # its float32 norm overflows
        optimizer.step()
    assert bool((p != 0).all())


def test_a_wrong_mode_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'panic'"):
        evenflow.watch(run=tmp_path / "r.evenflow", on_nonfinite="panic")
