"""The proof that matters: plain networks of 50 layers that learn nothing, and then do."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evenflow.treatments import treat_


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    from sklearn.datasets import load_digits

    x, y = (torch.tensor(a) for a in load_digits(return_X_y=True))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    x, y = x[order].float(), y[order]
    x = (x - x[:1400].mean(0)) / x[:1400].std(0).clamp_min(1e-6)
    return x[:1400], y[:1400], x[1400:], y[1400:]


def plain(act: type[nn.Module], depth: int, width: int = 64) -> nn.Module:
    hidden = [m for _ in range(depth - 2) for m in (nn.Linear(width, width), act())]
    return nn.Sequential(nn.Linear(64, width), act(), *hidden, nn.Linear(width, 10))


def accuracy(
    data: tuple[Tensor, ...], act: type[nn.Module], text: str, depth: int, epochs: int, lr: float
) -> float:
    x, y, test_x, test_y = data
    torch.manual_seed(1)
    model = plain(act, depth)
    opt = torch.optim.Adam(model.parameters(), lr)
    if text:
        treat_(model, opt, text, x[:256])
    for _ in range(epochs):
        for b in torch.randperm(len(x)).split(64):
            opt.zero_grad()
            F.cross_entropy(model(x[b]), y[b]).backward()
            opt.step()
    with torch.no_grad():
        return float((model(test_x).argmax(1) == test_y).float().mean())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("act", "text", "epochs"),
    [
        (nn.Sigmoid, "init=lsuv-centred", 20),
        (nn.Sigmoid, "activation=sigmoid->centred_sigmoid; init=orthogonal; lr=x0.3", 15),
        (nn.ReLU, "tailored; lr=x0.3", 20),
        (nn.ReLU, "rezero", 15),
        (nn.Tanh, "init=orthogonal; lr=x0.3", 15),
        (nn.Tanh, "tailored; lr=x0.3", 15),
    ],
)
def test_fifty_layers_learn(
    digits: tuple[Tensor, ...], act: type[nn.Module], text: str, epochs: int
) -> None:
    assert accuracy(digits, act, text, 50, epochs, 1e-3) >= 0.93


@pytest.mark.slow
def test_fifty_sigmoid_layers_untreated_do_not(digits: tuple[Tensor, ...]) -> None:
    assert accuracy(digits, nn.Sigmoid, "", 50, 15, 1e-3) <= 0.12


@pytest.mark.slow
@pytest.mark.parametrize(
    ("act", "swap", "epochs"),
    [(nn.Sigmoid, "activation=sigmoid->centred_sigmoid; ", 4), (nn.Tanh, "", 6)],
)
def test_a_thousand_layers_learn(
    digits: tuple[Tensor, ...], act: type[nn.Module], swap: str, epochs: int
) -> None:
    text = f"{swap}init=orthogonal; clip=norm:1.0; lr=x0.03"
    assert accuracy(digits, act, text, 1000, epochs, 1e-3) >= 0.9


def test_a_shallower_network_is_mended_fast(digits: tuple[Tensor, ...]) -> None:
    untreated = accuracy(digits, nn.Sigmoid, "", 20, 3, 2e-3)
    treated = accuracy(digits, nn.Sigmoid, "init=lsuv-centred", 20, 3, 2e-3)
    assert untreated < 0.3 and treated > 0.8
