"""Each optimizer against torch's own, over ten steps."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from torch import nn

from evenflow.fit.stepping import Optimizing, Updater, clipped, parse_clip

OURS: dict[str, Any] = {
    "gd": (Optimizing("gd"), lambda p: torch.optim.SGD(p, 0.01)),
    "momentum": (Optimizing("momentum"), lambda p: torch.optim.SGD(p, 0.01, 0.9)),
    "nesterov": (
        Optimizing("nesterov"),
        lambda p: torch.optim.SGD(p, 0.01, momentum=0.9, nesterov=True),
    ),
    "adam": (Optimizing("adam"), lambda p: torch.optim.Adam(p, 0.01)),
    "adamw": (Optimizing("adamw"), lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.0)),
    "rmsprop": (Optimizing("rmsprop"), lambda p: torch.optim.RMSprop(p, 0.01)),
}


def nets() -> tuple[nn.Module, nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    a = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    b = pickle.loads(pickle.dumps(a))
    return a, b, torch.randn(5, 3, dtype=torch.float64)


@pytest.mark.parametrize("name", OURS)
def test_ten_steps_are_torchs(name: str) -> None:
    how, make = OURS[name]
    a, b, x = nets()
    params = list(a.parameters())
    update, theirs = Updater(how, params), make(b.parameters())
    for _ in range(10):
        update(torch.autograd.grad(a(x).square().sum(), params), 0.01)
        theirs.zero_grad()
        b(x).square().sum().backward()
        theirs.step()
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-9)


def test_decay_and_penalties_are_on_weights_alone() -> None:
    a, b, x = nets()
    params, others = list(a.parameters()), list(b.parameters())
    Updater(Optimizing("gd", l1=0.1, l2=0.3), params)(
        torch.autograd.grad(a(x).square().sum(), params), 0.01
    )
    loss = b(x).square().sum()
    for p in others:
        if p.dim() > 1:
            loss = loss + 0.1 * p.abs().sum() + 0.15 * p.square().sum()
    for p, q, g in zip(params, others, torch.autograd.grad(loss, others), strict=True):
        torch.testing.assert_close(p, q - 0.01 * g)
    decayed = Updater(Optimizing("adamw", l2=0.5), params)
    before = [p.detach().clone() for p in params]
    decayed([torch.zeros_like(p) for p in params], 0.1)
    for p, old in zip(params, before, strict=True):
        torch.testing.assert_close(p.detach(), old * 0.95 if p.dim() > 1 else old)


def test_coupled_decay_in_adams_kernel_is_the_penaltys_gradient() -> None:
    a, b, x = nets()
    params, others = list(a.parameters()), list(b.parameters())
    update, plain = Updater(Optimizing("adam", l2=0.3), params), Updater(Optimizing("adam"), others)
    for _ in range(5):
        update(torch.autograd.grad(a(x).square().sum(), params), 0.01)
        loss = b(x).square().sum() + sum(0.15 * p.square().sum() for p in others if p.dim() > 1)
        plain(torch.autograd.grad(loss, others), 0.01)
    for p, q in zip(params, others, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-9, atol=1e-9)
    clipping = Updater(Optimizing("adam", l2=0.3, clip="norm:1"), params)
    assert clipping.inner == 0.0  # what is clipped holds the penalty


def test_clipping_bounds_what_it_says() -> None:
    grads = [torch.full((2, 3), 4.0), torch.full((2,), -3.0)]
    params = [torch.ones(2, 3), torch.ones(2)]
    norm = clipped(grads, params, *parse_clip("norm:2"))
    assert float(sum(g.square().sum() for g in norm)) ** 0.5 == pytest.approx(2, rel=1e-4)
    assert {float(g.abs().max()) for g in clipped(grads, params, *parse_clip("value:0.5"))} == {0.5}
    four = [*grads, *grads]
    agc = clipped(four, [*params, *params], *parse_clip("agc:0.01"))
    rows = torch.linalg.vector_norm(agc[0], dim=1)
    torch.testing.assert_close(rows, 0.01 * torch.linalg.vector_norm(params[0], dim=1))
    assert torch.equal(agc[2], grads[0])  # the head is left alone
    with pytest.raises(ValueError, match="norm:0"):
        parse_clip("norm:0")
