"""The script's process before any fork: waits for the first training forward; examines there."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import nn

from ..bench import Change, Trace
from .bench import Forked, runner
from .doors import Doors, Role
from .forking import Answers, Pipe, fork
from .found import AGAIN, ENDED, NO_ANSWER, NO_FORWARD, Beginning, reason
from .parts import whole
from .scout import Scout


class Approach:
    """Counts the calls up to the one with which the training begins."""

    def __init__(self, doors: Doors, found: Beginning) -> None:
        self.doors, self.found = doors, found
        self._calls = 0
        self._model: nn.Module | None = None

    def at(self, root: nn.Module) -> bool:
        """Does it begin with this call of `root`? A script that makes its optimizer after its
        first forward is examined at the second step."""
        if self._calls == self.found.call:
            self._model = root
        self._calls += 1
        return root is self._model and self.found.optimizer < len(self.doors.optimizers)


class Examiner(Role):
    """`examine(model, found)` is called once, within the first training forward that is trained;
    `nothing(why)` where there is none. Neither returns but in a fork, by `Forked`."""

    def __init__(
        self,
        doors: Doors,
        seconds: float,
        examine: Callable[[nn.Module, Beginning], None],
        nothing: Callable[[str], None],
    ) -> None:
        self.doors, self.seconds = doors, seconds
        self.examine, self.nothing = examine, nothing
        self.approach: Approach | None = None

    def enter(self, root: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
        if self.approach is None:
            if not forks(root):
                self.nothing(AGAIN)
            answer = fork(self.seconds)
            if isinstance(answer, Pipe):
                return self._become(Scout(self.doors, answer), root, args, kwargs)
            if not answer.came:
                self.nothing(NO_ANSWER)
            found: Beginning = answer.value
            if found.call < 0:
                self.nothing(found.why)
            self.approach = Approach(self.doors, found)
        if self.approach.at(root):
            found = self.approach.found
            try:
                self.examine(whole(root, found.roots), found)
            except Forked as here:
                return self._become(here.role, root, args, kwargs)
        return args, kwargs

    def _become(self, role: Role, root: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
        self.doors.role = role
        return role.enter(root, args, kwargs)

    def ended(self, error: BaseException | None) -> None:
        self.nothing(reason(error) or NO_FORWARD)


class Waiting(Role):
    """A run from the script's start: to the first training forward nothing, then a `Runner`."""

    def __init__(
        self,
        doors: Doors,
        pipe: Answers,
        found: Beginning,
        change: Change,
        steps: int,
        wants: Collection[str],
    ) -> None:
        self.doors, self.pipe = doors, pipe
        self.asked = change, steps, wants
        self.approach = Approach(doors, found)

    def enter(self, root: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
        if self.approach.at(root):
            role = runner(self.doors, self.pipe, root, self.approach.found, *self.asked)
            self.doors.role = role
            return role.enter(root, args, kwargs)
        return args, kwargs

    def ended(self, error: BaseException | None) -> None:
        self.pipe.answer(Trace("error", reason(error) or ENDED))


def forks(root: nn.Module) -> bool:
    """Can this process be forked, and the fork train?"""
    here = all(p.device.type == "cpu" for p in root.parameters())
    return hasattr(os, "fork") and here and not torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
