"""Functions and methods that a script has replaced by wrappers of its own."""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import Calls, fit, net, replaced, wrapping


class Functional(nn.Module):
    """Calls by name what others replace."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.a(x))
        h = torch.tanh(h) + h.sigmoid()
        h = F.layer_norm(F.dropout(h, 0.2, self.training), (8,))
        return self.b(F.max_pool1d(h[:, None], 1)[:, 0])


def _wrapped(owner: Any, name: str, calls: Calls, change: Any) -> list[Tensor]:
    old = getattr(owner, name)

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return change(old(*args, **kwargs))

    with replaced(owner, name, wrapper):
        return fit(Functional(), lambda z, y: F.cross_entropy(z, y))


@wrapping()
def functional_cross_entropy(calls: Calls) -> list[Tensor]:
    return _wrapped(F, "cross_entropy", calls, lambda out: 2 * out)


@wrapping()
def functional_dropout(calls: Calls) -> list[Tensor]:
    return _wrapped(F, "dropout", calls, lambda out: out + 0.01 * torch.randn_like(out))


@wrapping()
def functional_relu(calls: Calls) -> list[Tensor]:
    return _wrapped(F, "relu", calls, lambda out: out - 0.1)


@wrapping()
def functional_layer_norm(calls: Calls) -> list[Tensor]:
    return _wrapped(F, "layer_norm", calls, lambda out: 0.5 * out)


@wrapping()
def functional_linear_in_c(calls: Calls) -> list[Tensor]:
    return _wrapped(F, "linear", calls, lambda out: 0.9 * out)


@wrapping()
def functional_max_pool_dispatched(calls: Calls) -> list[Tensor]:
    return _wrapped(F, "max_pool1d", calls, lambda out: 1.1 * out)


@wrapping()
def torch_tanh(calls: Calls) -> list[Tensor]:
    return _wrapped(torch, "tanh", calls, lambda out: 0.7 * out)


@wrapping()
def method_sigmoid_in_c(calls: Calls) -> list[Tensor]:
    return _wrapped(Tensor, "sigmoid", calls, lambda out: 0.7 * out)


@wrapping()
def method_add_operator(calls: Calls) -> list[Tensor]:
    return _wrapped(Tensor, "__add__", calls, lambda out: 0.7 * out)


@wrapping()
def method_backward(calls: Calls) -> list[Tensor]:
    return _wrapped(Tensor, "backward", calls, lambda out: out)


@wrapping()
def two_wrappers_over_each_other(calls: Calls) -> list[Tensor]:
    once = F.relu
    with replaced(F, "relu", lambda x, *a, **k: once(x, *a, **k) - 0.1):
        return _wrapped(F, "relu", calls, lambda out: 1.3 * out)


@wrapping()
def wrapped_by_functools(calls: Calls) -> list[Tensor]:
    old = F.dropout

    @functools.wraps(old)
    def dropout(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        calls.append("dropout")
        return old(x, *args, **kwargs) * 0.9

    with replaced(F, "dropout", dropout):
        return fit(Functional())


@wrapping()
def a_partial_in_its_place(calls: Calls) -> list[Tensor]:
    with replaced(F, "dropout", functools.partial(F.dropout, inplace=False)):
        return fit(Functional())


@wrapping()
def an_object_in_its_place(calls: Calls) -> list[Tensor]:
    class Counted:
        def __init__(self, f: Any) -> None:
            self.f = f

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            calls.append("called")
            return self.f(*args, **kwargs) * 0.9

    with replaced(F, "relu", Counted(F.relu)):
        return fit(Functional())


@wrapping()
def patched_between_steps(calls: Calls) -> list[Tensor]:
    model, out = Functional(), []
    for scale in (0.5, 1.5):
        old = F.relu
        with replaced(F, "relu", lambda x, *a, s=scale, f=old, **k: s * f(x, *a, **k)):
            out += fit(model, steps=3)
    return out


@wrapping()
def optimizer_step(calls: Calls) -> list[Tensor]:
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    old = optimizer.step

    def step(*args: Any, **kwargs: Any) -> Any:
        calls.append("step")
        return old(*args, **kwargs)

    optimizer.step = step  # type: ignore[method-assign]
    return fit(model, optimizer=optimizer)


@wrapping()
def module_call_of_the_class(calls: Calls) -> list[Tensor]:
    old = nn.Module.__call__

    def call(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        calls.append(type(self).__name__)
        return old(self, *args, **kwargs)

    with replaced(nn.Module, "__call__", call):
        return fit(net())


@wrapping()
def forward_of_an_instance(calls: Calls) -> list[Tensor]:
    model = net()
    old = model[0].forward
    model[0].forward = lambda x: (calls.append("forward"), old(x) * 0.9)[1]  # type: ignore[method-assign]
    return fit(model)


@wrapping()
def autograd_backward(calls: Calls) -> list[Tensor]:
    old = torch.autograd.backward

    def backward(*args: Any, **kwargs: Any) -> Any:
        calls.append("backward")
        return old(*args, **kwargs)

    with replaced(torch.autograd, "backward", backward):
        return fit(net())


@wrapping()
def autograd_grad_by_hand(calls: Calls) -> list[Tensor]:
    model = net()
    params = list(model.parameters())
    for _ in range(6):
        x = torch.randn(4, 6)
        grads = torch.autograd.grad(model(x).square().mean(), params)
        with torch.no_grad():
            for p, g in zip(params, grads, strict=True):
                p -= 0.1 * g
    return [p.detach() for p in params]
