"""Everything as it was: a snapshot of model and optimizer, and its way back to the bit."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

#: Registries of a module that treatments may change; those a torch version lacks are skipped.
_TABLES = ("_parameters", "_buffers", "_modules")
_MISSING = object()


class TrainingState:
    """Weights, buffers, children, hooks, classes and optimizer state at one moment.

    It holds a copy of every tensor of the model and of the optimizer's state, on their devices.
    """

    def __init__(self, model: nn.Module, optimizers: Iterable[torch.optim.Optimizer]) -> None:
        self._modules = [
            (m, m.__class__, m.training, {k: dict(v) for k, v in _tables(m)})
            for m in model.modules()
        ]
        self._tensors = [
            (t, t.detach().clone(), t.requires_grad)
            for t in [*model.parameters(), *model.buffers()]
        ]
        self._attributes: list[tuple[Any, str, Any]] = []
        self._optimizers = [_OptimizerState(o) for o in optimizers]

    def attribute(self, owner: Any, name: str) -> None:
        """Note an attribute that is about to be changed."""
        self._attributes.append((owner, name, owner.__dict__.get(name, _MISSING)))

    def restore(self) -> None:
        """Put it all back, in place: the same objects, with the values they had."""
        for module, cls, training, tables in self._modules:
            module.__class__ = cls
            module.training = training
            for name, content in tables.items():
                table = module.__dict__[name]
                table.clear()
                table.update(content)
        for owner, name, value in reversed(self._attributes):
            if value is _MISSING:
                owner.__dict__.pop(name, None)
            else:
                owner.__dict__[name] = value
        with torch.no_grad():
            for tensor, value, needs_grad in self._tensors:
                tensor.copy_(value)
                tensor.requires_grad_(needs_grad)
        for optimizer in self._optimizers:
            optimizer.restore()


class _OptimizerState:
    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        self._groups = [
            (g, {k: list(v) if k == "params" else v for k, v in g.items()})
            for g in optimizer.param_groups
        ]
        self._state = {p: _kept(s) for p, s in optimizer.state.items()}

    def restore(self) -> None:
        optimizer = self._optimizer
        del optimizer.param_groups[len(self._groups) :]
        for group, content in self._groups:
            params = group["params"]
            group.clear()
            group.update(content)
            params[:] = content["params"]  # the list object may be held elsewhere
            group["params"] = params
        for p in list(optimizer.state):
            if p not in self._state:
                del optimizer.state[p]
        for p, state in self._state.items():
            # tensors go back into the objects the state has now, as far as they fit: compiled and
            # captured optimizers hold on to them
            now = optimizer.state[p]
            for key in list(now):
                if key not in state:
                    del now[key]
            for key, value in state.items():
                old = now.get(key)
                if _fits(old, value):
                    old.copy_(value)
                else:
                    now[key] = _kept(value)


def _fits(old: Any, value: Any) -> bool:
    both = isinstance(value, Tensor) and isinstance(old, Tensor)
    return both and (old.shape, old.dtype, old.device) == (value.shape, value.dtype, value.device)


def _kept(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {k: _kept(v) for k, v in value.items()}
    return copy.deepcopy(value)


def _tables(module: nn.Module) -> list[tuple[str, dict[str, Any]]]:
    names = [*_TABLES, *(k for k in module.__dict__ if k.endswith("_hooks"))]
    return [(k, module.__dict__[k]) for k in names if isinstance(module.__dict__.get(k), dict)]


class Undo:
    """What `treat_` returns: the way back, and the way to optimizers that come later.

    Attributes:
        treatments: what was applied.

    >>> import torch, evenflow
    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> undo = evenflow.treat_(model, None, "clip=norm:1.0")
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    >>> undo.attach(optimizer)
    >>> before = model.weight.item()
    >>> model(torch.full((1, 1), 100.0)).sum().backward()  # a gradient of 100
    >>> optimizer.step()
    >>> round(before - model.weight.item(), 3)
    1.0
    """

    def __init__(self, treatments: tuple[Any, ...], snapshot: TrainingState | None) -> None:
        self.treatments = treatments
        self._snapshot = snapshot
        self._undoers: list[Callable[[], None]] = []
        self._attachers: list[Callable[[torch.optim.Optimizer], None]] = []
        self._seen: list[torch.optim.Optimizer] = []
        self._done = False

    def attach(self, optimizer: torch.optim.Optimizer) -> None:
        """Give an optimizer what it needs: new parameters (into an existing group, as
        `add_param_group` after `LambdaLR` raises) and what acts at each step. Twice does no harm;
        after `undo` nothing happens."""
        if self._done or any(o is optimizer for o in self._seen):
            return
        self._seen.append(optimizer)
        if self._snapshot is not None:
            self._snapshot._optimizers.append(_OptimizerState(optimizer))
        for attach in self._attachers:
            attach(optimizer)

    def undo(self) -> None:
        """Weights, buffers, hooks and optimizer as they were before `treat_`, to the bit; updates
        made since are lost. A second call does nothing."""
        if self._done:
            return
        if self._snapshot is None:
            raise ValueError("treat_(..., keep=False) kept nothing to go back to.")
        self._done = True
        for back in reversed(self._undoers):
            back()
        self._snapshot.restore()
