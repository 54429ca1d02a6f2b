"""Between two samples: a step is counted, its loss is kept, and that is all.

Such steps are 99 of 100. Python that runs once a step finds nothing of its own in the caches, so
each function entered costs microseconds that a tight loop would not show; hence so few of them.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..tape import skip_frame

#: Steps after which losses are looked at, at the latest.
STRETCH = 8

_C: Any = torch._C
_in_backward = _C._current_graph_task_id
_dispatch_modes = _C._len_torch_dispatch_stack
_transforms = _C._functorch.peek_interpreter_stack
_tracing = _C._get_tracing_state


class Quiet:
    """Counts the steps, and takes in those of a quiet stretch (`on`) by itself.

    `true` gives a loss at its true scale (a GradScaler may have scaled it).
    """

    def __init__(self, true: Callable[[Tensor], Tensor]) -> None:
        self._true = true
        self.step = 0  # completed updates
        self.on = False
        self.losses: list[tuple[int, Tensor]] = []  # of the stretch: (step, as it was)
        self._left = 0
        self._only: weakref.ref[torch.optim.Optimizer] | None = None

    def begin(self, optimizer: weakref.ref[torch.optim.Optimizer], steps: int) -> None:
        """The next `steps` updates are to be this optimizer's, and none of them is sampled."""
        self._only, self._left = optimizer, steps
        self.on = steps > 1

    def backward(self, outputs: Any, kwargs: dict[str, Any]) -> bool:
        """The engine is about to run: is all done that was to be done?"""
        if not self.on:
            return False
        if not kwargs.get("accumulate_grad", True) or _in_backward() != -1:
            return True  # neither a loss nor a step
        if len(outputs) != 1:
            return False
        root = outputs[0]
        if type(root) is not Tensor or root.numel() != 1 or not root.is_floating_point():
            return False
        if _tracing() is not None or _dispatch_modes() or _transforms() is not None:
            return True
        self.losses.append((self.step, self._true(root)))
        return True

    def update(self, optimizer: torch.optim.Optimizer) -> bool:
        """An optimizer has stepped: is all done? (Not at the end of the stretch.)"""
        if not self.on:
            return False
        self._left -= 1
        if self._left <= 0 or self._only is None or self._only() is not optimizer:
            self.on = False
            return False
        self.step += 1
        return True


# Called between the user's frames, where torch.compile may be listening.
skip_frame(Quiet.backward)
skip_frame(Quiet.update)
