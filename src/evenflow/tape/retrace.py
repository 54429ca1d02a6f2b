"""The forward of one sampled step, followed operation by operation, to be run again apart.

What depends on what is asked by a second backward (`dependence`). The script's own graph is not to
be used for that, as hooks would hear of it, nor its modules called again, as they may count, print
or keep state. So the torch functions themselves are kept, as the mode saw them, and run anew, on
detached tensors: of the script's code nothing is called, and nothing it has is changed.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from time import perf_counter
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from ..network import of_function
from .given import given, input_of, tensors_in
from .isolation import unheard
from .originals import FOLDER, PLAIN, is_torchs
from .sample import Sample

#: A forward of more operations, or whose outputs take more bytes, is not run again.
MOST, BYTES = 4096, 1 << 27
_PLAIN = (Tensor, torch.nn.Parameter)
#: Functions that write into their first argument and give nothing.
WRITES = frozenset({"setitem", "set"})
_CASTS = frozenset({"float", "to", "type", "type_as", "half", "bfloat16", "double"})
#: Who differentiates within a forward has a graph of his own.
_ENDS = frozenset({"grad", "backward", "hessian", "jacobian"})


class Unplayable(Exception):
    """The forward cannot be run again."""


class Slot(NamedTuple):
    """A tensor that depends on the data, by its number."""

    number: int


class RetracedStep(NamedTuple):
    """One call of a torch function."""

    func: Callable[..., Any]
    name: str
    kind: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outs: tuple[int, ...]
    before: tuple[int, ...]  # shapes of what it reads first that depends on the data,
    after: tuple[int, ...]  # and of what it gives
    site: int | None  # that its output is known by


class DataSource(NamedTuple):
    """Data that a network was given, or what an embedding made of `ids`."""

    slot: int
    value: Tensor
    ids: Tensor | None


class Compared(NamedTuple):
    """What a loss compares: a prediction, and data."""

    slot: int
    shape: tuple[int, ...]
    target: Tensor


class Retrace:
    """Follows the first whole samples of a run; `wanted` of them at most."""

    def __init__(self, recorder: Sample, producer: Callable[[Tensor], int | None]) -> None:
        self._recorder, self._producer = recorder, producer
        self.wanted = 0
        self.forget()

    def forget(self) -> None:
        self.on = False
        self.steps: list[RetracedStep] = []
        self.sources: list[DataSource] = []
        self.pairs: list[Compared] = []
        self.slots = self._bytes = 0
        self.autocast: list[tuple[str, torch.dtype]] = []
        self._made: dict[int, tuple[weakref.ref[Tensor], int]] = {}
        self._hot: dict[int, tuple[weakref.ref[Tensor], Tensor]] = {}

    def begin(self, full: bool) -> None:
        self.forget()
        self.on = full and self.wanted > 0

    def close(self) -> None:
        """The forward is over."""
        if self.on:
            self.on = False
            self._made.clear()
            self._hot.clear()

    @property
    def ready(self) -> bool:
        """Is there a forward that tells something?"""
        return bool(not self.on and self.pairs and self.sources and self.steps)

    # -- following ----------------------------------------------------------------------------
    def source(self, t: Tensor) -> None:
        """A root module is given a piece of the data."""
        if self.on and t.is_floating_point() and t.dim() > 1 and self._slot(t) is None:
            self._leaf(t, None)

    def _leaf(self, t: Tensor, ids: Tensor | None) -> None:
        if type(t) not in _PLAIN or t.layout != torch.strided:
            return self.forget()
        self.sources.append(DataSource(self._new(t), t.detach(), ids))
        if not self.autocast:
            self.autocast = [
                (kind, torch.get_autocast_dtype(kind))
                for kind in ("cpu", "cuda")
                if torch.is_autocast_enabled(kind)
            ]

    def _new(self, t: Tensor) -> int:
        self._made[id(t)] = (weakref.ref(t), self.slots)
        self.slots += 1
        return self.slots - 1

    def _slot(self, t: Tensor) -> int | None:
        entry = self._made.get(id(t))
        return entry[1] if entry is not None and entry[0]() is t else None

    def hear(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], out: Any
    ) -> None:
        """A torch function was called, by the forward that is followed."""
        rec = self._recorder
        if not self.on or rec.recomputing or rec.thread.key != rec.home:
            return
        start = perf_counter()
        try:
            with unheard():
                self._note(func, args, kwargs, out)
        except BaseException as e:
            self.forget()
            rec.failed(e, "following the forward", "")
        rec.cost += perf_counter() - start

    def _note(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], out: Any
    ) -> None:
        name = str(getattr(func, "__name__", "")).strip("_")
        if name in _ENDS:
            return self.forget()
        op = of_function(func)
        kind = "" if op is None else op.kind
        name = name if op is None else op.name
        inputs = tensors_in((*args, *kwargs.values()))
        touched = [t for t in inputs if self._slot(t) is not None]
        if not touched:
            return self._begins(name, args, kwargs, out)
        if kind == "loss" or not self._recorder.thread.stack:
            self._compare(name, kind, args, kwargs, inputs)
        if kind == "loss" or not torch.is_grad_enabled():
            return None
        if not _plain(inputs) or len(self.steps) >= MOST:
            return self.forget()
        changed = args[0] if name in WRITES and args else None
        outs = [changed] if changed is not None else floats_in(out)
        if not outs:
            return None
        if not _plain(outs):
            return self.forget()
        kept = tuple(map(self._keep, args)), {k: self._keep(v) for k, v in kwargs.items()}
        shapes = tuple(touched[0].shape), tuple(outs[0].shape)
        site = self._producer(outs[0])
        slots = tuple(map(self._new, outs))
        self.steps.append(RetracedStep(func, name, kind, *kept, slots, *shapes, site))
        if kind != "view":
            self._bytes += sum([t.numel() * t.element_size() for t in outs])
        if self._bytes > BYTES:
            self.forget()
        return None

    def _begins(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        """Where whole numbers become vectors the data can be differentiated by."""
        first = input_of(args, kwargs)
        if not isinstance(first, Tensor) or not isinstance(out, Tensor):
            return
        if name == "embedding" and first.dim() > 1 and not first.is_floating_point():
            self._leaf(out, first.detach())
        elif name == "one_hot":
            self._hot[id(out)] = (weakref.ref(out), first.detach())
        elif name in _CASTS and out.is_floating_point():
            entry = self._hot.get(id(first))
            if entry is not None and entry[0]() is first:
                self._leaf(out, entry[1])

    def _compare(
        self,
        name: str,
        kind: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        inputs: list[Tensor],
    ) -> None:
        """Note what a loss, or a difference or a choice outside of all modules, is about."""
        if kind == "loss":
            both = given(args, kwargs)
        elif name in ("sub", "mul") and [t.shape for t in inputs[1:]] == [inputs[0].shape]:
            both = inputs if inputs[0].requires_grad else inputs[::-1]
        elif name == "gather" and len(inputs) == 2 and inputs[0].dim() == inputs[1].dim():
            both = inputs
        else:
            return
        if len(both) != 2 or not both[0].requires_grad or both[1].requires_grad:
            return
        slot = self._slot(both[0])
        if slot is not None and both[0].dim() and both[1].dim():
            self.pairs.append(Compared(slot, tuple(both[0].shape), both[1].detach()))

    def _keep(self, value: Any) -> Any:
        """A value without the script's own intermediate results."""
        if isinstance(value, Tensor):
            slot = self._slot(value)
            return value if slot is None else Slot(slot)
        if isinstance(value, (tuple, list)) and type(value) is not torch.Size:
            kept = [self._keep(v) for v in value]
            return kept if isinstance(value, list) else tuple(kept)
        return value

    def failed(self, error: BaseException) -> None:
        """To be called in an `except` clause: an error of ours, told as others are."""
        self._recorder.failed(error, "running the forward again", "")

    # -- running it again ---------------------------------------------------------------------
    def play(
        self, until: int, instead: Callable[[RetracedStep, tuple[Any, ...], dict[str, Any]], Any]
    ) -> Played:
        """Once more, `until` that slot is made; to be called `apart`. `instead` of a step is asked
        what to take for its output, None: what the function gives."""
        leaves = [s.value.clone().requires_grad_() for s in self.sources]
        values: list[Tensor | None] = [None] * self.slots
        for s, leaf in zip(self.sources, leaves, strict=True):
            values[s.slot] = leaf.clone()  # a script may write into it
        for step in self.steps:
            if values[until] is not None:
                break
            if not _untouched(step.func):
                raise Unplayable(step.name)
            args = tuple([_given(v, values) for v in step.args])
            kwargs = {k: _given(v, values) for k, v in step.kwargs.items()}
            changes = step.name in WRITES or step.func.__name__.endswith("_")
            if changes and args and isinstance(step.args[0], Tensor):
                args = (args[0].clone(), *args[1:])  # what the script holds stays as it is
            try:
                out = instead(step, args, kwargs)
                if out is None:
                    out = step.func(*args, **kwargs)
            except (RuntimeError, NotImplementedError) as e:  # not with detached tensors
                raise Unplayable(step.name) from e
            outs = [args[0]] if step.name in WRITES else floats_in(out)
            if len(outs) != len(step.outs):
                raise Unplayable(step.name)
            for slot, t in zip(step.outs, outs, strict=True):
                values[slot] = t
        return Played(leaves, values)


