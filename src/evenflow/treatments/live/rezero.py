"""x + α F(x) with α = 0: every block starts as the identity."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from . import projections
from .context import TreatmentContext
from .forward_trace import TracedCall
from .grafting import Forward, Graft
from .swap import is_module_of, swap_, unswapped


class Scaled(Graft):
    """α F(x), at the end of a branch that is there already."""

    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(()))

    def around(self, inner: Forward, *args: Any, **kwargs: Any) -> Any:
        out = inner(*args, **kwargs)
        if isinstance(out, tuple):  # attention: what the branch adds comes first, then its weights
            return (self.alpha * out[0], *out[1:])
        return self.alpha * out


class Skip(Graft):
    """x + α φ(W x + b) around a layer with as many outputs as inputs."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(()))
        self.activation = activation

    def around(self, inner: Forward, *args: Any, **kwargs: Any) -> Any:
        x = args[0] if args else kwargs["input"]
        return x + self.alpha * self.activation(inner(*args, **kwargs))


class Function(nn.Module):
    """A functional activation as it was called in the forward."""

    def __init__(self, op: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        super().__init__()
        self.op, self.args = op, args
        self.kwargs = {k: v for k, v in kwargs.items() if k != "inplace"}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        f = getattr(torch.nn.functional, self.op, None) or getattr(torch, self.op)
        return unswapped(f, x, *self.args, **self.kwargs)


def apply(context: TreatmentContext, parsed: None) -> None:
    """Where there are branches, a scalar 0 at the end of each; else a skip around each hidden
    linear layer with its activation, if input and output have the same shape."""
    seen = context.forward
    if seen.branches:
        for branch in seen.branches:
            module = branch.module
            whole = module is not None and not list(module.children())
            whole = whole or projections.module_of(branch) is not None
            if module is None or not (context.module_of(branch) or whole):
                raise ValueError(
                    f"the branch that ends in {branch.op} at {branch.path or 'the root'} ends in "
                    "no module of its own; put the factor in by hand."
                )
            # a branch that ends in dropout has no parameter to stand beside; it learns all the same
            beside = [*module.parameters(), *context.model.parameters()]
            context.graft(module, Scaled(), next(iter(beside), None))
        return
    pairs = [(c, a) for c in seen.hidden if (a := _activation_after(c)) is not None]
    if not pairs:
        raise ValueError("no hidden layer has as many outputs as inputs with an activation after.")
    chosen = {a.index for _, a in pairs}
    inner = {}
    for _, a in pairs:
        args = () if a.op in ("relu", "tanh", "sigmoid") else a.form[0]
        called = Function(a.op, args, a.form[1])
        inner[a.index] = a.module if is_module_of(a) and a.module is not None else called
    swap_(context, lambda a: nn.Identity() if a.index in chosen else None, "after a square layer")
    for c, a in pairs:
        module = context.module_of(c)
        if module is None:
            raise ValueError(f"{c.op} in {c.path or 'the root'} has no module of its own.")
        context.graft(module, Skip(inner[a.index]), getattr(module, "weight", None))


def _activation_after(call: TracedCall) -> TracedCall | None:
    """The activation that alone reads a square layer's output."""
    square = call.shapes and call.shape == call.shapes[0]
    if not square or len(call.children) != 1 or call.children[0].kind != "activation":
        return None
    return call.children[0]
