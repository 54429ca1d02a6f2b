"""Which calls are under way, of modules (per thread) and of torch; how often each was made."""

from __future__ import annotations

import itertools
import threading
import weakref
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from ..network import Op
from .attention import Attention
from .labels import Label
from .mode import Mode
from .modes import Off, switched_off
from .registry import Place
from .scalars import ScalarBuffer

_keys = itertools.count()  # a thread's own ident is used again once it has ended


class Span:
    """Sequence numbers [opened, closed) of the nodes made in one module call."""

    __slots__ = ("call", "closed", "counts", "opened", "place")

    def __init__(self, place: Place, call: int, opened: int) -> None:
        self.place, self.call, self.opened, self.closed = place, call, opened, 1 << 62
        self.counts: dict[str, int] = {}


@dataclass(slots=True, eq=False)
class Frame:
    """One open module call. `ignored`: evaluation, or not part of what is watched; `muted`: a
    root's, like many before it that nobody trained; `leads`: not read, but what follows it is."""

    place: Place
    call: int
    opened: int  # sequence number of the next autograd node when it opened
    ignored: bool = False
    training: bool = True
    span: Span | None = None
    mode: Mode | None = None  # put on for this call alone (a checkpoint's second forward)
    module: nn.Module | None = None
    muted: bool = False
    leads: bool = False
    counts: dict[str, int] = field(default_factory=dict)

    def index(self, op: str) -> int:
        """How many sites with this op came before in this call."""
        n = self.counts.get(op, 0)
        self.counts[op] = n + 1
        return n


class RootCall:
    """One call: where its readings stand in the buffer, and labels of the first and last node.

    `module`: what was called, out of its wrappers; `site`: one made in it, once a graph it is
    part of has been armed.
    """

    def __init__(self, like: tuple[Any, ...], on_data: bool, start: int) -> None:
        self.like, self.on_data, self.start, self.end = like, on_data, start, -1
        self.place: Place = like[0]
        self.first: weakref.ref[Label] | None = None
        self.last: weakref.ref[Label] | None = None
        self.reached = self.blank = False
        self.module: weakref.ref[nn.Module] | None = None
        self.training, self.site, self.off = True, -1, Off()

    def note(self, made: Label) -> None:
        self.last = weakref.ref(made)
        self.first = self.first or self.last

    def ends(self, scalars: ScalarBuffer, nodes: int) -> None:
        """It has returned, after so many nodes were made; without any it can be of no graph."""
        self.end, self.blank = len(scalars), not nodes

    @property
    def labels(self) -> list[Label]:
        """Those of nodes that still exist."""
        refs = (self.first, self.last)
        return [made for ref in refs if ref is not None and (made := ref()) is not None]

    def reach(self, made: Label) -> bool:
        """A graph that is trained holds a node of this call. Was that unknown?"""
        if self.reached:
            return False
        self.reached, self.site = True, -1 if made.site is None else made.site
        module = None if self.module is None else self.module()
        if module is not None and not self.training:
            self.off = switched_off(module)
        return True

    @property
    def gone(self) -> bool:
        """Was its graph let go before any backward came?"""
        return self.first is not None and not self.reached and not self.labels


class Thread(threading.local):
    """What one thread has open. Sequence numbers count per thread, so spans are kept so too.

    `nested`: the mode was put on inside a user's mode and must come off before that call ends.
    """

    def __init__(self) -> None:
        super().__init__()
        self.key = next(_keys)
        self.mode: Mode | None = None
        self.nested = False
        self.suspended: list[tuple[int, Mode]] = []
        self.reset(-1)

    def reset(self, generation: int) -> None:
        self.generation = generation
        self.stack: list[Frame] = []
        self.outside = Frame(Place("", ""), 0, 0)
        self.root: RootCall | None = None  # the call of a root module that is open
        self.sealed: dict[int, int] = {}  # sequence number of an inner node -> its site


class Calls:
    """Numbers the calls of each module between two backward passes."""

    def __init__(self) -> None:
        self._counts: dict[Place, int] = {}

    def next(self, place: Place) -> int:
        """How many times this module was called before."""
        n = self._counts.get(place, 0)
        self._counts[place] = n + 1
        return n

    def made(self, place: Place) -> int:
        return self._counts.get(place, 0)

    def of(self, root: str) -> dict[Place, int]:
        return {place: n for place, n in self._counts.items() if place.root == root}

    def put_back(self, root: str, counts: dict[Place, int]) -> None:
        for place in self.of(root):
            del self._counts[place]
        self._counts.update(counts)

    def reset(self) -> None:
        self._counts.clear()


class OpCall:
    """One torch function under way: what went in, known before in-place ops overwrite it.

    `known` is the site, where it was met before and only its core readings are to be taken; what
    it reads need not be looked up again then, and `inputs` and `params` stay empty.
    """

    __slots__ = (
        "args", "frame", "inner", "inputs", "key", "known", "kwargs", "op", "params", "sealed",
        "seq", "tensors",
    )  # fmt: skip

    def __init__(
        self,
        op: Op,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        seq: int,
        known: int | None,
        frame: Frame,
        thread: Thread,
    ) -> None:
        self.op, self.args, self.kwargs, self.seq, self.known = op, args, kwargs, seq, known
        self.frame, self.key, self.sealed = frame, thread.key, thread.sealed
        self.tensors: list[Tensor] = []
        self.inputs: list[int] = []
        self.params: list[int] = []
        self.inner: Attention | None = None
