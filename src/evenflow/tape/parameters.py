"""Parameters: gradient, weight and applied update, once per sampled update."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..schema import Channel
from . import numbers
from .slab import Scalar

if TYPE_CHECKING:
    from .recorder import Recorder


def of_optimizer(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """The optimizer's parameters, in order."""
    return [p for g in optimizer.param_groups for p in g["params"] if isinstance(p, Tensor)]


def local(t: Tensor) -> Tensor:
    """This rank's shard of a DTensor. No collective: ranks may sample different steps."""
    shard = getattr(t, "to_local", None)
    return shard() if shard is not None else t


class Update:
    """One update from just before to just after. Holds one copy of the parameters meanwhile."""

    def __init__(self, recorder: Recorder, params: Iterable[Tensor]) -> None:
        self._recorder, self._slab, self._dear = recorder, recorder.slab, recorder.dear
        with torch.no_grad():
            self._before = [
                (p, local(p.detach()).clone()) for p in params if p.requires_grad and p.numel()
            ]

    def gradients(self, grads: dict[int, Tensor] | None = None) -> None:
        """Read the gradients' norms: `grads` by id of parameter, else each `p.grad`."""
        squares: list[Scalar] = []
        for p, _ in self._before:
            g = p.grad if grads is None else grads.get(id(p))
            if g is None:
                continue
            g = local(g.detach())
            if g.is_sparse:
                g = g.coalesce().values()
            size = numbers.norm(g)
            squares.append(size)
            self._note(p, "grad", size)
            if self._dear and numbers.plain(g) is not None:
                self._note(p, "grad_zeros", numbers.zeros(numbers.sample(g)))
                self._note(p, "grad_absmax", numbers.absmax(g))
        if squares:
            self._slab.add(Channel("step", 0, "grad_norm"), _hypot(squares))

    def applied(self) -> None:
        """Read the weights' norms and how far the update moved them; let the copy go."""
        for p, before in self._before:
            self._note(p, "weight", numbers.norm(before))
            now = local(p.detach())
            if now.shape == before.shape:
                self._note(p, "update", numbers.norm(before.sub_(now)))
        self._before = []

    def _note(self, p: Tensor, metric: str, value: Scalar) -> None:
        index = self._recorder.catalogue.add_param(p)
        self._slab.add(Channel("param", index, metric), value)


def _hypot(norms: list[Scalar]) -> Scalar:
    floats = [n for n in norms if isinstance(n, float)]
    tensors = [n.double() for n in norms if isinstance(n, Tensor)]
    if not tensors:
        return math.hypot(*floats)
    on = tensors[0].device
    rest = torch.tensor(floats, dtype=torch.float64)
    whole: Tensor = torch.cat([torch.stack([t.to(on) for t in tensors]), rest.to(on)])
    return torch.linalg.vector_norm(whole)  # type: ignore[no-any-return]


def settings(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """lr, momentum (or beta1) and weight decay of the first parameter group, where numbers."""
    group: dict[str, Any] = optimizer.param_groups[0]
    betas = group.get("betas")
    given = {
        "lr": group.get("lr"),
        "momentum": group.get("momentum", betas[0] if betas else None),
        "weight_decay": group.get("weight_decay"),
    }
    out: dict[str, float] = {}
    for name, value in given.items():
        if isinstance(value, Tensor):
            value = value.item() if value.device.type == "cpu" else None
        if isinstance(value, (int, float)):
            out[name] = float(value)
    return out


def held_by_an_optimizer(leaves: dict[int, Tensor]) -> bool:
    """Does any living optimizer hold one of these parameters (any at all, if none are known)?"""
    for o in gc.get_objects():
        if issubclass(type(o), torch.optim.Optimizer) and (
            not leaves or any(id(p) in leaves for p in of_optimizer(o))
        ):
            return True
    return False
