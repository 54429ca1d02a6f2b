"""Between two samples: a step is counted, its loss is kept, and that is all.

Such steps are 99 of 100. Python that runs once a step finds nothing of its own in the caches, so
each function entered costs microseconds that a tight loop would not show; hence so few of them.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

import torch
from torch import Tensor

from ..tape import heard_by_modes, skip_frame

#: Steps after which losses are looked at, at the latest, and seconds.
STRETCH = 8
SECONDS = 0.25

HAND = 0  # among the ids of optimizers that stepped: the script itself

_C: Any = torch._C
_in_backward = _C._current_graph_task_id
_function_modes = _C._len_torch_function_stack
_dispatch_modes = _C._len_torch_dispatch_stack
_transforms = _C._functorch.peek_interpreter_stack
_tracing = _C._get_tracing_state


class Quiet:
    """Counts the steps, and takes in those of a quiet stretch (`on`) by itself.

    A step is an update: of every optimizer that steps until the next outermost backward begins.
    An optimizer that steps twice without one has made two.

    `true` gives a loss at its true scale (a GradScaler may have scaled it); those on the host go
    to `fresh` at once, from where they are written whatever becomes of this process.
    """

    def __init__(self, true: Callable[[Tensor], Tensor], fresh: deque[tuple[int, float]]) -> None:
        self._true, self._fresh = true, fresh
        self.step = 0  # updates that are over
        self.stepped: set[int] = set()  # ids of those that made the update which is not over yet
        self.count = 0  # times that an optimizer stepped
        self._latest: dict[int, int] = {}  # by an optimizer's id: the latest update it made
        self.on = False
        self.losses: list[tuple[int, Tensor | float]] = []  # of the stretch: (step, as it was)
        self._left, self._until = 0, 0.0
        self._known: Mapping[int, weakref.ref[torch.optim.Optimizer]] = {}
        self._hand = False

    def begin(
        self,
        known: Mapping[int, weakref.ref[torch.optim.Optimizer]],
        steps: int,
        hand: bool = False,
    ) -> None:
        """The next `steps` updates are to be of optimizers `known` by id, or (`hand`) made by the
        script itself after each backward; none is sampled."""
        self._known, self._left, self._until = known, steps, monotonic() + SECONDS
        self._hand = hand
        self.on = steps > 1

    def steps(self, optimizer: int) -> bool:
        """An optimizer, by id, has its part in this update. Had it one in the update before?"""
        self.stepped.add(optimizer)
        again = self._latest.get(optimizer) == self.step - 1
        self._latest[optimizer] = self.step
        return again

    def over(self) -> None:
        """The update that was made is over."""
        self.step += 1
        self.stepped.clear()

    def backward(self, outputs: Any, kwargs: dict[str, Any]) -> bool:
        """The engine is about to run: is all done that was to be done?"""
        if not self.on:
            return False
        if not kwargs.get("accumulate_grad", True) or _in_backward() != -1:
            return not self._hand or _in_backward() != -1  # neither a loss nor a step
        if len(outputs) != 1 or _dispatch_modes() or (_function_modes() and heard_by_modes()):
            return False
        root = outputs[0]
        if type(root) is not Tensor or root.numel() != 1 or not root.is_floating_point():
            return False
        if _tracing() is not None or _transforms() is not None:
            return True
        if self.stepped:
            self.step += 1
            self.stepped.clear()
        if self._hand:
            self._left -= 1
            if self._left <= 0 or monotonic() > self._until:
                self.on = False
                return False
            self.stepped.add(HAND)
        value: Tensor | float = self._true(root)
        if value.is_cpu:  # type: ignore[union-attr]
            value = float(value)
            self._fresh.append((self.step, value))
        self.losses.append((self.step, value))
        return True

    def update(self, optimizer: torch.optim.Optimizer) -> bool:
        """An optimizer has stepped: is all done? (Not at the end of the stretch.)"""
        self.count += 1
        if not self.on:
            return False
        key, stepped = id(optimizer), self.stepped
        known = self._known.get(key)
        if known is None or known() is not optimizer:
            self.on = False
            return False
        if stepped:
            if key not in stepped:
                stepped.add(key)
                self._latest[key] = self.step
                return True
            self.step += 1  # no backward was seen between
            stepped.clear()
        self._left -= 1
        if self._left <= 0 or monotonic() > self._until:
            self.on = False
            return False
        stepped.add(key)
        self._latest[key] = self.step
        return True


# Called between the user's frames, where torch.compile may be listening.
skip_frame(Quiet.backward)
skip_frame(Quiet.update)
