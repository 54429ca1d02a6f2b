"""One sample is bounded: by the sites it reads, and by seconds; what is left out is said."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import evenflow
from evenflow.monitor.cadence import Cadence
from evenflow.report.sentences import facts
from evenflow.schema import Run
from evenflow.tape.bounds import Bounds

pytestmark = pytest.mark.budget


def train(steps: int = 12, calls: int = 20) -> nn.Module:
    """A small network called many times a step."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    for _ in range(steps):
        out = torch.stack([net(torch.randn(8, 4)) for _ in range(calls)])
        optimizer.zero_grad()
        out.square().mean().backward()
        optimizer.step()
    return net


def watched(tmp_path: Path, **how: Any) -> Run:
    with evenflow.watch(run=tmp_path / "r.evenflow", **how) as watch:
        train()
    return evenflow.load(watch.path)


def said(run: Run) -> list[str]:
    return [str(e.detail["text"]) for e in run.events if e.kind == "note" and "shown" in e.detail]


def test_a_sample_that_takes_too_long_is_given_up_and_the_next_are_smaller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = iter([0.0])
    monkeypatch.setattr(Cadence, "limit", lambda self: next(limits, float("inf")))
    monkeypatch.setattr(Cadence, "was_cut", lambda self, *_: True)
    with evenflow.watch(run=tmp_path / "r.evenflow", every="auto") as watch:
        watch._conductor.recorder.bounds.limit = 0.0  # type: ignore[union-attr]
        watched_net = train()
    run = evenflow.load(watch.path)
    assert 0 not in run.steps and len(run.steps) > 3
    assert len(run.sites) <= 16
    text = " ".join(said(run))
    assert "given up" in text and "only the first 16 of a step" in text
    assert any("given up" in value for _, value in facts(run))
    assert list(run.curve_steps) == list(range(12)), "the loss curve is whole all the same"
    bare = train()
    for a, b in zip(watched_net.parameters(), bare.parameters(), strict=True):
        assert torch.equal(a, b)


def test_waiting_for_a_busy_machine_cuts_no_sample() -> None:
    """A limit of 20 ms, a second of the wall: cut only if the processor was ours all the while."""
    bounds = Bounds()
    bounds.limit = 0.02
    bounds.begin()
    time.sleep(0.1)
    assert not bounds.over(1.0)
    burnt = time.process_time() + 0.03
    while time.process_time() < burnt:
        pass
    assert bounds.over(1.0) and not bounds.over(0.01)


def test_the_sites_that_are_read_have_their_gradients_too(tmp_path: Path) -> None:
    with evenflow.watch(run=tmp_path / "r.evenflow", every=1) as watch:
        watch._conductor.recorder.bounds.most = 9  # type: ignore[union-attr]
        train(steps=3)
    few = evenflow.load(watch.path)
    whole = watched(tmp_path, every=1)
    layers = [s for s in few.sites if s.kind in ("affine", "activation")]
    assert [s.name for s in layers] == [s.name for s in whole.sites if s.kind == layers[0].kind
                                        or s.kind == "activation"][: len(layers)]  # fmt: skip
    by_name = {s.name: s.id for s in whole.sites}
    for s in layers:
        for metric in ("rms", "delta"):
            mine, all_of_it = few.site(s.id, metric), whole.site(by_name[s.name], metric)
            assert mine is not None and all_of_it is not None
            np.testing.assert_allclose(mine[0], all_of_it[0], rtol=1e-6)


def test_no_bound_is_met_by_usual_trainings(tmp_path: Path) -> None:
    run = watched(tmp_path, every=1)
    assert not said(run) and len(run.steps) == 12


def lennard_jones(steps: int) -> None:
    """functorch's molecule in small: energy's gradient is the force, which is fitted."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(steps):
        r = 1 + torch.rand(16, 1)
        loss = torch.zeros(())
        for one in r:  # a pair at a time, as a loop that vmap replaces
            x = one[None].requires_grad_()
            (force,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
            loss = loss + (force + 6 / one**7).square().mean() / len(r)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def adjoint(steps: int) -> None:
    """torchdiffeq's adjoint in small: a custom function that runs the net again backwards."""
    torch.manual_seed(0)
    field = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
    params = tuple(field.parameters())

    class Solve(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, y: Tensor, *params: Tensor) -> Tensor:
            with torch.no_grad():
                for _ in range(20):
                    y = y + 0.05 * field(y)
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx: Any, a: Tensor) -> Any:  # type: ignore[override]
            (y,) = ctx.saved_tensors
            grads = [torch.zeros_like(p) for p in params]
            for _ in range(20):
                with torch.enable_grad():
                    y = y.detach().requires_grad_()
                    f = field(y)
                    da, *dp = torch.autograd.grad(f, (y, *params), a)
                a, y = a + 0.05 * da, (y - 0.05 * f).detach()
                grads = [g + 0.05 * d for g, d in zip(grads, dp, strict=True)]
            return (a, *grads)

    optimizer = torch.optim.Adam(params, lr=1e-2)
    for _ in range(steps):
        y = torch.randn(16, 2)
        loss = (Solve.apply(y, *params) - y.flip(1)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def pinn(steps: int) -> None:
    """u'' = -sin, by LBFGS: each step evaluates its closure up to twenty times."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.LBFGS(net.parameters(), max_iter=20, line_search_fn="strong_wolfe")
    x = torch.linspace(0, 3.14, 32)[:, None].requires_grad_()

    def closure() -> Tensor:
        optimizer.zero_grad()
        u = net(x)
        (du,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        (d2u,) = torch.autograd.grad(du.sum(), x, create_graph=True)
        loss = (d2u + x.sin()).square().mean() + u[[0, -1]].square().mean()
        loss.backward()
        return loss

    for _ in range(steps):
        optimizer.step(closure)  # type: ignore[arg-type]


@pytest.mark.parametrize("program", [lennard_jones, adjoint, pinn])
def test_sites_do_not_grow_from_step_to_step(program: Any, tmp_path: Path) -> None:
    counts = []
    for steps in (2, 8):
        with evenflow.watch(run=tmp_path / f"{steps}.evenflow", every=1) as watch:
            program(steps)
        run = evenflow.load(watch.path)
        assert run.meta["steps"] == steps
        counts.append(len(run.sites))
    assert counts[0] == counts[1] and counts[0] < 400, counts
    assert not [f for f in evenflow.diagnose(run) if f.severity == 2]
