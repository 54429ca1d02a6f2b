"""The instrument: makes a change to a training in scratch, and notes what a run is asked for.

Whoever drives it tells it of the events of the training, in this order:

    begin(model, optimizers)
    each step:
        args, kwargs = entering(args, kwargs)       the root's training forward begins
        with instrument.listening:                  open from here until the loss is known
            left(output)                            it ended
        losing(loss)                                the outermost backward begins
        stepping()                                  the optimizer's step begins
        updated()                                   it ended
    trace(), close()

and stops as soon as `done` is true. Forks and the bench in this process drive the same class.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from . import facts
from .bench import Change, Trace
from .changing import becalm, direction, nudge, permuted, widened, zeroed
from .listening import Listening, digest
from .norms import compared, statistics
from .reaching import mixing, reach

#: A gradient smaller than this share of the largest is rounding: a bias before a batch norm has it.
SLIGHT = 1e-6


class Instrument:
    """One run: `change`, up to `steps` updates (0: to the first loss), noting `wants`.

    `same_batch` and `part` are the driver's business: the targets are out of reach here.
    """

    def __init__(self, change: Change, steps: int, wants: Collection[str] = ()) -> None:
        self.change, self.steps, self.wants = change, steps, frozenset(wants)
        self.done = False
        #: Places among the leaves of (args, kwargs) that hold targets: inputs are changed without.
        self.kept: frozenset[int] = frozenset()
        self.losses: list[float] = []
        self.figures: dict[str, Any] = {}
        self.listening = Listening("ops" in self.wants, change.mode == "still", change.double)
        self._inputs: list[tuple[str, Tensor]] = []
        self._batches: list[dict[str, Any]] = []
        self._targets: Any = None
        self._updates = 0
        self._fresh = True  # no backward since the last update
        self._dtype = torch.get_default_dtype()
        self._adam: torch.optim.Optimizer | None = None

    def begin(self, model: nn.Module, optimizers: Sequence[Any]) -> None:
        """Before the first forward; optimizers already hold the scratch copy's parameters."""
        self.model, self.optimizers = model, list(optimizers)
        change = self.change
        if "facts" in self.wants:
            self.figures["params"] = facts.parameters(model, optimizers)
            self.figures["optimizers"] = [facts.optimizer(o) for o in optimizers]
            self.figures["evaluating"] = facts.evaluating(model)
        if change.double:
            model.double()
            torch.set_default_dtype(torch.float64)
        if change.jitter:
            nudge(model, ("*",), change.jitter, change.direction + 1)
        if change.nudge:
            nudge(model, change.params, change.nudge, change.direction)
        if change.mode == "eval":
            model.eval()
        elif change.mode == "still":
            becalm(model)
        kind, _, rate = change.optimizer.partition(":")
        if kind == "adam":
            trained = [p for p in model.parameters() if p.requires_grad]
            self._adam = torch.optim.Adam(trained, lr=float(rate))
        self._before = self._values() if "params" in self.wants else {}
        self._noted: dict[str, dict[str, Any]] = {}
        self._time_first = any(getattr(m, "batch_first", None) is False for m in model.modules())
        self._norms: dict[str, dict[str, float]] = {}
        self._loss: dict[str, Any] = {}
        self._kept = statistics(model) if "facts" in self.wants else {}

    def targets(self, targets: Any) -> None:
        """What the loss is given beside the output, where the driver knows it."""
        self._targets = targets

    def entering(self, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """What the root is called with instead."""
        change = self.change
        leaves, spec = tree_flatten((args, kwargs))
        own = [i for i in range(len(leaves)) if i not in self.kept]
        changed = [leaves[i] for i in own]
        if change.inputs == "permuted":
            changed = permuted(changed, self._updates)
        elif change.inputs == "zeroed":
            changed = zeroed(changed)
        for i, leaf in zip(own, changed, strict=True):
            leaves[i] = leaf
        if change.double:
            leaves = widened(leaves)
        tensors = [(f"input {i}", t) for i, t in enumerate(leaves) if isinstance(t, Tensor)]
        if "facts" in self.wants:
            self._batches.append({"inputs": [facts.tensor(name, t) for name, t in tensors]})
        self._given = tensors
        self.listening.given([t for _, t in tensors], self._targets)
        if not self.wants & {"reach", "mixing"}:
            return _called(leaves, spec)
        self._inputs = []
        for i, t in enumerate(leaves):
            if isinstance(t, Tensor) and t.is_floating_point():
                leaf = t.detach().clone().requires_grad_()
                self._inputs.append((f"input {i}", leaf))
                leaves[i] = leaf.clone()  # no leaf: a network may write into its input
        self.listening.given(leaves, self._targets)
        return _called(leaves, spec)

    def left(self, output: Any) -> None:
        """The root's forward has ended."""
        embedded = self.listening.embedded
        if not self._inputs and embedded is not None:
            self._inputs = [("embedding", embedded)]
        if self._kept and self._first:
            self._norms = compared(self.model, self._kept)
        if "mixing" in self.wants and self._first:
            self.figures["mixing"] = mixing(output, self._inputs)

    def losing(self, loss: Tensor) -> None:
        """A backward begins at this loss."""
        self.losses.append(float(loss.detach().double().sum()))
        if "facts" in self.wants and self._fresh:
            self._note_targets()
        if self._first:
            held = bool(self.listening.cuts.keys() & {"detach", "no_grad"})
            self._loss = self.listening.loss and {**self.listening.loss, "held": held}
            if "reach" in self.wants and self._inputs:
                self.figures["reach"] = reach(loss.sum(), self._inputs)
            if "slopes" in self.wants:
                self.figures["slopes"] = self._slopes(loss)
                self.figures["dtype"] = str(loss.dtype).removeprefix("torch.")
            if "noise" in self.wants:
                got = self._gradients(loss)
                squares = [float(g.double().square().sum()) for g in got if g is not None]
                self.figures["noise"] = math.fsum(squares)
        if "params" in self.wants and self._fresh and self._updates:
            self._note("stale", lambda p: p.grad is not None and bool((p.grad != 0).any()))
        self._fresh = False
        if not self.steps:
            self.done = True

    def stepping(self) -> None:
        """An optimizer is about to step."""
        if "params" in self.wants:
            self._note("none", lambda p: p.grad is None)
            self._note("zero", lambda p: p.grad is None or not bool((p.grad != 0).any()))
            largest = max(map(_peak, self.model.parameters()), default=0.0)
            self._note("slight", lambda p: _peak(p) <= SLIGHT * largest)
        if "ops" in self.wants and not self._updates:
            grads = [(n, p.grad) for n, p in self.model.named_parameters()]
            self.figures["gradients"] = {n: digest(g) for n, g in grads if g is not None}
        if self._adam is not None:
            self._adam.step()
            self._after = self._values()
        self._rates = [[g["lr"] for g in o.param_groups if "lr" in g] for o in self.optimizers]
        if self.change.rate is not None:
            for group in (g for o in self.optimizers for g in o.param_groups if "lr" in g):
                group["lr"] = group.get("initial_lr", group["lr"]) * self.change.rate

    def updated(self) -> None:
        """It has stepped."""
        for one, rates in zip(self.optimizers, self._rates, strict=True):
            for group, rate in zip((g for g in one.param_groups if "lr" in g), rates, strict=True):
                group["lr"] = rate
        if self._adam is not None:
            with torch.no_grad():
                for name, p in self.model.named_parameters():
                    p.copy_(self._after[name])
        self._updates += 1
        self._fresh = True
        self.done = self._updates >= self.steps

    def trace(self, ended: str = "done", why: str = "") -> Trace:
        """All that was noted, as plain values."""
        if "params" in self.wants:
            now = dict(self.model.named_parameters())
            for name, before in self._before.items():
                moved = name in now and not torch.equal(before, now[name].detach())
                self._noted.setdefault(name, {})["moved"] = moved
            self.figures["noted"] = self._noted
            self.figures |= {"updates": self._updates, "routed": self.listening.routed}
        if "facts" in self.wants:
            heard = self.listening
            self.figures |= {
                "batches": self._batches, "loss": self._loss, "broadcast": heard.broadcast,
                "readers": sorted(heard.readers), "batch_norm": heard.batch_norm,
                "time_first": self._time_first, "norms": self._norms,
            }  # fmt: skip
        if "slopes" in self.wants:
            self.figures["cuts"] = dict(self.listening.cuts)
        if "ops" in self.wants:
            self.figures["ops"] = list(self.listening.ops)
        return Trace(ended, why, tuple(self.losses), self.figures)

    def close(self) -> None:
        """What was set beyond the model is as it was."""
        if self.change.double:
            torch.set_default_dtype(self._dtype)

    @property
    def _first(self) -> bool:
        return not self._updates and self._fresh

    def _values(self) -> dict[str, Tensor]:
        named = self.model.named_parameters()
        return {name: p.detach().clone() for name, p in named}

    def _gradients(self, loss: Tensor) -> list[Tensor | None]:
        trained = [p for p in self.model.parameters() if p.requires_grad]
        if not loss.requires_grad or not trained:
            return [None] * len(trained)
        return list(torch.autograd.grad(loss.sum(), trained, retain_graph=True, allow_unused=True))

    def _slopes(self, loss: Tensor) -> dict[str, float | None]:
        trained = [(n, p) for n, p in self.model.named_parameters() if p.requires_grad]
        seed = self.change.direction
        return {
            name: None if g is None else float((g.double() * direction(name, p, seed)).sum())
            for (name, p), g in zip(trained, self._gradients(loss), strict=True)
        }

    def _note(self, what: str, test: Any) -> None:
        for name, p in self.model.named_parameters():
            noted = self._noted.setdefault(name, {})
            noted[what] = noted.get(what, 0) + int(test(p))

    def _note_targets(self) -> None:
        """The targets of the batch under way, and how they lie to its inputs."""
        if not self._batches:
            return
        targets = self._targets if self._targets is not None else self.listening.target
        found = [t for t in tree_flatten(targets)[0] if isinstance(t, Tensor)]
        self._batches[-1]["targets"] = [facts.tensor(f"target {i}", t) for i, t in enumerate(found)]
        self._batches[-1]["shifted"] = any(shifted(x, y) for _, x in self._given for y in found)


def _called(leaves: list[Any], spec: Any) -> tuple[Any, Any]:
    args, kwargs = tree_unflatten(leaves, spec)
    return args, kwargs


def shifted(x: Tensor, y: Tensor) -> bool:
    """Whether the targets are the inputs one position on: what a language model learns."""
    if x.ndim != 2 or x.is_floating_point() or y.is_floating_point() or x.shape[1] < 3:
        return False
    n, length = x.shape
    if y.numel() == n * length:
        y = y.reshape(n, length)[:, :-1]
    elif y.numel() == n * (length - 1):  # the loss was made of all but the last position
        y = y.reshape(n, length - 1)
    else:
        return False
    said = y >= 0  # a negative label stands for none
    return bool(said.any()) and bool((y == x[:, 1:])[said].double().mean() > 0.99)


def _peak(p: Tensor) -> float:
    """The largest entry of its gradient; 0 without one."""
    return 0.0 if p.grad is None or not p.grad.numel() else float(p.grad.detach().abs().max())
