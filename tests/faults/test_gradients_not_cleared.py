"""EF801: gradients left standing, as loops leave them, and what only looks alike."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.faults import judge
from evenflow.schema import Finding

from .synthetic import Builder, perceptron

Train = Callable[[], None]


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def loss_of(model: nn.Module, x: Tensor | None = None) -> Tensor:
    x = torch.randn(32, 8) if x is None else x
    return F.cross_entropy(model(x), x[:, :4].argmax(1))


def told(train: Train, path: Path, **how: object) -> dict[str, Finding]:
    torch.manual_seed(0)
    with evenflow.watch(run=path, **how):  # type: ignore[arg-type]
        train()
    return {f.code: f for f in reversed(evenflow.diagnose(path))}


def gan(clear_d: bool, clear_g: bool) -> None:
    g, d = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 8)), nn.Linear(8, 1)
    of_g, of_d = torch.optim.Adam(g.parameters(), 1e-3), torch.optim.Adam(d.parameters(), 1e-3)
    for _ in range(40):
        fake = g(torch.randn(32, 3))
        if clear_d:
            of_d.zero_grad()
        (F.softplus(-d(torch.randn(32, 8) + 1)) + F.softplus(d(fake.detach()))).mean().backward()
        of_d.step()
        if clear_g:
            of_g.zero_grad()
        F.softplus(-d(fake)).mean().backward()
        of_g.step()


def attacked() -> None:
    """A backward for the attack, from gradients of before; then they are cleared."""
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    for _ in range(40):
        x = torch.randn(32, 8, requires_grad=True)
        loss_of(model, x).backward()
        assert x.grad is not None
        x = (x + 0.05 * x.grad.sign()).detach()
        optimizer.zero_grad()
        loss_of(model, x).backward()
        optimizer.step()


def reptile() -> None:
    """Gradients that are written, not added to: nothing clears them, and nothing needs to."""
    model = net()
    meta = torch.optim.SGD(model.parameters(), 0.5)
    for _ in range(20):
        fast = copy.deepcopy(model)
        inner = torch.optim.SGD(fast.parameters(), 0.05)
        for _ in range(3):
            inner.zero_grad()
            loss_of(fast).backward()
            inner.step()
        for p, q in zip(model.parameters(), fast.parameters(), strict=True):
            p.grad = p.detach() - q.detach()
        meta.step()


def seldom_steps() -> None:
    """The head steps at every fourth update, by the gradients of all four."""
    model = net()
    body, head = (torch.optim.SGD(model[i].parameters(), 0.05) for i in (0, 2))
    for i in range(60):
        body.zero_grad()
        loss_of(model).backward()
        body.step()
        if i % 4 == 3:
            head.step()
            head.zero_grad()


def by_closure(cleared: bool) -> None:
    model = net()
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.01, max_iter=3)
    x = torch.randn(64, 8)

    def closure() -> Tensor:
        if cleared:
            optimizer.zero_grad()
        loss = loss_of(model, x)
        loss.backward()
        return loss

    for _ in range(10):
        optimizer.step(closure)  # type: ignore[arg-type]


def every_other(steps: int = 60) -> None:
    """Not three in a row; a reading every step's eighth alone would meet the same phase only."""
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    for i in range(steps):
        if i % 2:
            optimizer.zero_grad()
        loss_of(model).backward()
        optimizer.step()


def embeddings(cleared: bool) -> None:
    """Sparse gradients."""
    table, head = nn.Embedding(20, 8, sparse=True), nn.Linear(8, 4)
    optimizer = torch.optim.SGD([*table.parameters(), *head.parameters()], 0.05)
    for _ in range(30):
        if cleared:
            optimizer.zero_grad()
        ids = torch.randint(20, (32,))
        F.cross_entropy(head(table(ids)), ids % 4).backward()
        optimizer.step()


HEALTHY: dict[str, Train] = {
    "gan": lambda: gan(True, True),
    "attack": attacked,
    "reptile": reptile,
    "seldom-steps": seldom_steps,
    "closure": lambda: by_closure(True),
    "every-other": every_other,
    "sparse": lambda: embeddings(True),
}
SICK: dict[str, Train] = {
    "gan": lambda: gan(False, False),
    "gan's-critic": lambda: gan(False, True),
    "closure": lambda: by_closure(False),
    "sparse": lambda: embeddings(False),
}


