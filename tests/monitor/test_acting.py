"""Agents that act thousands of times, gradients on, before and between their updates; and other
calls that nobody trains. Samples are given up early, begin again, and read the training alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.monitor.idle import Idle
from evenflow.schema import Run, verdict
from evenflow.tape.rootcalls import PATIENCE

ACTS = 10_000


def healthy() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 24), nn.ReLU(), nn.Linear(24, 2))


def sick() -> nn.Module:
    """Its rectifiers are off for every input."""
    net = healthy()
    nn.init.constant_(net[0].bias, -20.0)  # type: ignore[index]
    return net


class Loop:
    """An agent's loop. `grads`: are they on while it acts? All else is the same to the bit."""

    def __init__(self, net: nn.Module, grads: bool) -> None:
        self.net, self.grads = net, grads
        self.optimizer = torch.optim.Adam(net.parameters(), 1e-3)
        self.states = torch.randn(64, 4, generator=torch.Generator().manual_seed(1))
        self.kept: list[Tensor] = []

    def act(self, calls: int, batch: int = 1, keep: bool = False) -> None:
        for i in range(calls):
            with torch.set_grad_enabled(self.grads):
                out = self.net(self.states[i % 32 : i % 32 + batch])
            out.argmax()
            out = out if keep else out.detach()
            if keep:
                self.kept.append(out)

    def learn(self, updates: int, batch: int = 32) -> None:
        for i in range(updates):
            s = self.states[i % (65 - batch) :][:batch]
            goal = torch.stack([s.sum(1), s[:, 0] * s[:, 1]], 1)
            self.optimizer.zero_grad()
            F.mse_loss(self.net(s), goal).backward()
            self.optimizer.step()


def before(loop: Loop, acts: int) -> None:
    """DQN: fills its memory, then learns after each few acts."""
    loop.act(acts)
    for _ in range(40):
        loop.act(10)
        loop.learn(1)


