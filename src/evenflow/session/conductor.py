"""The conductor: counts steps, has some of them recorded, and sends what was read to the store.

    step k:  forward (recorded if sampled) -> backward -> before_update -> after_update -> k + 1

A step is one update: of all optimizers that step until the next outermost backward begins, those
that step within a backward included. Micro-batches and several backward passes belong to the update
that follows them; an update a GradScaler skips is none. In a script that updates by hand a step is
made by its outermost backward, and the update is read when the next one begins. So a step is *made*
(what follows is recorded for the next one), and *over* a little later.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..schema import Event, Run
from ..store import Writer
from ..tape import Recorder, any_in_place, held_by_an_optimizer, traced
from . import hooks
from .apart import Apart
from .cadence import Cadence
from .clock import Clock
from .coming import Coming
from .delivery import Delivery
from .guard import Guard
from .idle import Idle
from .losses import Losses
from .made import Made, Parts, Passes, by_hand
from .misses import Misses, run
from .quiet import HAND, Quiet
from .roster import Roster

if TYPE_CHECKING:
    from .heal import Healer

#: So many backward passes without any optimizer's update, and a script is taken to update by hand.
_PATIENCE = 256
#: Samples taken of updates that were skipped, before the first that was made.
_SKIPS = 8


class Conductor:
    """Listens to torch (see `hooks.Listener`) for one watch.

    `fail(error, where)` turns an error of ours into a warning and ends the watch; it never raises
    unless EVENFLOW_STRICT is set."""

    def __init__(
        self,
        writer: Writer,
        cadence: Cadence,
        fail: Callable[[Exception, str], None],
        model: nn.Module | None,
        guard: Guard | None,
        healer: Healer | None = None,
    ) -> None:
        self.writer, self.cadence, self.fail, self.guard = writer, cadence, fail, guard
        self.healer, self.model = healer, None if model is None else weakref.ref(model)
        self.misses = Misses(fail)
        self.recorder = Recorder(fail, model, miss=self.misses)
        self.recorder.when_struck.append(self._put_right)
        self.recorder.in_place = any_in_place()
        self.losses = Losses(writer, cadence.alert, name_ops=bool(guard or healer))
        self.quiet = Quiet(self.losses.true, self.losses.fresh)
        self._by_hand: bool | None = None  # does the script update by itself? None: not known yet
        self.roster = Roster(writer, self.recorder.catalogue)
        self._parts = Parts()
        self._made: Made | None = None  # the update made and not over, if it is sampled
        self.passes = Passes()
        self._idle = Idle()
        self._within = False  # does an optimizer step within the backward?
        self._void = False  # a scaler skipped: no sample until the next backward
        self.apart = Apart(self.recorder)
        self.alone = self.apart.alone
        self.delivery = Delivery(writer, self.recorder.catalogue, cadence)
        self._compiled_step, self._native, self._over = False, True, False
        self.clock = Clock(cadence)
        self._coming = Coming(cadence, self.recorder, self.clock, self.quiet, self.roster)

    def open(self) -> None:
        """Begin; what is put on here `abandon` takes off, also if it is half done."""
        if self.guard is not None:
            self.guard.open(self.recorder)
        if self.healer is not None:
            self.healer.open(self)
            self.delivery.reviver = self.healer.reviver
        self._coming.arm(self.step)

    def resume(self, run: Run) -> None:
        """Go on where a run's file ends; before `open`."""
        told = [int(steps[-1]) for steps in (run.steps, run.curve_steps) if len(steps)]
        self.quiet.step = max([int(run.meta.get("steps") or 0), *(step + 1 for step in told)])
        self.recorder.catalogue.restore(run.sites, run.params)
        self.clock.turn(self.step)
        self.delivery.note(self.step, f"continued at step {self.step}")

    @property
    def step(self) -> int:
        """Updates that are over."""
        return self.quiet.step

    @property
    def samples(self) -> int:
        """Steps that were sampled."""
        return self._coming.samples

    @property
    def healing(self) -> bool:
        """Is anything allowed to be changed?"""
        return self.healer is not None

    def before_backward(
        self, outputs: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Callable[[Any], None] | None:
        """Around every run of the engine."""
        if self.apart.busy or traced():
            return None
        outer = torch._C._current_graph_task_id() == -1
        self._guarded(self._before_backward, outputs, args, kwargs, outer)
        if not outer:
            return None
        return lambda result: self._guarded(self._after_backward, args, kwargs, result)

    def _before_backward(
        self, outputs: Any, args: tuple[Any, ...], kwargs: dict[str, Any], outer: bool
    ) -> None:
        if outer:
            self._over_with_update()
        start = perf_counter()
        tensors = [t for t in outputs if isinstance(t, Tensor)]
        scale: Any = 1.0
        if outer:
            self._native = True
            self.passes.begin()
            self._void = False
            if tensors:
                counts = kwargs.get("accumulate_grad", True) or bool(self._by_hand)
                seeds = args[0] if args else ()
                slab = self.recorder.slab if self.recorder.recording else None
                scale = self.losses.take(tensors[0], seeds, self.step, counts, slab)
        elif self.recorder.recording:
            scale = self.recorder.scale
        if self.recorder.recording:
            self.recorder.before_backward(tensors, scale)
        elif outer and self._by_hand is None:
            self.recorder.backward.look([t.grad_fn for t in tensors])
        self.clock.own += perf_counter() - start

    def _after_backward(self, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        start = perf_counter()
        # (grad_tensors, retain_graph, create_graph, inputs, ...): a gradient that is itself to be
        # differentiated is a term of a loss, not an update.
        whole = not (len(args) > 2 and args[2]) or kwargs.get("accumulate_grad", True)
        recorder, leaves = self.recorder, dict(self.recorder.backward.leaves)
        in_vain = self._coming.in_vain()
        if recorder.recording:
            recorder.after_backward()
            if len(self.roster.refs) != 1:
                self.passes.end(recorder)
            if self.step == 0 and self._idle.long(recorder, self.passes):
                self._keep()
        if self.quiet.stepped:
            self._turn_over(start)  # optimizers stepped within this backward
        elif self._by_hand is None:
            self._by_hand = not self.roster.refs and not held_by_an_optimizer(leaves)
            self._idle.note(leaves.values())
        elif self.passes.since >= _PATIENCE and not self.roster.refs and not self._by_hand:
            self._by_hand = True  # the optimizer there serves something else, or never steps
            self.quiet.step = self._idle.over(self.losses, self.writer, self.passes)
            self._coming.arm(self.step)
            return
        if self._by_hand and whole:
            inputs = args[3] if len(args) > 3 else kwargs.get("inputs", ())
            self._made_by_hand(leaves, inputs, result)
        elif in_vain:
            self._void = self._coming.once_more(self.step)
        self.clock.own += perf_counter() - start

    def before_update(self, optimizer: torch.optim.Optimizer, closure: bool = False) -> None:
        """Copy the parameters if this update is to be read; check them if guarded."""
        if self.recorder.recording or self._made is not None or self._by_hand is not False:
            self._guarded(self._before_update, optimizer, closure)
        else:
            self._guarded(self.recorder.settle)
        if self.guard is not None and not self._over:
            self.guard.check(self, optimizer)  # may raise NonFiniteError: that is what "stop" asks
        if self.healer is not None and not closure:
            self._guarded(self.healer.before, optimizer, False)

    def within_update(self, optimizer: torch.optim.Optimizer) -> None:
        """The closure has run, so that the gradients are there."""
        if self.healer is not None:
            self._guarded(self.healer.before, optimizer, True)

    def _before_update(self, optimizer: torch.optim.Optimizer, closure: bool) -> None:
        self._by_hand = False
        self.recorder.settle()
        stepped = self.quiet.stepped
        if HAND in stepped or (id(optimizer) in stepped and not self.recorder.recomputing):
            self._over_with_update()
        if self._made is not None or (self.recorder.recording and (closure or not stepped)):
            start = perf_counter()
            self.roster.index(optimizer)
            self._parts.before(self.recorder, optimizer)
            self.clock.own += perf_counter() - start

    def after_update(self, optimizer: torch.optim.Optimizer) -> None:
        """An optimizer has stepped."""
        self._guarded(self._after_update, optimizer)

    def _after_update(self, optimizer: torch.optim.Optimizer) -> None:
        start = perf_counter()
        self._native = True
        part = self._parts.after(optimizer)
        if self.guard is not None and self.guard.skipped:
            self.guard.hidden.give_back()
            self._skipped("a gradient was NaN or Inf; on_nonfinite is 'skip'")
            return
        if self.healer is not None and self.healer.after():
            self._skipped("")  # its event says more
            return
        index = self.roster.index(optimizer)
        stepped, within = self.quiet.stepped, self.recorder.recomputing
        if id(optimizer) in stepped and not within:
            self._over_with_update()  # no backward was seen between
        first = not stepped
        stepped.add(id(optimizer))
        self.passes.since = 0
        if first:
            self._coming.took(index)
            if part is not None and self.recorder.recording and not self._void:
                self._made = Made(self.step, self.recorder.slab)
        if part is not None and self._made:
            self._made.take(part, optimizer, index)
        self._within |= within
        if first and not within:
            self._turn_over(start)
        elif self._made and self._made.recorded:
            self.cadence.also(perf_counter() - start)
            self._deliver_if_whole()

    def scaled(self, scaler: Any, loss: Any, result: Any) -> None:
        """GradScaler.scale was called."""
        if self.healer is not None:
            self.healer.scaler = scaler
        self._guarded(self.losses.scaled, scaler, loss, result)

    def scaler_stepping(self) -> Callable[[], None]:
        """Around GradScaler.step; an update that did not happen is an event, not a step."""
        healer, before = self.healer, self.quiet.count
        healed = healer.left_out if healer is not None else 0

        def after() -> None:
            if self.quiet.count == before and (not healer or healer.left_out == healed):
                self._guarded(self._skipped, "GradScaler found a non-finite gradient")

        return after

    def _skipped(self, why: str) -> None:
        if why:
            self.writer.event(Event("skipped", self.step, {"why": why}))
        if self.healer is not None:
            self.healer.guard.held.clear()
        self.passes.reset()
        again = self.recorder.recording or self.cadence.wants(self.step)  # the guard has alerted
        if not self.step and not self.quiet.stepped:
            self.passes.skipped += 1
            self.losses.skipped()
            if self.recorder.recording:
                self._keep()
            again = again and self.passes.skipped < _SKIPS
        if again and not self.quiet.stepped:
            self._void = True
            self._coming.arm(self.step)

    def compiled_call(self) -> bool:
        """Sampled training calls of compiled functions run eagerly, all others as they are."""
        if self.apart.busy or not torch.is_grad_enabled():
            # Compiled evaluation between forward and backward: our mode would be traced into it.
            self._guarded(self.recorder.step_aside)
            return False
        self._guarded(self._compiled_call)
        self._guarded(self.recorder.step_back)
        return self.recorder.recording

    def compiles_in_place(self) -> None:
        """`module.compile()` keeps the method it finds: ours must not be there."""
        self._guarded(self.recorder.step_aside)
        self.recorder.in_place = True
        self._guarded(self.recorder.step_back)

    def _compiled_call(self) -> None:
        if self._compiled_step and not self._native:
            # The whole step, update included, ran inside the latest compiled call.
            self._unsampled(perf_counter())
            self._next()
            self.quiet.step += 1
        elif self._compiled_step or HAND in self.quiet.stepped:
            self._over_with_update()
        self._native = False

    def _made_by_hand(self, leaves: dict[int, Tensor], inputs: Any, result: Any) -> None:
        start = perf_counter()
        if self.healer:
            self.delivery.note(self.step, "heal: the script updates by hand; nothing is healed")
        if self.recorder.recording:
            self._made = Made(self.step, self.recorder.slab)
            self._made.hand = by_hand(self.recorder, leaves, inputs, result)
        self.quiet.stepped.add(HAND)
        self._turn_over(start)

    def _ends_idle(self) -> None:
        """Was no update ever made? Then what was read is one sample."""
        known = self.step or self.quiet.stepped or self._by_hand is not False
        known = known or (self.quiet.count and not self.passes.skipped)
        slab = self._idle.sample(self.recorder)
        if not known and slab is not None:
            self.recorder.bounds.was_cut = False
            self.quiet.step = self._idle.over(self.losses, self.writer, self.passes, slab) - 1
            self._made = Made(self.step, slab)
            self.quiet.stepped.add(HAND)
            self._turn_over(perf_counter())

    def _turn_over(self, start: float) -> None:
        """The update of this step is made: what is called from now on belongs to the next."""
        self.losses.began()
        made, recorder = self._made, self.recorder
        if made is None or recorder.bounds.was_cut:
            self._made = None
            self._unsampled(start)
        else:
            made.record(self.passes)
            self.misses.turn_over()
            # Only where the update itself is inside a compiled call do such calls count as steps.
            self._compiled_step = hooks.within_compiled_call()
            if hooks.compiled_seen():
                self.delivery.note(self.step, hooks.COMPILED)
            recorder.release()
            if recorder.probes.waiting:
                self.alone(recorder.probes.run, made.slab)
            made.took = self.clock.sampled(self.step, start, recorder)
            self._coming.sampled(self.step)
        self.passes.reset()
        self._deliver_if_whole()
        self._next()

    def _keep(self) -> None:
        """No update has come for this sample, and it is not to grow any more."""
        self._idle.keep(self.recorder.release())
        self.clock.own += self.recorder.cost

    def _over_with_update(self) -> None:
        """The update made, if one was, is over."""
        if self.quiet.stepped:
            self._deliver()
            self.quiet.over()

    def _deliver_if_whole(self) -> None:
        if self._made and self._made.whole(len(self.quiet.stepped), self.roster.alive):
            self._deliver()

    def _deliver(self) -> None:
        """Send a sampled update off."""
        made, self._made = self._made, None
        if made is None or not made.recorded:  # its backward had an error
            return
        start = perf_counter()
        self.roster.stepped(made.optimizers, made.rivals(self.recorder.catalogue))
        self.roster.write()
        if self.misses.told(made.finish(), self.delivery, made.step):
            self.delivery.take(made.slab.finish(made.step), *made.took)
        self.cadence.also(perf_counter() - start + self.writer.took())

    def _next(self) -> None:
        """The step to come: is it to be sampled?"""
        if self._over:
            return
        start, coming = perf_counter(), self.step + 1
        if self.writer.error is not None:
            raise RuntimeError(f"the run file cannot be written: {self.writer.error}")
        self._coming.next(coming)
        if self.delivery.waits and not self.recorder.recording:
            self.delivery.send()
        self.clock.turn(coming, start)
        # What was made (`_made`) is not sent off while another optimizer may add to it.
        busy = self.guard or self.healer or self._made or self.delivery.waits
        if not (busy or self._by_hand is None or self._compiled_step or self._within):
            self._coming.hush(coming, self._by_hand)

    def _unsampled(self, start: float) -> None:
        said = self.clock.unsampled(self.step, start, self.recorder)
        if said:
            self.delivery.note(self.step, said, shown=True)
        kept, self.quiet.losses = self.quiet.losses, []
        self.losses.unsampled(kept)

    def _guarded(self, call: Callable[..., None], *args: Any) -> None:
        if not self._over:
            run(call, args, self.fail, self.recorder)

    def _put_right(self) -> None:
        self._made, self._parts, self.apart.busy, self.quiet.on = None, Parts(), False, False

    def abandon(self) -> None:
        """Take everything off, read nothing more (also after an error of ours)."""
        self._over, self.quiet.on = True, False
        self.recorder.disarm()
        if self.guard is not None:
            self.guard.close()
        if self.healer is not None:
            self.healer.close()

    def settle(self) -> None:
        """The file is to be read now: let it hold all that is known."""
        if self._made and not self._made.hand:
            self._guarded(self._deliver)
        self._guarded(self.roster.write)

    def close(self) -> None:
        """Take everything off and send what is left."""
        start = perf_counter()
        self._guarded(self._ends_idle)
        self.abandon()
        self._over_with_update()
        self.roster.write()
        self.misses.tell(self.delivery, self.step)
        self.losses.close(self.quiet.losses)
        self.delivery.send()
        self.cadence.also(perf_counter() - start + self.writer.took())
        if not self.samples:
            self.writer.meta(in_vain=self.recorder.bounds.lost)
        self.writer.meta(steps=self.step, samples=self.samples, **self.cadence.told)