@pytest.mark.parametrize("kind", HEALTHY)
@pytest.mark.parametrize("every", ["auto", 1])
def test_what_is_cleared_is_not_accused(kind: str, every: str | int, tmp_path: Path) -> None:
    assert "EF801" not in told(HEALTHY[kind], tmp_path / "run.evenflow", every=every)


@pytest.mark.parametrize("kind", SICK)
def test_what_is_not_cleared_is_the_root_of_all(kind: str, tmp_path: Path) -> None:
    found = told(SICK[kind], tmp_path / "run.evenflow")
    assert next(iter(evenflow.diagnose(tmp_path / "run.evenflow"))).code == "EF801"
    assert {f.cause for code, f in found.items() if code != "EF801"} <= {"EF801"}


def test_the_critic_alone_is_named(tmp_path: Path) -> None:
    f = told(SICK["gan's-critic"], tmp_path / "run.evenflow")["EF801"]
    assert f.cause == "others-cleared"
    assert sorted(f.params) == ["Linear.bias", "Linear.weight"]


@pytest.mark.parametrize("micro", [1, 3])
def test_what_is_read_is_the_norm_a_script_would_find(micro: int, tmp_path: Path) -> None:
    """Oracle: the script's own look at `.grad`, the least of a step's passes."""
    torch.manual_seed(0)
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    seen: list[list[float]] = []
    with evenflow.watch(run=tmp_path / "run.evenflow", every="auto"):
        for step in range(9):
            least = [float("inf")] * 4
            for part in range(micro):
                loss = loss_of(model)
                if step == 5 and part == micro - 1:
                    optimizer.zero_grad(set_to_none=bool(micro % 2))
                norms = [
                    0.0 if p.grad is None else float(p.grad.norm()) for p in model.parameters()
                ]
                least = list(map(min, least, norms))
                loss.backward()
            optimizer.step()
            seen.append(least)
    run = evenflow.load(tmp_path / "run.evenflow")
    for i, p in enumerate(("0.weight", "0.bias", "2.weight", "2.bias")):
        id = next(q.id for q in run.params if q.name.endswith(p))
        column = run.param(id, "grad_left")
        assert column is not None
        for row, step in enumerate(map(int, run.steps)):
            if step:  # at the first backward of all no optimizer has been met
                np.testing.assert_allclose(column[row], seen[step][i], rtol=1e-5)


def test_where_gradients_are_none_no_norm_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(xs: list[Tensor]) -> list[float]:
        assert not xs
        return []

    monkeypatch.setattr("evenflow.tape.leftover.numbers.norms", fail)
    with pytest.raises(AssertionError):
        told(lambda: gan(False, False), tmp_path / "sick.evenflow")


def left(values: object, **more: object) -> Builder:
    b = perceptron(2, "relu")
    for p in b.params:
        b.set_param(p.name, "grad_left", values)  # type: ignore[arg-type]
    return b


def test_synthetic_runs() -> None:
    def codes(b: Builder) -> dict[str, Finding]:
        return {f.code: f for f in judge(b.run())}

    assert "EF801" not in codes(left(0.0))
    f = codes(left(1e-2))["EF801"]
    assert f.evidence["uncleared"] == 15 and f.evidence["old_over_used"] == pytest.approx(1.0)
    assert f.cause == "" and f.first_step == 0 and f.last_step == 288
    T = len(left(0.0).steps)
    two = np.where(np.arange(T) % 3 < 2, 1e-2, 0.0)  # two in a row, two thirds of all
    assert "EF801" not in codes(left(two))
    early = np.where(np.arange(T) < 5, 1e-2, 0.0)  # cleared from then on
    assert "EF801" not in codes(left(early))
    once = np.where(np.arange(T) == 7, 0.0, 1e-2)
    assert codes(left(once))["EF801"].cause == "seldom-cleared"
    assert "EF801" not in codes(left(0.9e-2))  # it fades: what is left is less than was used
    b = left(0.0)
    b.set_param(b.params[0].name, "grad_left", 1e-2)
    f = codes(b)["EF801"]
    assert f.cause == "others-cleared" and f.params == (b.params[0].name,) and len(f.sites) == 1


def test_the_sentence(tmp_path: Path) -> None:
    f = told(SICK["gan"], tmp_path / "run.evenflow")["EF801"]
    assert f.message.startswith("Gradients of earlier updates are never cleared")
    assert "zero_grad()" in " ".join(evenflow.words.advice(f))
