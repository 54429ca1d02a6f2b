"""What acts at each update: gradients changed before it, rates scaled for its duration.

    loss.backward(); optimizer.step():
        before hook:  stages in order change .grad or say how to scale the rate; the rate is scaled
        the optimizer's own update
        after hook:   the rate is what it was, so that schedulers never see ours

One pair of hooks an optimizer, however many treatments: several pairs would put rates back in the
wrong order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor


class Stage:
    """One treatment that acts at the update. All methods do nothing unless overridden.

    `step` counts this stage's updates of this optimizer, from 0.
    """

    def before(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        """Change gradients in place."""

    def override(self, group: dict[str, Any], step: int) -> dict[str, Any]:
        """Settings of a parameter group for this update alone ({"lr": ...}); {} for none."""
        return {}

    def after(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        """After the update."""


class Before(Stage):
    """Calls `change(optimizer)` before each update; it keeps nothing from one to the next."""

    def __init__(self, change: Callable[[torch.optim.Optimizer], None]) -> None:
        self.change = change

    def before(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        self.change(optimizer)


class Stepper:
    """The stages of one optimizer, and its pair of hooks."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.stages: list[list[Any]] = []  # [stage, updates so far]
        self._stash: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self._handles = [
            optimizer.register_step_pre_hook(self._before),
            optimizer.register_step_post_hook(self._after),
        ]

    @classmethod
    def of(cls, optimizer: torch.optim.Optimizer) -> Stepper:
        """This optimizer's stepper, made at first use."""
        if optimizer not in _STEPPERS:
            _STEPPERS[optimizer] = cls(optimizer)
        return _STEPPERS[optimizer]

    def add(self, stage: Stage) -> None:
        """`stage` acts after those that are there."""
        self.stages.append([stage, 0])

    def remove(self, stage: Stage, optimizer: torch.optim.Optimizer) -> None:
        """Take a stage off; with the last one the hooks go too."""
        self._put_back()
        self.stages = [s for s in self.stages if s[0] is not stage]
        if not self.stages:
            for handle in self._handles:
                handle.remove()
            _STEPPERS.pop(optimizer, None)

    def own(self, group: dict[str, Any], key: str) -> Any:
        """A setting as the script has it, whatever stages have made of it for this update."""
        return next((old[key] for g, old in self._stash if g is group and key in old), group[key])

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    @torch.no_grad()
    def _before(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        self._put_back()  # an update that raised had no after
        for stage, step in self.stages:
            for group in optimizer.param_groups:
                new = stage.override(group, step)
                if new:
                    self._stash.append((group, {k: group[k] for k in new}))
                    group.update(new)
            stage.before(optimizer, step)

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    @torch.no_grad()
    def _after(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        self._put_back()
        for entry in self.stages:
            entry[0].after(optimizer, entry[1])
            entry[1] += 1

    def _put_back(self) -> None:
        while self._stash:
            group, old = self._stash.pop()
            group.update(old)


_STEPPERS: WeakKeyDictionary[torch.optim.Optimizer, Stepper] = WeakKeyDictionary()


def with_gradients(optimizer: torch.optim.Optimizer) -> Iterator[tuple[Tensor, Tensor]]:
    """(parameter, gradient) of all that the next update will use; sparse ones are left out.

    >>> import torch
    >>> from evenflow.treatments import with_gradients
    >>> model = torch.nn.Linear(2, 1, bias=False)
    >>> model(torch.ones(1, 2)).sum().backward()
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> [g.tolist() for _, g in with_gradients(optimizer)]
    [[[1.0, 1.0]]]
    """
    for group in optimizer.param_groups:
        for p in group["params"]:
            if p.grad is not None and not p.grad.is_sparse:
                yield p, p.grad


def loss_scale(optimizer: torch.optim.Optimizer) -> float:
    """By what fused optimizers under a GradScaler still have to divide the gradients."""
    scale = getattr(optimizer, "grad_scale", None)
    return 1.0 if scale is None else float(scale)
