"""The first fork: runs to the second update, and tells where the training begins."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils._pytree import tree_leaves

from ...tape import of_optimizer, tensors_within
from .doors import Doors, Role, put_below
from .forking import Answers
from .found import NEVER, Beginning, reason

#: Backwards without an update, after which none is waited for.
PATIENCE = 256


class Scout(Role):
    """Notes the calls and their graphs; the first backward tells which of them is trained."""

    def __init__(self, doors: Doors, pipe: Answers) -> None:
        self.doors, self.pipe = doors, pipe
        self.calls = self.backwards = self.again = self.others = 0
        self.optimizer = -1  # that has stepped
        self.first = self.reached = -1  # of the calls that the first loss reaches, and the last
        self._nodes: list[tuple[int, Any]] = []
        self._roots: list[nn.Module] = []
        self._trained: list[nn.Module] = []
        self._given: list[list[Any]] = []
        self._kept: tuple[int, ...] = ()
        self._versions: list[tuple[Tensor, int]] = []
        put_below(doors.operands)
        doors.operands.open = True

    def enter(self, root: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
        if self.first >= 0 and self.optimizer < 0 and self._moved():
            self._tell(updates=True)
        self.calls += 1
        if self.first < 0:
            self._roots.append(root)
            self._given.append(tree_leaves((args, kwargs)))
        return args, kwargs

    def left(self, root: nn.Module, outputs: Any) -> None:
        made = [t.grad_fn for t in tensors_within(outputs) if t.grad_fn is not None]
        if self.first < 0:
            self._nodes = self._nodes[-4096:] + [(self.calls - 1, node) for node in made]

    def backward(self, roots: tuple[Tensor, ...]) -> None:
        if self.first >= 0 and self.optimizer < 0 and self._moved():
            self._tell(updates=True)
        if self.first < 0:
            below = _below([t.grad_fn for t in roots if t.grad_fn is not None])
            reached = sorted({call for call, node in self._nodes if node in below})
            if not reached:
                return
            self.first, self.reached = reached[0], reached[-1]
            self._trained = [self._roots[call] for call in reached]
            self._versions = [(p, p._version) for m in self._trained for p in m.parameters()]
            self._kept = _among(self.doors.operands.targets, self._given[self.first])
            self.doors.operands.open = False
        if self.optimizer >= 0:
            self.again += 1
        else:
            self.backwards += 1
        if max(self.again, self.backwards) >= PATIENCE:
            self._tell(updates=self.optimizer >= 0)

    def stepped(self, optimizer: Optimizer) -> None:
        at = next((i for i, o in enumerate(self.doors.optimizers) if o is optimizer), -1)
        if self.optimizer >= 0 and at == self.optimizer:
            self._tell(updates=True)  # once more: now it is known what came in between
        elif self.optimizer >= 0:
            self.others = self.again
        elif self.first >= 0:
            self._cut_off(optimizer)
            self.optimizer = at

    def ended(self, error: BaseException | None) -> None:
        if self.first >= 0:
            self._tell(updates=self.optimizer >= 0 or self._moved())
        self.pipe.answer(Beginning(why=reason(error) or NEVER))

    def _moved(self) -> bool:
        return any([p._version != version for p, version in self._versions])

    def _cut_off(self, optimizer: Optimizer) -> None:
        """Modules that the optimizer is to train and the loss does not reach, as their output was
        detached: each by its last call before the loss."""
        held = {id(p) for p in of_optimizer(optimizer)}
        last: dict[int, int] = {}
        for call, root in enumerate(self._roots[: self.reached]):
            if any([id(p) in held for p in root.parameters()]):
                last[id(root)] = call
        calls = [last[id(m)] for m in self._roots if id(m) in last and m not in self._trained]
        for call in sorted(set(calls)):
            self.first = min(self.first, call)
            self._trained.append(self._roots[call])

    def _tell(self, updates: bool) -> None:
        roots = tuple(dict.fromkeys([id(m) for m in self._trained]))
        passes = self.backwards, self.others
        self.pipe.answer(Beginning(self.first, *passes, self.optimizer, updates, roots, self._kept))


def _among(targets: list[Tensor], given: list[Any]) -> tuple[int, ...]:
    """Which of what was given a loss took as its target: by itself, seen otherwise, or copied.

    None where that is all there was: an autoencoder's inputs are its targets, and inputs still.
    """
    tensors = [i for i, value in enumerate(given) if isinstance(value, Tensor)]
    taken = tuple([i for i in tensors if any([_same(given[i], t) for t in targets])])
    return taken if len(taken) < len(tensors) else ()


def _same(given: Tensor, target: Tensor) -> bool:
    if given.numel() != target.numel() or given.dtype != target.dtype or not given.numel():
        return False
    flat, wanted = given.detach().reshape(-1), target.detach().reshape(-1)
    # a language model may shift its labels itself, and pad them
    return torch.equal(flat, wanted) or (
        not flat.is_floating_point() and len(flat) > 2 and torch.equal(flat[1:-1], wanted[:-2])
    )


def _below(nodes: list[Any]) -> set[Any]:
    seen: set[Any] = set()
    while nodes:
        node = nodes.pop()
        if node is not None and node not in seen:
            seen.add(node)
            nodes += [n for n, _ in node.next_functions]
    return seen
