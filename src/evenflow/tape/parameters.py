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
from .numbers import local
from .slab import Scalar

if TYPE_CHECKING:
    from .recorder import Recorder


def of_optimizer(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """The optimizer's parameters, in order."""
    return [p for g in optimizer.param_groups for p in g["params"] if isinstance(p, Tensor)]


def held(t: Tensor) -> bool:
    """Does the tensor have its memory? FSDP lets that of gathered parameters go between uses."""
    x = local(t.detach())
    try:
        return x.layout != torch.strided or x.untyped_storage().nbytes() > 0
    except NotImplementedError:  # a subclass without memory of its own
        return True


class Update:
    """One update from just before to just after.

    Holds meanwhile a copy of the parameters (with the dear readings), or of `numbers.chunks` of
    them (without): the copy of a large network costs more than all the rest of a sampled step.
    """

    def __init__(self, recorder: Recorder, params: Iterable[Tensor]) -> None:
        self._slab, self._dear = recorder.slab, recorder.dear
        index = recorder.catalogue.add_param
        with torch.no_grad():
            self._before = [
                (p, index(p), self._part(p).clone())
                for p in params
                if p.requires_grad and p.numel() and held(p)
            ]

    def _part(self, p: Tensor) -> Tensor:
        x = local(p.detach())
        return x if self._dear or x.layout != torch.strided else numbers.chunks(x)

    def gradients(self, grads: dict[int, Tensor] | None = None) -> None:
        """Read the gradients' norms: `grads` by id of parameter, else each `p.grad`."""
        found: list[tuple[int, Tensor]] = []
        for p, index, _ in self._before:
            g = p.grad if grads is None else grads.get(id(p))
            if g is None:
                continue
            g = local(g.detach())
            found.append((index, g.coalesce().values() if g.is_sparse else g))
        sizes = numbers.norms([g for _, g in found])
        for (index, g), size in zip(found, sizes, strict=True):
            self._note(index, "grad", size)
            if self._dear and numbers.plain(g) is not None:
                self._note(index, "grad_zeros", numbers.zeros(numbers.sample(g)))
                self._note(index, "grad_absmax", numbers.absmax(g))
        if sizes:
            self._slab.add(Channel("step", 0, "grad_norm"), _hypot(sizes))

    def applied(self) -> None:
        """Read the weights' norms and how far the update moved them; let the copy go."""
        held, self._before = self._before, []
        whole = [_whole(p, before) for p, _, before in held]
        sizes = numbers.norms([before for _, _, before in held])
        for (_, index, _), size, times in zip(held, sizes, whole, strict=True):
            self._note(index, "weight", size * times)
        moved: list[tuple[int, Tensor, float]] = []
        for (p, index, before), times in zip(held, whole, strict=True):
            after = self._part(p)
            if after.shape == before.shape:
                moved.append((index, before.sub_(after), times))
        sizes = numbers.norms([step for _, step, _ in moved])
        for (index, _, times), size in zip(moved, sizes, strict=True):
            self._note(index, "update", size * times)

    def _note(self, index: int, metric: str, value: Scalar) -> None:
        self._slab.add(Channel("param", index, metric), value)


def _whole(p: Tensor, part: Tensor) -> float:
    """From the norm of a part (see `numbers.chunks`) to that of the whole."""
    n = part.numel()
    whole = local(p).numel() if n else 0
    return math.sqrt(whole / n) if n < whole else 1.0


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
