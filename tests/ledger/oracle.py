"""The slow, obvious second way: each torch function is kept with its arguments and run again.

δ at an output is `torch.autograd.grad(loss, output)`; what an op sends back is the vector-Jacobian
product of that op alone, run again on detached inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


@dataclass
class Call:
    func: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    out: Tensor


def tensors(values: Any) -> list[Tensor]:
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, (tuple, list)):
        return [t for v in values for t in tensors(v)]
    return []


class Keep(TorchFunctionMode):
    """Keeps every call whose one output has a node."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        made = [t for t in tensors(out) if t.grad_fn is not None]
        if isinstance(out, Tensor) and made:
            now = tuple(list(a) if isinstance(a, list) else a for a in args)  # it may grow later
            self.calls.append(Call(func, now, kwargs or {}, out))
        return out


def again(call: Call, delta: Tensor) -> list[tuple[Tensor, Tensor]]:
    """(input, what the op sends back to it) for each input with a node, once."""
    fresh: dict[int, Tensor] = {}

    def swap(value: Any) -> Any:
        if isinstance(value, Tensor) and value.grad_fn is not None:
            if id(value) not in fresh:
                fresh[id(value)] = value.detach().clone().requires_grad_()
            return fresh[id(value)]
        if isinstance(value, (tuple, list)):
            return type(value)(swap(v) for v in value)
        return value

    args = tuple(swap(a) for a in call.args)
    kwargs = {k: swap(v) for k, v in call.kwargs.items()}
    given = [t for t in tensors((*call.args, *call.kwargs.values())) if id(t) in fresh]
    given = list({id(t): t for t in given}.values())
    if not given:
        return []
    out = call.func(*args, **kwargs)
    if not _one_node(out, list(fresh.values())):
        return []
    sent = torch.autograd.grad(out, [fresh[id(t)] for t in given], delta, allow_unused=True)
    return [(t, s) for t, s in zip(given, sent, strict=True) if s is not None]


def _one_node(out: Tensor, leaves: list[Tensor]) -> bool:
    """Is the function one node, or nodes of which only the last one reads the inputs?"""
    if out.grad_fn is None:
        return False
    own = {id(leaf) for leaf in leaves}
    todo = [c for c, _ in out.grad_fn.next_functions if c is not None]
    todo = [c for node in todo for c, _ in node.next_functions if c is not None]
    while todo:
        node = todo.pop()
        if id(getattr(node, "variable", None)) in own:
            return False
        todo += [c for c, _ in node.next_functions if c is not None]
    return True


def delta(loss: Tensor, at: Tensor) -> Tensor | None:
    (found,) = torch.autograd.grad(loss, at, retain_graph=True, allow_unused=True)
    return found