def between(loop: Loop, acts: int) -> None:
    """A2C: a long rollout before each update."""
    for _ in range(10):
        loop.act(acts // 10)
        loop.learn(1)


def evaluations(loop: Loop, acts: int) -> None:
    """The same batches as in training, evaluated with gradients on: before it, and within it."""
    for _ in range(4):
        loop.act(acts // 4, batch=32)
        loop.learn(10)


def kept(loop: Loop, acts: int) -> None:
    """A buffer holds what each act gave, with its graph; then several passes over it."""
    for _ in range(3):
        loop.act(acts // 10, keep=True)
        loop.kept.clear()
        loop.learn(10)


LOOPS = [before, between, evaluations, kept]


def watched(
    path: Path,
    loop: Callable[[Loop, int], None],
    net: Callable[[], nn.Module],
    grads: bool,
    every: str | int,
    acts: int = ACTS,
) -> Run:
    torch.manual_seed(0)
    model = net()
    with evenflow.watch(model, run=path, every=every) as watch:
        loop(Loop(model, grads), acts)
    return evenflow.load(watch.path)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("every", ["auto", 1])
def test_the_training_is_read_however_often_it_acts(
    loop: Callable[[Loop, int], None], every: str | int, tmp_path: Path
) -> None:
    acts = ACTS if (loop, every) == (before, "auto") else ACTS // 5
    acting = watched(tmp_path / "a.evenflow", loop, healthy, True, every, acts)
    silent = watched(tmp_path / "b.evenflow", loop, healthy, False, every, acts)
    assert acting.meta["steps"] == silent.meta["steps"]
    # A sample in vain costs its step: with patience doubled each time, a few.
    both = [s for s in acting.steps if s in set(silent.steps)]
    assert len(both) >= 5 and acting.steps[0] <= 8
    assert not acting.unjudged
    layers = {s.name: s.id for s in acting.sites if s.op in ("linear", "relu") and not s.call}
    theirs = {s.name: s.id for s in silent.sites if s.op in ("linear", "relu") and not s.call}
    assert layers.keys() == theirs.keys()
    at, there = np.searchsorted(acting.steps, both), np.searchsorted(silent.steps, both)
    for name, site in layers.items():
        for metric in ("rms", "delta"):
            mine, other = acting.site(site, metric), silent.site(theirs[name], metric)
            assert mine is not None and other is not None
            np.testing.assert_allclose(mine[at], other[there], rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(acting.curve_loss, silent.curve_loss, rtol=1e-6)


@pytest.mark.parametrize(("net", "code"), [(healthy, None), (sick, "EF202")])
def test_sick_and_healthy_are_told_apart(
    net: Callable[[], nn.Module], code: str | None, tmp_path: Path
) -> None:
    run = watched(tmp_path / "a.evenflow", before, net, True, "auto", 2000)
    found = evenflow.diagnose(run)
    assert (verdict(found, run) == "sick") == (code is not None), found
    assert code is None or code in {f.code for f in found}


@pytest.mark.parametrize("net", [healthy, sick])
def test_an_agent_that_never_steps_is_found(net: Callable[[], nn.Module], tmp_path: Path) -> None:
    """It acts, it runs the backward pass, and no optimizer steps: that is said of both."""

    def never(loop: Loop, acts: int) -> None:
        loop.optimizer.step = lambda *a: None  # type: ignore[method-assign, assignment]
        before(loop, acts)

    run = watched(tmp_path / "a.evenflow", never, net, True, "auto", 2000)
    assert "EF802" in {f.code for f in evenflow.diagnose(run)}


def test_acts_are_read_a_bounded_number_of_times(tmp_path: Path) -> None:
    """However many there are: those that are read cost 50 times as much as bare ones."""
    torch.manual_seed(0)
    net = healthy()
    reads = []
    for acts in (PATIENCE, 20 * PATIENCE, 40 * PATIENCE):
        path = tmp_path / f"{acts}.evenflow"
        with evenflow.watch(net, run=path, every=1) as watch:
            recorder = watch._conductor.recorder  # type: ignore[union-attr]
            Loop(net, True).act(acts)
            reads.append(recorder.bounds.reads)
    assert reads[0] <= reads[1] == reads[2] <= 2 * reads[0]
    assert not recorder.recording, "after so many in vain nothing of ours is on the model"


def test_an_episode_is_read_whole(tmp_path: Path) -> None:
    """REINFORCE: each act's graph is kept, and trained at the end."""

    def episodes(loop: Loop, acts: int) -> None:
        for _ in range(3):
            terms = [F.log_softmax(loop.net(s[None]), 1)[0, 0] for s in loop.states.repeat(5, 1)]
            loop.optimizer.zero_grad()
            (-torch.stack(terms).mean()).backward()
            loop.optimizer.step()

    run = watched(tmp_path / "a.evenflow", episodes, healthy, True, 1)
    assert list(run.steps) == [0, 1, 2]
    layers = [s for s in run.sites if s.op == "linear"]
    assert len(layers) == 2 * 8
    assert all(np.isfinite(run.site(s.id, "delta")).all() for s in layers)  # type: ignore[arg-type]


def test_transforms_are_modules_too(tmp_path: Path) -> None:
    """Each sample of a batch goes through one: no graph, no end of the sample."""
    scale = nn.Hardtanh(-2.0, 2.0)

    def loads(loop: Loop, acts: int) -> None:
        raw = loop.states
        for _ in range(4):
            loop.states = torch.stack([scale(s) for s in raw.repeat(20, 1)])
            loop.learn(1)

    run = watched(tmp_path / "a.evenflow", loads, healthy, True, 1)
    assert list(run.steps) == [0, 1, 2, 3]


class Named(nn.Module):
    """Its forward takes what it is given by name, and is given ragged batches, too."""

    def __init__(self) -> None:
        super().__init__()
        self.net = healthy()

    def forward(self, states: Tensor) -> Tensor:
        if states.is_nested:
            states = torch.stack([s.mean(0) for s in states.unbind()])
        out: Tensor = self.net(states)
        return out


def test_what_is_given_by_name_has_a_shape_too(tmp_path: Path) -> None:
    """Acting on single states does not hide the training on 32 of them."""
    torch.manual_seed(0)
    model = Named()
    states = torch.randn(32, 4)
    with evenflow.watch(model, run=tmp_path / "a.evenflow", every=1) as watch:
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for _ in range(4):
            for i in range(2 * PATIENCE):
                model(states=states[i % 32, None]).argmax()
            optimizer.zero_grad()
            model(states=states).square().mean().backward()
            optimizer.step()
    assert list(evenflow.load(watch.path).steps) == [0, 1, 2, 3]


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_ragged_batches_are_read(layout: torch.layout, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Named()
    with evenflow.watch(model, run=tmp_path / "a.evenflow", every=1) as watch:
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        for _ in range(3):
            rows = [torch.randn(3, 4), torch.randn(2, 4)]
            optimizer.zero_grad()
            model(torch.nested.nested_tensor(rows, layout=layout)).square().mean().backward()
            optimizer.step()
    run = evenflow.load(watch.path)
    assert list(run.steps) == [0, 1, 2] and not run.events
    assert {s.name.split(".", 1)[0] for s in run.sites if s.op == "linear"} == {"Named"}


class Within(torch.autograd.Function):
    """Trains a network by a graph of its own, which only its backward runs through."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, net: nn.Module) -> Tensor:
        with torch.enable_grad():
            ctx.out = net(x)
        return ctx.out.detach()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        ctx.out.backward(grad)
        return grad.new_zeros(8, 4), None


def test_what_a_backward_within_reaches_is_trained(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = healthy()
    x = torch.randn(8, 4)
    with evenflow.watch(net, run=tmp_path / "a.evenflow", every=1) as watch:
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        for _ in range(3):
            optimizer.zero_grad()
            hidden = Within.apply(x.clone().requires_grad_(), net)
            (hidden.square().mean() + net(x).square().mean()).backward()
            optimizer.step()
    run = evenflow.load(watch.path)
    calls = {(s.name, s.call): s.id for s in run.sites if s.op == "linear"}
    assert len(calls) == 4
    for site in calls.values():
        for metric in ("rms", "delta"):
            values = run.site(site, metric)
            assert values is not None and np.isfinite(values).all(), (calls, metric)


def test_a_net_that_is_gone_when_the_watch_closes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sample that was kept lets the network go, and whether it moved is asked at the end."""
    monkeypatch.setattr(Idle, "long", lambda self, recorder, passes: passes.count > 3)

    def train(steps: bool) -> None:
        net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
        optimizer = torch.optim.SGD(net.parameters(), 0.05)
        for _ in range(60):
            x = torch.randn(16, 4)
            optimizer.zero_grad()
            nn.functional.mse_loss(net(x), x[:, :1]).backward()
            if steps:
                optimizer.step()

    for steps in (True, False):
        torch.manual_seed(0)
        with evenflow.watch(run=tmp_path / f"{steps}.evenflow"):
            train(steps)
        run = evenflow.load(tmp_path / f"{steps}.evenflow")
        assert ("EF802" in {f.code for f in evenflow.diagnose(run)}) is not steps
