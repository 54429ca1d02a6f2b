"""One run in a fork: the instrument is told of the script's loop, and its trace sent back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NoReturn

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

from ...tape import of_optimizer, take_off
from ..bench import Trace
from ..changing import samples, widened
from ..instrument import Instrument
from ..listening import digest
from .doors import Doors, Role, put_below
from .forking import Answers
from .found import ENDED, OTHER_CALL, TURNS, Beginning, reason
from .operands import copied
from .parts import Parts

#: Of a batch so many samples tell whether it was seen before.
ROWS = 32


class Runner(Role):
    """Tells `instrument` what happens to `model`, until it is done or the script ends."""

    def __init__(
        self,
        doors: Doors,
        pipe: Answers,
        instrument: Instrument,
        model: nn.Module,
        found: Beginning,
    ) -> None:
        """`model`: the module that is called first, or `Parts` of which it is the first."""
        self.doors, self.pipe, self.instrument = doors, pipe, instrument
        self.model, self.found = model, found
        self.first = model.first if isinstance(model, Parts) else model
        self.same_batch = instrument.change.same_batch
        self._most = found.backwards if found.updates else 1
        self._step = self._calls = self._backwards = self._passed = 0
        self._given: list[tuple[nn.Module, list[Any]]] = []  # of the first step's calls: the data
        self._open = False  # is the instrument listening?
        self._versions: list[tuple[Tensor, int]] = []
        self._rows, self._entered = 0, False
        self._seen: set[int] = set()  # digests of samples
        self._fresh, self._again = 0, False
        held = [o for o in doors.optimizers if self._main(o) or _holds(o, model)]
        instrument.kept = frozenset(found.kept)
        doors.quietly(instrument.begin, model, held)
        if self.same_batch or instrument.change.part != (0, 1) or "facts" in instrument.wants:
            put_below(doors.operands)

    def enter(self, root: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
        self._by_hand()
        self.doors.operands.open = True
        if self.same_batch:
            args, kwargs = self._repeated(root, args, kwargs)
        if self.instrument.change.part != (0, 1):
            args, kwargs = self._part(args, kwargs)
        if root is not self.first or (
            self._entered and self.instrument.change.inputs == "permuted"
        ):
            if self.instrument.change.double:
                args, kwargs = widened((args, kwargs))
            return args, kwargs
        # one side of a pair alone is permuted: both alike would change nothing
        self._entered = True
        self._close()
        self._rows = samples((args, kwargs))
        self.doors.quietly(self._notice, args, kwargs)
        args, kwargs = self.doors.quietly(self.instrument.entering, args, kwargs)
        put_below(self.instrument.listening)
        self._open = True
        self._go_on()
        return args, kwargs

    def left(self, root: nn.Module, outputs: Any) -> None:
        if root is self.first:
            self.doors.quietly(self.instrument.left, outputs)
            self._go_on()

    def backward(self, roots: tuple[Tensor, ...]) -> None:
        self._by_hand()
        self._entered = False
        self._close()
        self.doors.operands.open = False
        self._tell_targets()
        if self._step and self._passed < self.found.others:
            self._passed += 1
            return
        if len(roots) == 1 and roots[0].numel() == 1 and self._backwards < self._most:
            self._backwards += 1
            self.doors.quietly(self.instrument.losing, roots[0])
            self._go_on()

    def backwarded(self) -> None:
        if self.found.optimizer < 0 and self._backwards == self._most:
            # no optimizer tells of its step; what follows may already clear the gradients
            self.doors.quietly(self.instrument.stepping)
            self._versions = [(p, p._version) for p in self.model.parameters()]
            self._go_on()

    def stepping(self, optimizer: Optimizer) -> None:
        self._close()
        if self._main(optimizer):
            self.doors.quietly(self.instrument.stepping)
            self._go_on()

    def stepped(self, optimizer: Optimizer) -> None:
        if self._main(optimizer):
            self._updated()
        elif self.same_batch:
            self.doors.operands.lost = TURNS
            self._go_on()

    def ended(self, error: BaseException | None) -> NoReturn:
        trace = self._trace()
        if why := reason(error):
            # given the first step's data in another one the script may well fail
            ended = "cannot" if self.same_batch and self._step else "error"
            trace = Trace(ended, why, trace.losses, trace.figures)
        elif not self.instrument.done:
            trace = Trace("cannot", ENDED, trace.losses, trace.figures)
        self.pipe.answer(trace)

    def _updated(self) -> None:
        self.doors.quietly(self.instrument.updated)
        self._step += 1
        self._calls = self._backwards = self._passed = 0
        self._versions = []
        self.doors.operands.step(replay=self.same_batch)
        self._go_on()

    def _tell_targets(self) -> None:
        """Of a loss written by hand: the data with as many rows as the batch has."""
        met = self.doors.operands.met
        if "facts" in self.instrument.wants and self.instrument.listening.target is None:
            data = [t for one in met for t in one.data if isinstance(t, Tensor) and t.ndim]
            self.instrument.targets([t for t in data if len(t) == self._rows] or None)
            met.clear()

    def _main(self, optimizer: Optimizer) -> bool:
        made = self.doors.optimizers
        return 0 <= self.found.optimizer < len(made) and made[self.found.optimizer] is optimizer

    def _by_hand(self) -> None:
        """Has the script itself moved the parameters since its backward? Where nothing ever moves
        them, each backward is taken for a step."""
        moved = any([p._version != v for p, v in self._versions])
        if moved or (self._versions and not self.found.updates):
            self._updated()

    def _go_on(self) -> None:
        """Or end here: all that was asked for is there."""
        if self.doors.operands.lost:
            self.pipe.answer(Trace("cannot", self.doors.operands.lost))
        if self.instrument.done:
            self.pipe.answer(self._trace())

    def _trace(self) -> Trace:
        """With the number of calls before which half of a batch had been seen."""
        trace: Trace = self.doors.quietly(self.instrument.trace)
        return replace(trace, figures={**trace.figures, "fresh": self._fresh})

    def _notice(self, args: Any, kwargs: Any) -> None:
        """Are these samples new?"""
        data = [v for v in tree_leaves((args, kwargs)) if _data(v)]
        if self._again or not data:
            return
        rows = {digest(row) for row in data[0][:ROWS]}
        self._again = 2 * len(rows & self._seen) > len(rows)
        self._seen |= rows
        self._fresh += not self._again

    def _close(self) -> None:
        if self._open and take_off(self.instrument.listening):
            self._open = False

    def _part(self, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """One part of the samples, here and in all data that meet the graph until the loss."""
        size = samples([v for v in tree_leaves((args, kwargs)) if _data(v)])
        k, n = self.instrument.change.part

        def cut(value: Any) -> Any:
            if not _data(value) or not size or len(value) % size:
                return value
            rows = len(value) // size * (size // n)  # positions of a sample follow one another
            return value[k * rows : (k + 1) * rows]

        if size:
            self.doors.operands.change = cut
        return tree_map(cut, (args, kwargs))  # type: ignore[no-any-return]

    def _repeated(self, root: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """With the data of the same call in the first step."""
        leaves, form = tree_flatten((args, kwargs))
        data = [_data(v) for v in leaves]
        if self._step == 0:
            kept = [copied(v) if d else v for v, d in zip(leaves, data, strict=True)]
            self._given.append((root, kept))
        else:
            # more micro-batches than in the first step begin with its first again
            before_root, before = self._given[self._calls % len(self._given)]
            if root is not before_root or not _alike(leaves, before):
                self.doors.operands.lost = OTHER_CALL
                return args, kwargs
            leaves = [b if d else v for v, b, d in zip(leaves, before, data, strict=True)]
        self._calls += 1
        args, kwargs = tree_unflatten(leaves, form)
        return args, kwargs


def _holds(optimizer: Optimizer, model: nn.Module) -> bool:
    held = {id(p) for p in of_optimizer(optimizer)}
    return any(id(p) in held for p in model.parameters())


def _data(value: Any) -> bool:
    return isinstance(value, Tensor) and not value.requires_grad and value.ndim > 0


def _alike(leaves: list[Any], before: list[Any]) -> bool:
    """As many values, of the same kinds and numbers of dimensions."""
    told = [[v.ndim if isinstance(v, Tensor) else -1 for v in each] for each in (leaves, before)]
    return told[0] == told[1]
