"""Looking at every operation of a forward that is run again, for the one that made NaN or Inf."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from ..network import MASKING, of_function
from ..tape import PLAIN, Recorder, name_of, original, tensors_within, unheard

#: What is in a tensor, from harmless to worst. "mask": minus infinity and nothing else.
FINE, MASK, INFINITE, NAN = range(4)
#: A row that is all minus infinity makes NaN in here.
_SOFT = ("softmax", "softmin", "attention", "multi_head")


@dataclasses.dataclass(eq=False, slots=True)
class NonFiniteBirth:
    """Where values that are not finite came into being.

    `out` is the operation's output; None for a tensor that came from outside the forward (`given`:
    as an argument of the model).
    """

    op: str
    root: str
    path: str
    call: int
    grade: int
    out: Tensor | None = None
    given: bool = False
    computed_by: str = ""  # of an argument: the operation before the model that made it

    @property
    def put(self) -> bool:
        """Minus infinity put there on purpose, as masks are."""
        return self.grade == MASK and (self.op in MASKING or self.out is None)


class Looker(TorchFunctionMode):
    """Follows values that are not finite from operation to operation; with `Recorder`'s own mode
    above it, whose open module calls tell the place.

    Unlike the tape it sees what runs without gradients, what is done in place and what a cast
    does. Each tensor is looked at before and after, so this is for a replay only.
    """

    def __init__(self, recorder: Recorder, given: Iterable[Tensor]) -> None:
        super().__init__()
        self._recorder = recorder
        self._births: dict[int, NonFiniteBirth] = {}  # by id of a tensor, which `_kept` keeps alive
        self._kept: list[Tensor] = []
        for t in given:
            if level := grade(t):
                node = t.grad_fn
                made = "" if node is None else node.name()
                birth = NonFiniteBirth("input", "", "", 0, level, given=True, computed_by=made)
                self._note(t, birth)

    def birth(self, t: Tensor) -> NonFiniteBirth | None:
        """Where what is not finite in this tensor came from; None if it is finite."""
        return self._births.get(id(t)) if grade(t) else None

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        named = func
        if type(func) not in PLAIN:  # a wrapper of the user's around it is not run twice
            func = original(func, sys._getframe(1))
            named = name_of(named, func)
        name = getattr(named, "__name__", "")
        seen = name in _WRITES or of_function(named) is not None
        if name == "__get__" or "empty" in name or not seen:  # memory as it was found
            return func(*args, **kwargs)
        with unheard():
            given = [(t, g) for t in tensors_within((args, kwargs)) if (g := grade(t))]
        out = func(*args, **kwargs)
        with unheard():
            written = args[:1] if name in _WRITES else ()
            for t in tensors_within((out, written)):
                if level := grade(t):
                    self._note(t, self._from(name.strip("_"), given, t, level))
        return out

    def _from(
        self, op: str, given: list[tuple[Tensor, int]], out: Tensor, level: int
    ) -> NonFiniteBirth:
        """Whose doing it is that `out` is not finite, where `given` of its inputs were not."""
        here = self._here(op, out, level)
        if not given:
            return here
        # Those followed so far come first: running statistics may be what this forward made them.
        worst, most = max(given, key=lambda pair: (id(pair[0]) in self._births, pair[1]))
        before = self._births.get(id(worst))
        if before is None:  # a buffer, an attribute: from outside
            before = dataclasses.replace(here, out=None, grade=most)
            self._note(worst, before)
        soft = any([s in op for s in _SOFT])
        if level == NAN and most == MASK and (soft or before.put):
            return here  # of a mask, as such harmless
        return before

    def _here(self, op: str, out: Tensor, level: int) -> NonFiniteBirth:
        stack = self._recorder.thread.stack
        if not stack:
            return NonFiniteBirth(op, "", "", 0, level, out)
        frame = stack[-1]
        return NonFiniteBirth(op, frame.place.root, frame.place.path, frame.call, level, out)

    def _note(self, t: Tensor, birth: NonFiniteBirth) -> None:
        self._births[id(t)] = birth
        self._kept.append(t)


#: What changes its first argument and is no operation of the tape's.
_WRITES = frozenset({"__setitem__", "copy_", "fill_", "set_", "zero_"})


def grade(t: Tensor) -> int:
    """What is in a tensor: `FINE`, `MASK`, `INFINITE` or `NAN`."""
    if t.layout != torch.strided or t.is_nested or t.is_meta or not t.numel():
        return FINE
    if not (t.is_floating_point() or t.is_complex()):
        return FINE
    x = t.detach()
    if bool(torch.isfinite(x).all()):
        return FINE
    if bool(torch.isnan(x).any()):
        return NAN
    return INFINITE if t.is_complex() or bool((x == math.inf).any()) else MASK