class Played(NamedTuple):
    """What a forward has given when it was run again: the data's leaves, and every slot."""

    leaves: list[Tensor]
    values: list[Tensor | None]


def apart(devices: list[int], autocast: list[tuple[str, torch.dtype]]) -> ExitStack:
    """Where a forward is run again: nobody hears it, and random states are put back."""
    stack = ExitStack()
    stack.enter_context(unheard())
    stack.enter_context(torch.random.fork_rng(devices=devices))
    stack.enter_context(torch.enable_grad())
    stack.enter_context(saved_tensors_hooks(_same, _same))
    for kind, dtype in autocast:
        stack.enter_context(torch.autocast(kind, dtype=dtype))
    return stack


def _plain(tensors: list[Tensor]) -> bool:
    """Of no subclass, and with a shape, as a nested tensor has none."""
    return all([type(t) in _PLAIN and not t.is_nested for t in tensors])


def floats_in(out: Any) -> list[Tensor]:
    """The tensors of numbers among the outputs of a function."""
    return [t for t in tensors_in((out,)) if t.is_floating_point()]


def _same(t: Tensor) -> Tensor:
    return t


def _given(value: Any, values: list[Tensor | None]) -> Any:
    if type(value) is Slot:
        found = values[value.number]
        if found is None:
            raise Unplayable("order")
        return found
    if isinstance(value, Tensor):
        t = value.detach()
        # a branch that starts at zero would hide what it depends on
        if value.requires_grad and t.is_floating_point() and not t.count_nonzero():
            t = torch.arange(t.numel(), device=t.device).cos().view(t.shape).to(t.dtype) / 8
        return t
    if type(value) is list:
        return [_given(v, values) for v in value]
    return tuple([_given(v, values) for v in value]) if type(value) is tuple else value


def _untouched(func: Callable[..., Any]) -> bool:
    """Whether a function is torch's own, and calls nothing that somebody has put in its place."""
    if type(func) in PLAIN:
        return True
    if not _of_torch(func):
        return False
    inner = inspect.unwrap(func)
    code = getattr(inner, "__code__", None)
    if code is None:
        return True
    for holder in (inner.__globals__, vars(torch.nn.functional), vars(torch), vars(Tensor)):
        for name in code.co_names:
            found = holder.get(name)
            if inspect.isroutine(found) and type(found) not in PLAIN and not _of_torch(found):
                return False
    return True


def _of_torch(func: Any) -> bool:
    """Is it torch's own, and whatever it is wrapped in, too?"""
    while hasattr(func, "__wrapped__"):
        code = getattr(func, "__code__", None)
        if code is None or not code.co_filename.startswith(FOLDER):
            return False
        func = func.__wrapped__
    return is_torchs(func)
