"""Treatments injected into trainings that hold on to parameters, schedules, copies, graphs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.checkpoint import checkpoint

from evenflow.treatments import treat_
from evenflow.trial.injection import Injection


@pytest.fixture
def inject() -> Iterator[Callable[..., Injection]]:
    made: list[Injection] = []

    def refused(error: ValueError) -> None:
        raise AssertionError(f"refused: {error}")

    def injection(text: str, refused: Callable[[ValueError], None] = refused) -> Injection:
        made.append(Injection(text, treat_, refused=refused))
        return made[-1]

    call, init, compile = nn.Module.__call__, torch.optim.Optimizer.__init__, torch.compile
    yield injection
    for one in made:
        one.remove()
    assert nn.Module.__call__ is call and torch.optim.Optimizer.__init__ is init
    assert torch.compile is compile and not hasattr(nn.Module, "__deepcopy__")


class Functional(nn.Module):
    """Activations by function and by module, the second block through a checkpoint or not."""

    def __init__(self, reentrant: bool | None = None) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.act, self.reentrant = nn.ReLU(), reentrant

    def block(self, h: Tensor) -> Tensor:
        return self.act(self.second(h))

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.first(x))
        if self.reentrant is not None:
            return self.head(checkpoint(self.block, h, use_reentrant=self.reentrant))
        return self.head(self.block(h))


def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(32, 6, generator=generator)
    return x, x[:, :3].argmax(1)


def plain() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))


def train(model: Any, optimizer: torch.optim.Optimizer, steps: int = 4) -> list[float]:
    x, y = data()
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_it_is_the_same_as_treating_by_hand(inject: Any) -> None:
    x, _ = data()
    text = "init=orthogonal; clip=norm:0.01; lr=x0.5"
    by_hand = plain()
    optimizer = torch.optim.SGD(by_hand.parameters(), 0.1)
    treat_(by_hand, optimizer, text, x)
    wanted = train(by_hand, optimizer)
    injection = inject(text)
    model = plain()
    before = torch.get_rng_state()
    losses = train(model, torch.optim.SGD(model.parameters(), 0.1))
    assert losses == wanted and injection.applied == 1
    assert torch.equal(before, torch.get_rng_state())  # the data order is not touched
    injection.remove()
    untreated = plain()
    assert losses != train(untreated, torch.optim.SGD(untreated.parameters(), 0.1))


def test_evaluation_and_frozen_modules_are_not_treated(inject: Any) -> None:
    injection = inject("init=orthogonal")
    model, frozen = plain(), plain().requires_grad_(False)
    old = model[0].weight.clone()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    x, _ = data()
    with torch.no_grad():
        model(x)
    model.eval()
    model(x)
    model.train()
    frozen(x)
    assert injection.applied == 0 and torch.equal(model[0].weight, old)
    train(model, optimizer, 1)
    assert injection.applied == 1 and not torch.allclose(model[0].weight, old)


def test_parameter_lists_held_by_the_script(inject: Any) -> None:
    inject("init=orthogonal")
    model = plain()
    held = list(model.parameters())
    old = [p.clone() for p in held]
    train(model, torch.optim.SGD(held, 0.1), 1)
    assert all(a is b for a, b in zip(held, model.parameters(), strict=True))
    assert not torch.allclose(held[0], old[0])
    assert nn.utils.clip_grad_norm_(held, 1.0) > 0


@pytest.mark.parametrize("name", ["LambdaLR", "OneCycleLR"])
def test_schedules_made_before_the_first_step(inject: Any, name: str) -> None:
    inject("norm=batch; lr=x0.5")
    model = plain()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    schedules = torch.optim.lr_scheduler
    schedule = (
        schedules.LambdaLR(optimizer, lambda t: 1 / (t + 1))
        if name == "LambdaLR"
        else schedules.OneCycleLR(optimizer, max_lr=0.1, total_steps=10)
    )
    own = {id(p) for p in model.parameters()}
    train(model, optimizer, 1)
    assert len(optimizer.param_groups) == 1
    assert len(optimizer.param_groups[0]["params"]) == len(list(model.parameters()))
    added = [p for p in optimizer.param_groups[0]["params"] if id(p) not in own]
    assert len(added) == 4
    was = [p.clone() for p in added]
    for _ in range(3):
        schedule.step()
        train(model, optimizer, 1)
    assert all(not torch.equal(a, b) for a, b in zip(added, was, strict=True))


def test_a_deep_copy_carries_the_treatment_and_is_not_treated_again(inject: Any) -> None:
    x, _ = data()
    injection = inject("norm=batch; activation=tanh->gelu")
    model = plain()
    train(model, torch.optim.SGD(model.parameters(), 0.1), 2)
    twin = copy.deepcopy(model)
    assert torch.equal(twin.eval()(x), model.eval()(x))
    was = [p.clone() for p in twin.parameters()]
    optimizer = torch.optim.SGD(twin.train().parameters(), 0.0)
    train(twin, optimizer, 1)
    assert all(torch.equal(a, b) for a, b in zip(was, twin.parameters(), strict=True))
    assert injection.applied == 1


def test_an_average_made_before_the_first_step_follows(inject: Any) -> None:
    x, _ = data()
    inject("norm=batch; init=orthogonal")
    model = plain()
    average = AveragedModel(model, multi_avg_fn=None, avg_fn=lambda a, m, n: 0.9 * a + 0.1 * m)
    by_hand = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(3):
        train(model, optimizer, 1)
        average.update_parameters(model)
    assert [p.shape for p in average.parameters()] == [p.shape for p in model.parameters()]
    assert not any(p.requires_grad for p in by_hand.parameters())
    assert average(x).isfinite().all()


def test_functional_activations_are_swapped(inject: Any) -> None:
    torch.manual_seed(0)
    model = Functional()
    twin = copy.deepcopy(model)
    inject("activation=relu->leaky_relu:0.2")
    losses = train(model, torch.optim.SGD(model.parameters(), 0.1))
    x, _ = data()
    leaky = F.leaky_relu(twin.second(F.leaky_relu(twin.first(x), 0.2)), 0.2)
    assert losses[0] == pytest.approx(F.cross_entropy(twin.head(leaky), data()[1]).item())


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints_of_both_kinds(inject: Any, reentrant: bool) -> None:
    """The same losses as without a checkpoint: the recomputed forward is treated, too."""
    torch.manual_seed(0)
    model = Functional(reentrant)
    without = Functional()
    without.load_state_dict(model.state_dict())
    inject("activation=relu->leaky_relu:0.2; clip=norm:0.5; norm=layer")
    assert train(model, torch.optim.SGD(model.parameters(), 0.1)) == pytest.approx(
        train(without, torch.optim.SGD(without.parameters(), 0.1)), rel=1e-6
    )


@pytest.mark.parametrize("what", ["module", "step"])
def test_compiled_without_a_graph_break(inject: Any, what: str) -> None:
    inject("activation=relu->leaky_relu:0.2; init=orthogonal")
    torch.manual_seed(0)
    model, eager = Functional(), Functional()
    eager.load_state_dict(model.state_dict())
    called: Any = torch.compile(model, backend="eager", fullgraph=True)
    if what == "step":

        def forward(x: Tensor) -> Tensor:
            return model(x)

        called = torch.compile(forward, backend="eager", fullgraph=True)
    losses = train(called, torch.optim.SGD(model.parameters(), 0.1))
    assert losses == pytest.approx(train(eager, torch.optim.SGD(eager.parameters(), 0.1)), rel=1e-5)


def test_optimizers_that_come_later_are_served(inject: Any) -> None:
    x, y = data()
    inject("norm=batch; lr=x0.5")
    model = plain()
    F.cross_entropy(model(x), y).backward()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    weight = model[0].weight.clone()
    gradient = model[0].weight.grad.clone()
    optimizer.step()
    assert torch.allclose(weight - model[0].weight, 0.05 * gradient, atol=1e-7)


def test_each_fold_of_a_cross_validation_is_treated(inject: Any) -> None:
    injection = inject("init=orthogonal")
    for fold in range(3):
        model = plain()
        train(model, torch.optim.SGD(model.parameters(), 0.0), 5)
        square = model[2].weight @ model[2].weight.T
        assert torch.allclose(square, square[0, 0] * torch.eye(8), atol=1e-4), fold
    assert injection.applied == 3


def test_two_networks_that_take_turns_are_both_treated(inject: Any) -> None:
    x, y = data()
    injection = inject("clip=norm:0.001")
    one, two = plain(), plain()
    optimizers = [torch.optim.SGD(m.parameters(), 1.0) for m in (one, two)]
    for _ in range(2):
        for model, optimizer in zip((one, two), optimizers, strict=True):
            before = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            moved = nn.utils.parameters_to_vector(model.parameters()).detach() - before
            assert float(moved.norm()) == pytest.approx(0.001, rel=1e-3)
    assert injection.applied == 2


def test_a_refusal_is_told_and_nothing_is_changed(inject: Any) -> None:
    told: list[str] = []
    injection = inject("recurrent=orthogonal", lambda error: told.append(str(error)))
    model = plain()
    losses = train(model, torch.optim.SGD(model.parameters(), 0.1))
    injection.remove()
    fresh = plain()
    assert losses == train(fresh, torch.optim.SGD(fresh.parameters(), 0.1))
    assert len(told) == 1 and "recurrent" in told[0]
    assert injection.applied == 0 and len(injection.notes) == 1
