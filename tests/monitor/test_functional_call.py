"""`functional_call` on tensors of the script's: whose they are, and that each counts once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

import evenflow
from evenflow.schema import Run

STEPS = 5


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 4))


def clones(model: nn.Module, kind: str) -> dict[str, Tensor]:
    made = {n: p.detach().clone().requires_grad_() for n, p in model.named_parameters()}
    return made if kind == "tensors" else {n: nn.Parameter(t) for n, t in made.items()}


def loss(model: nn.Module, weights: dict[str, Tensor]) -> Tensor:
    y = functional_call(model, weights, (torch.linspace(-1, 1, 80).view(10, 8),))
    return F.cross_entropy(y, torch.arange(10) % 4)


def trained(
    path: Path, model: nn.Module, held: list[Tensor], *sets: dict[str, Tensor], met: bool = True
) -> Run:
    """Watched while the optimizer trains what it holds by the sum of the losses of these sets.
    `met`: the watch is given the optimizer, and else hears of it when it steps."""
    optimizer = torch.optim.SGD(held, 0.1)
    with evenflow.watch(model, optimizer if met else None, run=path, every=1) as watch:
        for _ in range(STEPS):
            optimizer.zero_grad()
            torch.stack([loss(model, weights) for weights in sets]).sum().backward()
            optimizer.step()
    run = evenflow.load(watch.path)
    assert len(run.steps) == STEPS
    return run


@pytest.mark.parametrize("met", [True, False])
@pytest.mark.parametrize("kind", ["tensors", "parameters"])
def test_clones_that_are_trained_in_a_modules_stead_are_its_parameters(
    kind: str, met: bool, tmp_path: Path
) -> None:
    model = net()
    weights = clones(model, kind)
    run = trained(tmp_path / "r.evenflow", model, list(weights.values()), weights, met=met)
    told = {p.name: (p.shape, p.optimizer, p.trainable) for p in run.params}
    assert told == {f"Sequential.{n}": (tuple(t.shape), 0, True) for n, t in weights.items()}
    assert sum(p.size for p in run.params) == 212
    assert {n for s in run.sites for n in s.params} == set(told)
    twin = net()  # trained as it is, with the same numbers
    same = dict(twin.named_parameters())
    bare = trained(tmp_path / "bare.evenflow", twin, list(same.values()), same)
    names = {p.name: p.id for p in bare.params}
    for p in run.params:
        for metric in ("weight", "grad", "update"):
            a, b = run.param(p.id, metric), bare.param(names[p.name], metric)
            assert a is not None and b is not None and a.tolist() == pytest.approx(b.tolist())


@pytest.mark.parametrize("met", [True, False])
@pytest.mark.parametrize("kind", ["tensors", "parameters"])
def test_a_second_set_that_is_trained_too_counts(kind: str, met: bool, tmp_path: Path) -> None:
    model = net()
    own, second = dict(model.named_parameters()), clones(model, kind)
    run = trained(
        tmp_path / "r.evenflow", model, [*own.values(), *second.values()], own, second, met=met
    )
    assert sum(p.size for p in run.params) == 424
    assert all(p.optimizer == 0 for p in run.params)
    for p in run.params:
        update: Any = run.param(p.id, "update")
        assert bool((update > 0).all())


@pytest.mark.parametrize("kind", ["tensors", "parameters"])
def test_of_two_sets_of_clones_one_is_the_modules_and_both_count(kind: str, tmp_path: Path) -> None:
    model = net()
    a, b = clones(model, kind), clones(model, kind)
    run = trained(tmp_path / "r.evenflow", model, [*a.values(), *b.values()], a, b)
    assert sum(p.size for p in run.params) == 424
    assert sum(p.name.startswith("Sequential.") for p in run.params) == 4


def test_what_an_optimizer_holds_and_nobody_reads_is_told(tmp_path: Path) -> None:
    model, idle = net(), nn.Parameter(torch.ones(7))
    own = dict(model.named_parameters())
    run = trained(tmp_path / "r.evenflow", model, [*own.values(), idle], own)
    assert [(p.shape, p.optimizer) for p in run.params][-1] == ((7,), 0)
    optimizer = torch.optim.SGD([*own.values(), idle], 0.1)
    with evenflow.watch(model, optimizer, run=tmp_path / "none.evenflow", every=0) as watch:
        loss(model, own).backward()
        optimizer.step()
    assert len(evenflow.load(watch.path).params) == 5
