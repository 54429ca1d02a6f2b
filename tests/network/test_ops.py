"""Names and thresholds of ops, held against torch itself."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from evenflow.network import CLOSED, SATURATED, of_function, of_node
from evenflow.schema import KINDS


@pytest.mark.parametrize("name", SATURATED)
def test_saturation_begins_where_the_slope_is_one_percent(name: str) -> None:
    f = getattr(F, name, None) or getattr(torch, name)
    z = torch.linspace(-14, 14, 280001, dtype=torch.float64, requires_grad=True)
    y = f(z)
    (slope,) = torch.autograd.grad(y.sum(), z)
    low, high = SATURATED[name]
    flat = slope.abs() < 0.01 * slope.abs().max()
    y = y.detach()
    past = (y <= low) | (y >= high) if name in CLOSED else (y < low) | (y > high)
    if name in ("relu6", "elu", "selu", "celu", "hardtanh", "hardsigmoid"):
        off = (z.detach() <= 0) if name == "relu6" else torch.zeros_like(past)
    else:
        off = torch.zeros_like(past)
    edge = (past != (flat & ~off)).sum()
    assert int(edge) <= 4, f"{int(edge)} of {len(z)} points disagree"
    assert bool(past.any())


def test_a_rectifiers_off_side_is_no_saturation() -> None:
    for name in ("relu", "gelu", "silu", "softplus", "leaky_relu", "mish"):
        assert name not in SATURATED


@pytest.mark.parametrize(
    ("func", "op", "kind"),
    [
        (F.relu, "relu", "activation"),
        (torch.relu_, "relu", "activation"),
        (torch.Tensor.relu_, "relu", "activation"),
        (torch.Tensor.add, "add", "join"),
        (torch.Tensor.__iadd__, "add", "join"),
        (torch.Tensor.__matmul__, "matmul", "matmul"),
        (F.linear, "linear", "affine"),
        (F.conv2d, "conv2d", "affine"),
        (F.cross_entropy, "cross_entropy", "loss"),
        (torch.Tensor.transpose, "transpose", "view"),
        (torch.Tensor.__getitem__, "getitem", "view"),
        (F.scaled_dot_product_attention, "scaled_dot_product_attention", "attention"),
    ],
)
def test_functions(func: object, op: str, kind: str) -> None:
    assert of_function(func) == (op, kind)  # type: ignore[arg-type]
    assert kind in (*KINDS, "view")


def test_what_computes_nothing_is_left_alone() -> None:
    for func in (torch.Tensor.size, torch.Tensor.backward, torch.Tensor.item, torch.Tensor.detach):
        assert of_function(func) is None


@pytest.mark.parametrize(
    ("make", "op", "kind"),
    [
        (lambda x: torch.sigmoid(x), "sigmoid", "activation"),
        (lambda x: F.relu(x), "relu", "activation"),
        (lambda x: F.silu(x), "silu", "activation"),
        (lambda x: F.softmax(x, 1), "softmax", "softmax"),
        (lambda x: F.log_softmax(x, 1), "log_softmax", "softmax"),
        (lambda x: F.linear(x, torch.randn(2, 4), torch.randn(2)), "linear", "affine"),
        (lambda x: x.t(), "t", "view"),
        (lambda x: x.reshape(16).clone(), "clone", "view"),
        (lambda x: F.mse_loss(x, x.detach()), "mse_loss", "loss"),
        (lambda x: F.nll_loss(x, torch.zeros(4, dtype=torch.long)), "nll_loss", "loss"),
        (lambda x: x.exp(), "exp", "other"),
        (lambda x: F.layer_norm(x, (4,)), "layer_norm", "norm"),
    ],
)
def test_nodes(make: object, op: str, kind: str) -> None:
    node = make(torch.randn(4, 4, requires_grad=True)).grad_fn  # type: ignore[operator]
    assert of_node(node.name()) == (op, kind)


def test_thresholds_are_finite_where_they_bind() -> None:
    for low, high in SATURATED.values():
        assert low < high and (math.isfinite(low) or math.isfinite(high))
