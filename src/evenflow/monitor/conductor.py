"""The conductor: hears what the script does, and tells from it where each step begins and ends.

    step k:  forward (recorded if sampled) -> backward -> before_update -> after_update -> k + 1

A step is one update: of all optimizers that step until the next outermost backward begins, those
that step within a backward included. Micro-batches and several backward passes belong to the update
that follows them; an update a GradScaler skips is none. In a script that updates by hand a step is
made by its outermost backward, and the update is read when the next one begins. So a step is *made*
(what follows is recorded for the next one), and *over* a little later.
"""

from __future__ import annotations

import weakref
from base64 import b64encode
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..schema import Event, Run
from ..store import Writer
from ..tape import (
    Recorder,
    Update,
    any_in_place,
    held_by_an_optimizer,
    of_optimizer,
    read_came,
    traced,
)
from .apart import Apart
from .cadence import Cadence
from .guard import Guard
from .idle import Idle
from .losses import Losses
from .made import by_hand, update_of
from .misses import Misses, run
from .quiet import HAND, Quiet
from .unscaling import Unscaling
from .updates import Updates

if TYPE_CHECKING:
    from .healing import Healer

#: So many backward passes without any optimizer's update, and a script is taken to update by hand.
_PATIENCE = 256
#: Forwards that are run again at most, to ask what depends on what: once, if the first can be.
_TRIES = 2
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
        self.healing = healer is not None
        self.misses = Misses(fail)
        self.recorder = Recorder(fail, model, miss=self.misses)
        self.recorder.when_struck.append(self._put_right)
        self.recorder.in_place = any_in_place()
        self.recorder.retrace.wanted = _TRIES
        self.losses = Losses(writer, cadence.alert, name_ops=bool(guard or healer))
        self.quiet = Quiet(self.losses.true, self.losses.fresh)
        self.apart = Apart(self.recorder)
        self.alone = self.apart.alone
        self.updates = updates = Updates(
            writer, cadence, self.recorder, self.losses, self.quiet, self.misses, self.apart
        )
        updates.closely = bool(guard or healer)
        self.optimizers, self.flush, self.passes = updates.optimizers, updates.flush, updates.passes
        self._clock, self._coming = updates.clock, updates.coming
        self._idle = Idle()
        # Of optimizers that are stepping, by id: what they are about to change. Not yet part of an
        # update, as within `step(closure)` a backward may still begin the next one.
        self._parts: dict[int, Update] = {}
        self._void = False  # what is read until the update is no whole sample
        self._native = True
        self.unscaling = Unscaling()

    def open(self) -> None:
        """Begin; what is put on here `abandon` takes off, also if it is half done."""
        if self.guard is not None:
            self.guard.open(self.recorder)
        if self.healer is not None:
            self.healer.open(self, self.guard)
            if self.healer.reviver is not None:
                self.flush.hearers.append(self.healer.reviver.read)
        self._coming.arm(self.step)

    def resume(self, run: Run) -> None:
        """Go on where a run's file ends; before `open`."""
        told = [int(steps[-1]) for steps in (run.steps, run.curve_steps) if len(steps)]
        if run.early:
            self.losses.passed, told = told[-1] + 1, []
        self.quiet.step = max([int(run.meta.get("steps") or 0), *(step + 1 for step in told)])
        self.recorder.registry.restore(run.sites, run.params)
        self._clock.turn(self.step)
        self.flush.note(self.step, f"continued at step {self.step}")

    @property
    def step(self) -> int:
        """Updates that are over."""
        return self.quiet.step

    def before_backward(
        self, outputs: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Callable[[Any], None] | None:
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
            self.updates.over()
        start = perf_counter()
        tensors = [t for t in outputs if isinstance(t, Tensor)]
        scale: Any = 1.0
        if outer:
            self._native = True
            self._void = self._void and self.passes.count > 0
            self.passes.begin()
            if tensors:
                counts = kwargs.get("accumulate_grad", True) or bool(self.updates.by_hand)
                seeds = args[0] if args else ()
                scalars = self.recorder.scalars if self.recorder.recording else None
                scale = self.losses.take(tensors[0], seeds, self.step, counts, scalars)
        elif self.recorder.recording:
            scale = self.recorder.scale
        if self.recorder.recording:
            self.recorder.before_backward(tensors, scale)
        if outer and self.updates.by_hand is None and not self.recorder.recording:
            self.recorder.backward.look([t.grad_fn for t in tensors])
        self._clock.own += perf_counter() - start

    def _after_backward(self, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        start, updates = perf_counter(), self.updates
        # (grad_tensors, retain_graph, create_graph, inputs, ...): a gradient that is itself to be
        # differentiated is a term of a loss, not an update.
        whole = not (len(args) > 2 and args[2]) or kwargs.get("accumulate_grad", True)
        leaves = self.recorder.backward.taken()
        in_vain = self._coming.in_vain()
        if self.recorder.recording:
            self._recorded()
        if self.quiet.stepped:
            updates.turn(start)  # optimizers stepped within this backward
            return
        if updates.by_hand is None:
            updates.by_hand = not self.optimizers.refs and not held_by_an_optimizer(leaves)
            self._idle.note(leaves.values())
        elif self.passes.since >= _PATIENCE and not self.optimizers.refs and not updates.by_hand:
            updates.by_hand = True  # the optimizer there serves something else, or never steps
            self.quiet.step = self._idle.over(self.losses, self.writer, self.passes)
            self._coming.arm(self.step)
            return
        if updates.by_hand and whole:
            inputs = args[3] if len(args) > 3 else kwargs.get("inputs", ())
            self._made_by_hand(start, leaves, inputs, result)
            return
        if in_vain:
            self._void = self._coming.once_more(self.step)
        self._clock.own += perf_counter() - start

    def _recorded(self) -> None:
        """An outermost backward of a sampled step has run."""
        self.recorder.after_backward()
        if self.recorder.full and not self.updates.by_hand:
            self.recorder.sure("reading gradients", "update", read_came, self.recorder)
        if len(self.optimizers.refs) != 1:
            self.passes.end(self.recorder)
        if self.step:
            self._idle.then.clear()  # updates are made: nothing more is to be held
        elif self._idle.long(self.recorder, self.passes):
            self._keep()

    def before_update(self, optimizer: torch.optim.Optimizer, closure: bool = False) -> None:
        """Copy the parameters if this update is to be read; check them if guarded."""
        read = self.recorder.recording or self.updates.made is not None
        if read or self.updates.by_hand is not False:
            self._guarded(self._before_update, optimizer, closure)
        else:
            self._guarded(self.recorder.settle)
        if self.guard is not None and not self.updates.ended:
            self.guard.check(self, optimizer)  # may raise NonFiniteError: that is what "stop" asks
        if self.healer is not None and not closure:
            self._guarded(self.healer.before, optimizer, False)

    def within_update(self, optimizer: torch.optim.Optimizer) -> None:
        if self.healer is not None:
            self._guarded(self.healer.before, optimizer, True)

    def _before_update(self, optimizer: torch.optim.Optimizer, closure: bool) -> None:
        updates = self.updates
        updates.by_hand = False
        self.recorder.settle()
        stepped = self.quiet.stepped
        if HAND in stepped or (id(optimizer) in stepped and not self.recorder.recomputing):
            updates.over()
        if updates.made is not None or (self.recorder.recording and (closure or not stepped)):
            start = perf_counter()
            self.optimizers.index(optimizer)
            self._parts[id(optimizer)] = update_of(self.recorder, of_optimizer(optimizer))
            self._clock.own += perf_counter() - start

    def after_update(self, optimizer: torch.optim.Optimizer) -> None:
        self._guarded(self._after_update, optimizer)

    def _after_update(self, optimizer: torch.optim.Optimizer) -> None:
        start = perf_counter()
        self._native = True
        part = self._parts.pop(id(optimizer), None)
        if self.guard is not None and self.guard.skipped:
            self.guard.hidden.give_back()
            self._skipped("a gradient was NaN or Inf; on_nonfinite is 'skip'")
            return
        if self.healer is not None and self.healer.after():
            self._skipped("")  # its event says more
            return
        index, updates = self.optimizers.index(optimizer), self.updates
        self.optimizers.runs(index)
        stepped, within = self.quiet.stepped, self.recorder.recomputing
        if id(optimizer) in stepped and not within:
            updates.over()  # no backward was seen between
        first = not stepped
        again = self.quiet.steps(id(optimizer))
        self.passes.since = 0
        if first:
            self._coming.alternation.took(index)
            if part is not None and self.recorder.recording and not self._void:
                updates.begin(self.recorder.scalars)
        if part is not None and updates.made:
            self.unscaling.note(optimizer, updates.made.scalars)
            updates.made.take(part, optimizer, index, again)
        updates.within |= within
        if first and not within:
            updates.turn(start)
        elif updates.made and updates.made.recorded:
            self.cadence.also(perf_counter() - start)
            updates.deliver_if_whole()

    def scaled(self, scaler: Any, loss: Any, result: Any) -> None:
        if self.healer is not None:
            self.healer.scaler = scaler
        self._guarded(self.losses.scaled, scaler, loss, result)

    def scaler_stepping(self, optimizer: torch.optim.Optimizer) -> Callable[[], None]:
        """Around GradScaler.step; an update that did not happen is an event, not a step."""
        healer, before = self.healer, self.quiet.count
        healed = healer.left_out if healer is not None else 0
        self.unscaling.within = True

        def after() -> None:
            self.unscaling.over(optimizer)
            if self.quiet.count == before and (not healer or healer.left_out == healed):
                self._guarded(self._skipped, "GradScaler found a non-finite gradient")

        return after

    def _skipped(self, why: str) -> None:
        start = perf_counter()
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
        self._clock.own += perf_counter() - start

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
        if self.updates.compiled and not self._native:
            # The whole step, update included, ran inside the latest compiled call.
            self.updates.unsampled(perf_counter())
            self.updates.next()
            self.quiet.step += 1
        elif self.updates.compiled or HAND in self.quiet.stepped:
            self.updates.over()
        self._native = False

    def _made_by_hand(
        self, start: float, leaves: dict[int, Tensor], inputs: Any, result: Any
    ) -> None:
        if self.healer:
            self.flush.note(self.step, "heal: the script updates by hand; nothing is healed")
        if self.recorder.recording:
            made = self.updates.begin(self.recorder.scalars)
            made.hand = by_hand(self.recorder, leaves, inputs, result)
        self.quiet.stepped.add(HAND)
        self.updates.turn(start)

    def _ends_idle(self) -> None:
        """Was no update ever made? Then what was read is one sample."""
        known = self.step or self.quiet.stepped or self.updates.by_hand is not False
        known = known or (self.quiet.count and not self.passes.skipped)
        scalars = self.recorder.scalars if self.recorder.recording else self._idle.kept
        if not known and scalars is not None:
            self.recorder.bounds.was_cut = False
            self.quiet.step = self._idle.over(self.losses, self.writer, self.passes, scalars) - 1
            self.updates.begin(scalars)
            self.quiet.stepped.add(HAND)
            self.updates.turn(perf_counter())

    def _keep(self) -> None:
        """No update has come for this sample, and it is not to grow any more."""
        self._idle.kept = self.recorder.release()
        self._clock.own += self.recorder.bill()

    def _guarded(self, call: Callable[..., None], *args: Any) -> None:
        if not self.updates.ended:
            run(call, args, self.fail, self.recorder)

    def _put_right(self) -> None:
        self.updates.made, self._parts = None, {}
        self.apart.busy = self.quiet.on = False

    def abandon(self) -> None:
        """Take everything off, read nothing more (also after an error of ours)."""
        self.updates.ended, self.quiet.on = True, False
        self.recorder.disarm()
        if self.guard is not None:
            self.guard.close()
        if self.healer is not None:
            self.healer.close()

    def settle(self) -> None:
        """The file is to be read now: let it hold all that is known."""
        made = self.updates.made
        if made and not made.hand:
            self._guarded(self.updates.deliver)
        self._guarded(self.optimizers.write)

    def close(self) -> None:
        """Take everything off and send what is left."""
        start = perf_counter()
        self._guarded(self._ends_idle)
        self._guarded(self._tell_units)
        self.abandon()
        self.updates.over()
        self.optimizers.write()
        self.misses.tell(self.flush, self.step)
        self.losses.close(self.quiet.losses)
        self.flush.send()
        self.cadence.also(perf_counter() - start + sum([took() for took in self.updates.beside]))
        samples = self._coming.samples
        if not samples:
            self.writer.meta(in_vain=self.recorder.bounds.lost)
        self.writer.meta(steps=self.step, samples=samples, **self.cadence.told)

    def _tell_units(self) -> None:
        told = self.recorder.units.maps()
        self.writer.meta(units={str(i): b64encode(m.tobytes()).decode() for i, m in told.items()})
