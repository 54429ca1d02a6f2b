"""What the theory of an op reads off its call: weights, arguments, and the function itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evenflow.forecast.static.unseen import UnseenWeight

from .graph import Node, Ref
from .moments import BeyondTheory


class Arguments:
    """Arguments of a call by name; the first `skip` are not looked at."""

    def __init__(self, node: Node, names: tuple[str, ...], skip: int) -> None:
        self.named = dict(zip(names, node.args[skip:], strict=False))
        self.named |= {k: v for k, v in node.kwargs.items() if k in names}


def weights(node: Node) -> tuple[Tensor, Tensor | None]:
    call = Arguments(node, ("weight", "bias"), 1)
    weight = call.named.get("weight")
    if not isinstance(weight, Tensor):
        raise BeyondTheory(f"{node.op} with a computed weight has no closed form")
    if weight.device.type == "meta":
        raise BeyondTheory(
            f"the weight {tuple(weight.shape)} of {node.op} is on the meta device: its law is not "
            "known; let evenflow build the model (forecast_static)"
        )
    bias = call.named.get("bias")
    return weight, bias if isinstance(bias, Tensor) else None


def stored(w: Tensor) -> Tensor:
    return w.source.stored("a convolution's theory") if isinstance(w, UnseenWeight) else w.detach()


def mean_square(w: Tensor | None) -> float:
    if w is None or not w.numel():
        return 0.0
    if isinstance(w, UnseenWeight):
        return float(w.source.values.square().mean())
    return float(w.detach().double().square().mean())


def affine(call: Arguments) -> tuple[float, float, float]:
    """Mean γ², mean β², mean β."""
    weight, bias = call.named.get("weight"), call.named.get("bias")
    gamma2 = 1.0 if weight is None else mean_square(weight)
    beta = 0.0 if bias is None else float(bias.detach().double().mean())
    return gamma2, mean_square(bias), beta


def replay(node: Node, give: Callable[[int], Tensor]) -> Tensor:
    """The call once more, with `give(id)` for the output of node `id`."""

    def filled(value: Any) -> Any:
        if isinstance(value, Ref):
            return give(value.node)
        if isinstance(value, (tuple, list)) and type(value) in (tuple, list):
            return type(value)(filled(v) for v in value)
        return value

    assert node.func is not None
    out: Tensor = node.func(*filled(node.args), **{k: filled(v) for k, v in node.kwargs.items()})
    return out


def functions(node: Node) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """φ and φ' on arrays: the very function that was called, and autograd's derivative of it."""

    def call(x: Tensor) -> Tensor:
        return replay(node, lambda i: x.clone())  # may work in place

    def f(u: Any) -> Any:
        with torch.no_grad():
            return call(torch.from_numpy(np.ascontiguousarray(u))).numpy()

    def df(u: Any) -> Any:
        x = torch.from_numpy(np.ascontiguousarray(u)).requires_grad_()
        with torch.enable_grad():
            y = call(x)
        return torch.autograd.grad(y.sum(), x)[0].numpy()

    return f, df
