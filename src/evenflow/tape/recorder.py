"""The recorder: one sampled step from its first training forward to its update.

arm()                          hooks go on, nothing else yet
  root module called           mode on: every op becomes a site with readings
  engine about to run          mode off; the graph is walked and armed
    nodes fire                 delta, forks, dead units
  update                       gradient, weight, update norms
release() -> ScalarBuffer      hooks off; its `finish` sends the numbers to the host
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from ..whose import theirs
from .attention import let_go
from .backward import BackwardReader
from .bounds import Bounds
from .calling import watch_calls
from .forward import ForwardReader
from .frames import Span, Thread
from .isolation import unheard
from .labels import speak_for
from .leftover import Leftover
from .mode import Mode, put_on, take_off
from .modulecalls import ModuleCalls
from .probe import Probes
from .registry import Place, SiteRegistry
from .retrace import Retrace
from .room import room
from .scalars import Scalar, ScalarBuffer
from .units import Units
from .unseen import UnseenNodes, running_node

_task = torch._C._current_graph_task_id
#: Numbers sampled steps, of all recorders: a label may outlive the recorder that wrote it.
_generations = itertools.count(1)


class StepNodes:
    """What is needed to place the nodes of one sampled step that carry no label."""

    def __init__(self) -> None:
        self.sealed: dict[int, dict[int, int]] = {}  # thread -> sequence number -> site
        self.spans: dict[int, list[Span]] = {}
        self.outside = Span(Place("", ""), 0, 0)


class Recorder:
    """Reads sampled steps. The session decides which steps those are.

    `fail(error, where)` is called for an error of our own that ends the watch; the caller turns it
    into a warning. `miss(error, where, stage)` hears of one that costs a reading only, and may
    call `fail`; without it each is a failure. `model` limits the watch to modules of that model
    (losses are always seen). `share` lets a second recorder (a replay) speak of the same sites.
    `reader` reads the forward: a forecast's reads more.
    """

    def __init__(
        self,
        fail: Callable[[Exception, str], None],
        model: nn.Module | None = None,
        share: SiteRegistry | None = None,
        miss: Callable[[Exception, str, str], None] | None = None,
        reader: type[ForwardReader] = ForwardReader,
    ) -> None:
        self.fail = fail
        self.miss = miss or (lambda error, where, stage: fail(error, where))
        self.when_struck: list[Callable[[], None]] = []
        self.registry = share or SiteRegistry()
        self.replays = share is not None  # a replay needs to know what each site read this time
        self.scalars = ScalarBuffer()
        self.units = Units()
        self.forward = reader(self)
        self.probes = Probes(self)
        self.retrace = Retrace(self, self.forward.producer)
        self.calls = ModuleCalls(self, self.forward, self.probes, model)
        self.backward = BackwardReader(self, UnseenNodes(self, self.calls), self.forward.axis)
        self.leftover = Leftover(self.registry)
        self.recording = False
        self.full = True
        self.alike: Counter[int] = Counter()  # by parameter: readings of its units' likeness
        self.unread: dict[int, tuple[float, float]] = {}  # likewise: see `Update._inferred`
        self.came: dict[int, Scalar] = {}  # by parameter: see `parameters.read_came`
        self.generation = 0  # of the sampled step
        self.oldest = 0  # the oldest generation whose nodes are still known
        self.cost, self.heard = 0.0, 0  # seconds of the sampled step; times that torch called us
        self.bounds = Bounds()
        self.started = self.early = 0.0  # when training began (see `begins`); our seconds before
        self.scale: Scalar = 1.0
        self.in_place = True  # may a module have been compiled in place? (`watch_calls`)
        self.home = -1  # the thread that armed
        self._thread = Thread()
        self._made = [StepNodes()]  # of this sampled step, and of the one right before
        self._unwatch: Callable[[], None] | None = None
        if model is not None:
            self.registry.add_root(model)

    # -- what the readers use -----------------------------------------------------------------
    @property
    def thread(self) -> Thread:
        """The calling thread's open calls, cleared when a new sampled step began."""
        t = self._thread
        if t.generation != self.generation:
            t.reset(self.generation)
            self._made[0].sealed[t.key] = t.sealed
        return t

    @property
    def recomputing(self) -> bool:
        """Does a backward run? Then a forward is a checkpoint's, run again."""
        return bool(_task() != -1)

    def at_data(self) -> bool:
        return self.backward.unseen.at_data()

    def add(self, of: str, id: int, metric: str, value: Scalar) -> None:
        self.scalars.add((of, id, metric, -1), value)

    def sealed(self, thread: int, seq: int) -> int | None:
        """The site whose composite op made the node with this sequence number."""
        for made in self._made:
            site = made.sealed.get(thread, {}).get(seq)
            if site is not None:
                return site
        return None

    def span(self, thread: int, seq: int) -> Span:
        """The innermost module call that was open when the node was made."""
        for made in self._made:
            for span in reversed(made.spans.get(thread, ())):
                if span.opened <= seq < span.closed:
                    return span
        return self._made[0].outside

    def keep(self, thread: int, span: Span) -> None:
        self._made[0].spans.setdefault(thread, []).append(span)

    def timed(self, call: Callable[..., Any], *args: Any) -> None:
        """Run a read of ours inside somebody else's code: its time counts, its errors stay."""
        start = perf_counter()
        self.heard += 1
        try:
            with unheard():
                call(*args)
        except BaseException as e:
            self.failed(e, f"reading a gradient ({getattr(call, '__name__', call)})", "backward")
        self.cost += perf_counter() - start
        if self.recording and self.bounds.over(self.cost):
            self.cut()

    def failed(self, error: BaseException, where: str, stage: str) -> None:
        """To be called in an `except` clause: an error struck inside a reading of ours. The user's
        own goes on once our state is put right; ours costs this reading. `stage`: which part of
        a sample it belongs to, "" for a reading that others do not rest on."""
        with room:
            if theirs(error):
                self.struck()
                raise error
            assert isinstance(error, Exception)
            self.miss(error, where, stage)

    def sure(self, where: str, stage: str, call: Callable[..., Any], *args: Any) -> Any:
        """The result of a reading of ours, None where it failed."""
        try:
            return call(*args)
        except BaseException as e:
            self.failed(e, where, stage)
            return None

    # -- one sampled step ---------------------------------------------------------------------
    def arm(self, full: bool, step: int = 0, follows: bool = False) -> None:
        """The next training forward, that of `step`, is to be read.

        `follows`: the step before was sampled too, so what was computed then and is used now (a
        GAN's fakes, made before the discriminator's update) keeps its names.
        """
        previous, self.generation = self.generation, next(_generations)
        speak_for(self.generation, self.registry)
        self.recording, self.full, self.cost, self.heard = True, full, 0.0, 0
        self.bounds.begin()
        self.scalars, self.came = ScalarBuffer(), {}
        self.units.begin(step)
        self.backward.reset()
        self.forward.reset()
        self.leftover.begin()
        self.retrace.begin(full)
        self._made = [StepNodes(), self._made[0]] if follows else [StepNodes()]
        self.oldest = previous if follows else self.generation
        self.home = self.thread.key
        self.calls.reset(follows)
        if self._unwatch is None:
            self._unwatch = watch_calls(self.calls, special=self.in_place)
        if not self.calls.seen:
            self.mode_on()  # perhaps a script without modules: nothing else tells when it starts

    def begins(self, now: float = 0.0) -> None:
        """A module is called, now, or (0: nobody knows since when) a backward begins. What was read
        before the first ever is of a script that builds and loads."""
        if self.started == 0.0:
            self.started, self.early = now or -math.inf, self.cost if now else 0.0
            if now:
                self.bounds.starts()

    def bill(self) -> float:
        """Seconds that reading took; the caller counts them from here on."""
        cost, self.cost = self.cost, 0.0
        return cost

    def release(self) -> ScalarBuffer:
        """The step's forward and backward are over; its scalars, to which the update may add."""
        self.forward.late()
        self.calls.roots.drop(self.scalars)
        for site, (dead, observed) in self.units.take().items():
            self.add("site", site, "dead", dead)
            self.add("site", site, "observed", observed)
        scalars, self.scalars = self.scalars, ScalarBuffer()
        self.disarm()
        return scalars

    def count(self) -> None:
        """One more site is being read."""
        self.bounds.reads += 1
        if self.bounds.over(self.cost):
            self.cut()
        elif self.bounds.full:
            self.mode_off()

    def cut(self) -> None:
        """Give this sample up: it takes too long."""
        self.bounds.was_cut = True
        self._lose("time")

    def give_up(self) -> None:
        """Give this sample up: what it read is nothing that is trained (`rootcalls`)."""
        self.bounds.in_vain = True
        self.calls.roots.more_patience()
        self._lose("untrained")

    def _lose(self, why: str) -> None:
        self.bounds.lost = why
        self.retrace.forget()
        leaves = dict(self.backward.leaves)  # who updates them is asked all the same
        self.disarm()
        self.backward.leaves.update(leaves)

    def disarm(self) -> None:
        """Take everything off the model. Safe to call at any time."""
        self.recording = False
        self.mode_off()
        if self._thread.mode is None:
            self._unhook()
        self.forward.reset()
        self.backward.reset()

    def struck(self) -> None:
        """An error of the user's struck inside our code: this sample is none, and all is taken off
        that it may have left half done. Raises nothing, for that error is the one to be told."""
        self.recording = False
        self.probes.waiting.clear()
        self.retrace.forget()
        for undo in (let_go, self.disarm, *self.when_struck):
            with contextlib.suppress(Exception):
                undo()
        room.empty()

    def _unhook(self) -> None:
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None

    def before_backward(self, outputs: Sequence[Tensor], scale: Scalar) -> None:
        """The engine is about to run from these tensors."""
        self.scale = scale
        nested = self.recomputing
        if not nested:
            self.mode_off()
            self.retrace.close()
            self.forward.late()
            self.backward.begin()
            self.begins()
        if self.bounds.nothing_new():
            return
        nodes = [t.grad_fn for t in outputs if isinstance(t, Tensor)]
        self.backward.arm(nodes, self.thread.key, running_node() if nested else None)
        if self.recording and not nested:
            reached = self.backward.latest.values()
            self.sure("reading gradients left", "", self.leftover.look, reached, self.full)
        if self.recording and not self.calls.roots.arrive(self.generation):
            self.give_up()

    def after_backward(self) -> None:
        """An outermost backward has run: the next forward is a new micro-batch."""
        self.calls.after_backward()
        self.forward.inputs.clear()
        self._made[0].outside.counts.clear()
        self.thread.outside.counts.clear()

    # -- the mode -----------------------------------------------------------------------------
    def mode_on(self) -> None:
        """Every op of this thread is seen from here on."""
        thread = self.thread
        if thread.mode is None:
            thread.mode = Mode(self.forward)
            thread.nested = not put_on(thread.mode)
        thread.mode.paused = False

    def mode_off(self) -> None:
        """Take the mode off, or silence it until `settle` can (see `take_off`)."""
        thread = self._thread
        if thread.mode is None:
            return
        thread.mode.paused = True
        if take_off(thread.mode):
            thread.mode, thread.nested = None, False

    def step_aside(self) -> None:
        """Nothing of ours may be seen while something is compiled: take all off for now."""
        self.mode_off()
        self._unhook()

    def step_back(self) -> None:
        """Be there again for the rest of a sampled step."""
        self.settle()
        if self.recording and self._unwatch is None:
            self._unwatch = watch_calls(self.calls, special=self.in_place)

    @property
    def clean(self) -> bool:
        """Is nothing of ours on the model or on the stack of modes?"""
        return not self.recording and self._unwatch is None and self._thread.mode is None

    def settle(self) -> None:
        """Take off what had to stay during a backward."""
        mode = self._thread.mode
        if mode is not None and mode.paused:
            self.mode_off()
        if not self.recording and self._thread.mode is None:
            self._unhook()
