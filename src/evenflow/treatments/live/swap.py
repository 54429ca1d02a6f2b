"""Swap hidden activations: modules as children, functional calls by a mode inside the forward.

`F.relu`, `torch.relu`, `Tensor.relu_` in a forward of the user's own are replaced by a graft on
that very module that runs its forward under a TorchFunctionMode. Inside the class-level forward
the mode is seen by torch.compile (no break) and entered anew when checkpointing recomputes.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ... import activations
from ...network import by_key
from ..swap import Swap
from .context import TreatmentContext
from .forward_trace import TracedCall
from .grafting import Forward, Graft


class CentredSigmoid(nn.Module):
    """4(σ(x) - ½) = 2 tanh(x/2): the sigmoid with mean 0 and slope 1 at 0, critical at σw² = 1."""

    evenflow_sw2 = 1.0

    def forward(self, x: Tensor) -> Tensor:
        return 2 * torch.tanh(0.5 * x)


#: Above 0 while our own replacements compute: what they call is not swapped again.
_NESTED = [0]


def unswapped(f: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """f(*args, **kwargs), unseen by the swaps that are open (other modes do see it)."""
    _NESTED[0] += 1
    try:
        return f(*args, **kwargs)
    finally:
        _NESTED[0] -= 1


def _named(names: tuple[str, ...]) -> tuple[Any, ...]:
    """The functions of these names in torch, on Tensor and in torch.nn.functional."""
    found = [getattr(home, n, None) for home in (F, torch, Tensor) for n in names]
    return tuple(dict.fromkeys(f for f in found if f is not None))


class Swapped(TorchFunctionMode):
    """Replaces calls of one activation; the `kept` ones, counted from 0, are left."""

    def __init__(self, op: str, new: nn.Module, kept: frozenset[int]) -> None:
        super().__init__()
        self.op, self.new, self.kept, self.count = op, new, kept, 0
        # the functions themselves and not their names, which torch.compile cannot take apart
        self.inplace = _named((f"{op}_",))
        self.meant = (*_named((op,)), *self.inplace)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func not in self.meant or _NESTED[0]:
            return func(*args, **kwargs)
        self.count += 1
        if self.kept and self.count - 1 in self.kept:
            return func(*args, **kwargs)
        x = args[0] if args else kwargs["input"]
        if func in self.inplace or kwargs.get("inplace") or any(a is True for a in args[1:]):
            # the caller may go on with x itself: it must hold the new values
            return x.copy_(unswapped(self.new, x.clone()))
        return unswapped(self.new, x)


class SwapGraft(Graft):
    """Runs a forward with one functional activation replaced."""

    def __init__(self, op: str, new: nn.Module, kept: frozenset[int], calls: int) -> None:
        super().__init__()
        self.op, self.new, self.kept, self.calls = op, new, kept, calls

    def around(self, inner: Forward, *args: Any, **kwargs: Any) -> Any:
        with Swapped(self.op, self.new, self.kept) as mode:
            out = inner(*args, **kwargs)
        if self.kept and mode.count != self.calls:
            raise RuntimeError(
                f"Evenflow swapped some of {self.calls} calls of {self.op} by their order, and "
                f"now there are {mode.count}: the forward has changed. Undo the treatment."
            )
        return out


def apply(context: TreatmentContext, wanted: Swap) -> None:
    """The new activation for all hidden ones of the old kind."""
    old, module = wanted.old, make(wanted.new, wanted.parameters)
    swap_(context, lambda call: copy.deepcopy(module) if call.op == old else None, old)


def make(name: str, parameters: dict[str, float]) -> nn.Module:
    """A new activation module; `centred_sigmoid` besides those of `evenflow.activations`."""
    own = {"centred_sigmoid": CentredSigmoid, "identity": nn.Identity}
    return own[name]() if name in own else activations.get(name, **parameters)


def swap_(
    context: TreatmentContext, new_for: Callable[[TracedCall], nn.Module | None], what: str
) -> None:
    """Replace each hidden activation for which `new_for` gives a module.

    ValueError if there is none, or one that cannot be replaced alone.
    """
    seen = context.forward
    chosen = {c.index: new_for(c) for c in seen.activations}
    targets = [c for c in seen.activations if chosen[c.index] is not None]
    if not targets:
        raise ValueError(f"the network has no hidden activation {what}.")
    for c in targets:
        if c.inside and not is_module_of(c):
            raise ValueError(
                f"{c.op} in {c.path or 'the root'} is called inside a checkpointed function, "
                "where a swap would be lost when it is computed again: write it as a module."
            )
    modules = by_key(filter(is_module_of, targets), lambda c: id(c.module))
    calling = [c for c in targets if not is_module_of(c)]
    functional = by_key(calling, lambda c: (id(c.module), c.op))
    in_modules = {c.index for calls in modules.values() for c in calls}
    uses = Counter(id(c.module) for c in seen.calls if c.kind == "activation")
    for calls in modules.values():
        if uses[id(calls[0].module)] != len(calls):
            raise ValueError(
                f"{calls[0].path} is used both as a hidden activation and as a gate or output: "
                "it cannot be swapped for the one without the other."
            )
    beside = next(context.model.parameters(), None)
    plans = [
        (calls, *_kept(seen.calls, calls, op, in_modules, functional))
        for (_, op), calls in functional.items()
    ]
    swaps = []
    for calls in modules.values():
        new, old = chosen[calls[0].index], calls[0].module
        assert new is not None and old is not None
        _settle(context, new)
        swaps.append((old, new))
        context.adopt(new, beside)
    context.replace(swaps)
    for calls, kept, count in plans:
        new, m = chosen[calls[0].index], calls[0].module
        assert new is not None
        if m is None:
            raise ValueError(f"{calls[0].op} is called outside any module.")
        if isinstance(m, (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)):
            # torch's own layers hold it as an attribute, and a fast path asks for it
            _settle(context, new)
            context.attribute(m, "activation", None)
            del m.__dict__["activation"]
            m._modules["activation"] = new
            context.attribute(m, "activation_relu_or_gelu", 0)
            context.adopt(new, beside)
        else:
            context.graft(m, SwapGraft(calls[0].op, new, kept, count), beside)
    context.changed()


def _settle(context: TreatmentContext, new: nn.Module) -> None:
    p = next(context.model.parameters(), None)
    if p is not None and p.is_floating_point():
        new.to(device=p.device, dtype=p.dtype)


def _kept(
    calls: list[TracedCall],
    targets: list[TracedCall],
    op: str,
    in_modules: set[int],
    functional: dict[tuple[int, str], list[TracedCall]],
) -> tuple[frozenset[int], int]:
    """Ordinals of the calls of `op` that reach this module's mode and must stay, and how many
    reach it. Those swapped further inside turn into other functions before they reach it."""
    m = targets[0].module
    own = {c.index for c in targets}
    elsewhere = {
        c.index for (k, _), group in functional.items() if k != id(m) for c in group
    } | in_modules
    path = targets[0].path
    entries = [c for c in calls if c.op == op and path in c.stack and c.index not in elsewhere]
    stay = [i for i, c in enumerate(entries) if c.index not in own]
    return frozenset(stay), len(entries)


def is_module_of(call: TracedCall) -> bool:
    """Whether an activation is called by a module that is nothing else: nn.ReLU, our own."""
    m = call.module
    if m is None:
        return False
    kind = type(m).__module__
    ours = kind.startswith("evenflow.activations") or isinstance(m, CentredSigmoid)
    return kind.startswith("torch.nn.modules.activation") or ours


def parameters_of(call: TracedCall) -> dict[str, float]:
    """An activation's numbers as it was called, by the names of `evenflow.activations`."""
    names = {
        "leaky_relu": ("negative_slope",),
        "elu": ("alpha",),
        "hardtanh": ("min_val", "max_val"),
    }.get(call.op, ())
    args, kwargs = call.form
    found = dict(zip(names, args, strict=False))
    found.update({k: v for k, v in kwargs.items() if k in names})
    return {k: float(v) for k, v in found.items() if isinstance(v, (int, float))}
