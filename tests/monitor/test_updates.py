"""What one update is: all that steps until the next outermost backward begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.faults.view import View
from evenflow.monitor.made import separate
from evenflow.schema import Run, Severity

STEPS = 30


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))


def loss_of(model: nn.Module) -> Tensor:
    x = torch.randn(32, 8)
    return F.mse_loss(model(x), x[:, :1] * x[:, 1:2])


Loop = Callable[[], Iterator[float]]


def two() -> Iterator[float]:
    """One for the body, one for the head (Muon beside AdamW; sparse beside dense)."""
    model = net()
    a = torch.optim.SGD(model[0].parameters(), lr=0.05)
    b = torch.optim.Adam(model[2].parameters(), lr=0.01)
    for _ in range(STEPS):
        loss = loss_of(model)
        a.zero_grad()
        b.zero_grad()
        loss.backward()
        a.step()
        b.step()
        yield loss.item()


def one_a_parameter() -> Iterator[float]:
    model = net()
    optimizers = [torch.optim.SGD([p], lr=0.05) for p in model.parameters()]
    for _ in range(STEPS):
        loss = loss_of(model)
        loss.backward()
        for o in optimizers:
            o.step()
            o.zero_grad()
        yield loss.item()


def within_the_backward() -> Iterator[float]:
    model = net()
    optimizers = {p: torch.optim.SGD([p], lr=0.05) for p in model.parameters()}

    def step(p: Tensor) -> None:
        optimizers[p].step()
        optimizers[p].zero_grad()

    for p in model.parameters():
        p.register_post_accumulate_grad_hook(step)
    for _ in range(STEPS):
        loss = loss_of(model)
        loss.backward()
        yield loss.item()


def now_and_then() -> Iterator[float]:
    """The second steps at every third update only."""
    model = net()
    a = torch.optim.SGD(model[0].parameters(), lr=0.05)
    b = torch.optim.SGD(model[2].parameters(), lr=0.05)
    for i in range(STEPS):
        loss = loss_of(model)
        loss.backward()
        a.step()
        a.zero_grad()
        if i % 3 == 0:
            b.step()
            b.zero_grad()
        yield loss.item()


def under_a_scaler() -> Iterator[float]:
    model = net()
    a = torch.optim.SGD(model[0].parameters(), lr=0.05)
    b = torch.optim.Adam(model[2].parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for _ in range(STEPS):
        loss = loss_of(model)
        a.zero_grad()
        b.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(a)
        scaler.step(b)
        scaler.update()
        yield loss.item()


def with_closures() -> Iterator[float]:
    model = net()
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)
    for _ in range(STEPS):
        seen: list[float] = []

        def closure(seen: list[float] = seen) -> Tensor:
            optimizer.zero_grad()
            loss = loss_of(model)
            loss.backward()
            seen.append(loss.item())
            return loss

        optimizer.step(closure)  # type: ignore[arg-type]
        yield sum(seen)


def accumulated() -> Iterator[float]:
    model = net()
    a = torch.optim.SGD(model[0].parameters(), lr=0.05)
    b = torch.optim.Adam(model[2].parameters(), lr=0.01)
    for _ in range(STEPS):
        seen = 0.0
        for _ in range(4):
            loss = loss_of(model) / 4
            loss.backward()
            seen += loss.item()
        a.step()
        b.step()
        a.zero_grad()
        b.zero_grad()
        yield seen


def made_anew() -> Iterator[float]:
    """Another optimizer over the same parameters every ten steps."""
    model = net()
    for i in range(STEPS):
        if i % 10 == 0:
            optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        optimizer.step()
        yield loss.item()


def by_hand() -> Iterator[float]:
    model = net()
    for _ in range(STEPS):
        model.zero_grad()
        loss = loss_of(model)
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                assert p.grad is not None
                p -= 0.05 * p.grad
        yield loss.item()


LOOPS = [
    two,
    one_a_parameter,
    within_the_backward,
    now_and_then,
    under_a_scaler,
    with_closures,
    accumulated,
    made_anew,
    by_hand,
]


def watched(loop: Loop, tmp_path: Path, every: Any) -> tuple[Run, list[float]]:
    with evenflow.watch(run=tmp_path / "r.evenflow", every=every) as watch:
        told = list(loop())
    return evenflow.load(watch.path), told


@pytest.mark.parametrize("every", [1, 7, "auto"])
@pytest.mark.parametrize("loop", LOOPS)
def test_an_update_is_one_step(loop: Loop, every: Any, tmp_path: Path) -> None:
    run, told = watched(loop, tmp_path, every)
    assert run.meta["steps"] == STEPS
    assert list(run.curve_steps) == list(range(STEPS))
    np.testing.assert_allclose(run.curve_loss, told, rtol=1e-5)
    assert not View(run).adversarial


@pytest.mark.parametrize("loop", [two, one_a_parameter, within_the_backward, accumulated])
def test_every_parameter_is_read_at_every_sample(loop: Loop, tmp_path: Path) -> None:
    run, _ = watched(loop, tmp_path, 7)
    assert list(run.steps) == list(range(0, STEPS, 7))
    for p in run.params:
        for metric in ("grad", "weight", "update"):
            column = run.param(p.id, metric)
            assert column is not None and np.isfinite(column).all(), (p.name, metric)
    grads = [np.asarray(run.param(p.id, "grad")) for p in run.params]
    norm = run.step("grad_norm")
    assert norm is not None
    np.testing.assert_allclose(norm, np.sqrt(np.square(grads).sum(axis=0)), rtol=1e-6)
    deltas = [run.site(s.id, "delta") for s in run.sites if s.kind == "affine"]
    assert deltas and all(d is not None and np.isfinite(d).all() for d in deltas)


def test_a_skipped_optimizer_leaves_the_others_update(tmp_path: Path) -> None:
    model = net()
    a = torch.optim.SGD(model[0].parameters(), lr=0.05)
    b = torch.optim.SGD(model[2].parameters(), lr=0.05)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    with evenflow.watch(run=tmp_path / "r.evenflow", every=1) as watch:
        for i in range(6):
            a.zero_grad()
            b.zero_grad()
            scaler.scale(loss_of(model)).backward()
            if i == 3:
                model[0].weight.grad.fill_(float("inf"))
            scaler.step(a)
            scaler.step(b)
            scaler.update(1024.0)
    run = evenflow.load(watch.path)
    assert run.meta["steps"] == 6, "the other optimizer has made an update"
    assert [(e.kind, e.step) for e in run.events if e.kind == "skipped"] == [("skipped", 3)]
    assert list(run.steps) == [0, 1, 2, 4, 5]


def test_findings_may_be_asked_for_between_two_optimizers(tmp_path: Path) -> None:
    model = net()
    a = torch.optim.SGD(model[0].parameters(), lr=0.05)
    b = torch.optim.SGD(model[2].parameters(), lr=0.05)
    with evenflow.watch(run=tmp_path / "r.evenflow", every=1) as watch:
        for _ in range(5):
            loss_of(model).backward()
            a.step()
            watch.findings()
            b.step()
    assert evenflow.load(watch.path).meta["steps"] == 5


# -- losses that compete ---------------------------------------------------------------------


def gan(step: Callable[..., None], steps: int = 12, frozen: bool = False) -> None:
    torch.manual_seed(0)
    maker = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    judge = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    g = torch.optim.Adam(maker.parameters(), lr=1e-3)
    d = torch.optim.Adam(judge.parameters(), lr=1e-3)
    one, nil = torch.ones(16, 1), torch.zeros(16, 1)
    error = F.binary_cross_entropy_with_logits
    for _ in range(steps):
        fake = maker(torch.randn(16, 4))

        def of_judge(fake: Tensor = fake) -> Tensor:
            return error(judge(torch.randn(16, 2) + 3), one) + error(judge(fake.detach()), nil)

        def of_maker(fake: Tensor = fake) -> Tensor:
            if frozen:
                judge.requires_grad_(False)
            loss = error(judge(fake), one)
            judge.requires_grad_(True)
            return loss

        step(of_judge, d, of_maker, g)


def in_turns(of_judge: Any, d: Any, of_maker: Any, g: Any) -> None:
    for loss, optimizer in ((of_judge, d), (of_maker, g)):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()


def both_at_the_end(of_judge: Any, d: Any, of_maker: Any, g: Any) -> None:
    g.zero_grad()
    d.zero_grad()
    of_maker().backward()
    d.zero_grad()
    of_judge().backward()
    g.step()
    d.step()


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("step", [in_turns, both_at_the_end])
def test_a_gan_is_told_by_its_separate_backwards(
    step: Callable[..., None], frozen: bool, tmp_path: Path
) -> None:
    with evenflow.watch(run=tmp_path / "r.evenflow") as watch:
        gan(step, frozen=frozen)
    run = evenflow.load(watch.path)
    assert View(run).adversarial
    assert run.meta["steps"] == (24 if step is in_turns else 12)


def test_tasks_with_a_common_trunk_do_not_compete(tmp_path: Path) -> None:
    torch.manual_seed(0)
    trunk, left, right = nn.Linear(4, 8), nn.Linear(8, 1), nn.Linear(8, 1)
    optimizers = [torch.optim.SGD(m.parameters(), lr=0.01) for m in (trunk, left, right)]
    with evenflow.watch(run=tmp_path / "r.evenflow", every=1) as watch:
        for _ in range(8):
            h = trunk(torch.randn(16, 4)).tanh()
            left(h).square().mean().backward(retain_graph=True)
            right(h).square().mean().backward()
            for o in optimizers:
                o.step()
                o.zero_grad()
    run = evenflow.load(watch.path)
    assert run.meta["steps"] == 8 and not View(run).adversarial


@pytest.mark.parametrize(
    ("reach", "told"),
    [
        ([{0, 1}, {0, 1}], False),  # micro-batches
        ([{0, 1}], False),
        ([{0}, {0, 1}], True),  # a judge, and a maker through the judge
        ([{0}, {1}], True),
        ([{0, 1}, {0, 2}], False),  # two heads
        ([set(), {0}], False),
    ],
)
def test_separate_losses(reach: list[set[int]], told: bool) -> None:
    assert separate(map(frozenset, reach)) is told


# -- what is judged --------------------------------------------------------------------------


def deep(sick: bool, steps: int = 60) -> None:
    """Body and head with optimizers of their own; the sick body is 12 sigmoid layers."""
    torch.manual_seed(0)
    parts: list[nn.Module] = []
    for _ in range(12 if sick else 1):
        parts += [nn.Linear(16, 16), nn.Sigmoid() if sick else nn.Tanh()]
    body, head = nn.Sequential(*parts), nn.Linear(16, 4)
    a = torch.optim.SGD(body.parameters(), lr=0.5 if not sick else 0.1, momentum=0.9)
    b = torch.optim.SGD(head.parameters(), lr=0.1 if not sick else 0.01, momentum=0.9)
    w = torch.randn(16, 4)
    for _ in range(steps):
        x = torch.randn(64, 16)
        loss = F.cross_entropy(head(body(x)), (x @ w).argmax(1))
        a.zero_grad()
        b.zero_grad()
        loss.backward()
        a.step()
        b.step()


@pytest.mark.parametrize("sick", [True, False])
def test_a_net_with_two_optimizers_is_judged_as_with_one(sick: bool, tmp_path: Path) -> None:
    with evenflow.watch(run=tmp_path / "r.evenflow") as watch:
        deep(sick)
    errors = {f.code for f in watch.findings() if f.severity == Severity.error}
    assert ({"EF101", "EF205"} <= errors) if sick else not errors


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_first_sample_cut_within_its_backward_is_no_matter(
    by_hand: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who updates the parameters is known all the same: the script, though an optimizer lives."""
    torch.manual_seed(0)
    net, other = nn.Linear(3, 2), nn.Linear(3, 2)
    optimizer = torch.optim.SGD((other if by_hand else net).parameters(), 0.1)
    with evenflow.watch(run=tmp_path / "a.evenflow", every=1) as watch:
        recorder = watch._conductor.recorder  # type: ignore[union-attr]
        real = recorder.timed
        monkeypatch.setattr(recorder, "timed", lambda *a: (real(*a), recorder.cut()))
        for k in range(6):
            net.zero_grad()
            net(torch.ones(4, 3)).square().mean().backward()
            if by_hand:
                with torch.no_grad():
                    for p in net.parameters():
                        p -= 0.1 * p.grad
            else:
                optimizer.step()
            if not k:
                monkeypatch.setattr(recorder, "timed", real)
    run = evenflow.load(watch.path)
    assert run.meta["steps"] == 6 and list(run.curve_steps) == list(range(6))
    assert 0 not in run.steps and len(run.steps) >= 3
