"""The conductor: counts steps, has some of them recorded, and sends what was read to the store.

    step k:  forward (recorded if sampled) -> backward -> before_update -> after_update -> k + 1

A step is one completed update of one optimizer. Micro-batches and several backward passes belong
to the update that follows them; an update a GradScaler skips is none. In a script that updates by
hand a step ends with its outermost backward, and the update is read when the next one begins.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..schema import Channel, Event
from ..store import Writer
from ..tape import (
    Recorder,
    Slab,
    Update,
    any_in_place,
    held_by_an_optimizer,
    of_optimizer,
    settings,
    traced,
)
from . import hooks
from .cadence import Cadence
from .delivery import Delivery
from .guard import Guard
from .losses import Losses
from .quiet import STRETCH, Quiet
from .roster import Roster
from .turns import Turns

if TYPE_CHECKING:
    from .heal import Healer

#: So many backward passes without any optimizer's update, and a script is taken to update by hand.
_PATIENCE = 256


class Conductor:
    """Listens to torch (see `hooks.Listener`) for one watch.

    `fail(error, where)` turns an error of ours into a warning and ends the watch; it is called
    at most a few times and never raises unless EVENFLOW_STRICT is set.
    """

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
        self.recorder = Recorder(fail, model)
        self.recorder.in_place = any_in_place()
        self.losses = Losses(writer, cadence.alert, name_ops=bool(guard or healer))
        self.quiet = Quiet(self.losses.true)
        self.samples = 0
        self._by_hand: bool | None = None
        self.roster = Roster(writer, self.recorder.catalogue)
        self._turns = Turns()
        self._update: tuple[Update, int] | None = None  # and the optimizer's id
        self._hand: tuple[Slab, Update, int, float] | None = None
        self.backwards = 0  # passes since the latest update
        self._busy = False
        self._over = False
        self._ended, self._ended_step = perf_counter(), 0
        self.delivery = Delivery(writer, self.recorder.catalogue, cadence)
        self._compiled_step = False
        self._native = True
        self._own = 0.0
        self._latest = -2  # the latest sampled step
        if guard is not None:
            guard.open(self.recorder.catalogue)
        if healer is not None:
            healer.open(self)
            self.delivery.reviver = healer.reviver
        self._arm()

    @property
    def step(self) -> int:
        """Completed updates."""
        return self.quiet.step

    @property
    def healing(self) -> bool:
        """Is anything allowed to be changed?"""
        return self.healer is not None

    # -- hooks.Listener -----------------------------------------------------------------------
    def before_backward(
        self, outputs: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Callable[[Any], None] | None:
        """Around every run of the engine."""
        if self._busy or traced():
            return None
        outer = torch._C._current_graph_task_id() == -1
        self._guarded(self._before_backward, outputs, args, kwargs, outer)
        if not outer:
            return None
        # (grad_tensors, retain_graph, create_graph, inputs, ...): a gradient that is itself to be
        # differentiated is a term of a loss, not an update.
        inputs = args[3] if len(args) > 3 else kwargs.get("inputs", ())
        whole = not (len(args) > 2 and args[2]) or kwargs.get("accumulate_grad", True)
        return lambda result: self._guarded(self._after_backward, inputs, result, bool(whole))

    def _before_backward(
        self, outputs: Any, args: tuple[Any, ...], kwargs: dict[str, Any], outer: bool
    ) -> None:
        start = perf_counter()
        tensors = [t for t in outputs if isinstance(t, Tensor)]
        scale: Any = 1.0
        if outer:
            self._native = True
            self.backwards += 1
            self._close_hand()
            if tensors:
                counts = kwargs.get("accumulate_grad", True) or bool(self._by_hand)
                loss, scale = self.losses.take(
                    tensors[0], args[0] if args else (), self.step, counts
                )
                if self.recorder.recording:
                    if loss is not None:
                        self.recorder.add("step", 0, "loss", loss)
                    if scale != 1.0:
                        self.recorder.add("step", 0, "scale", scale)
        elif self.recorder.recording:
            scale = self.recorder.scale
        if self.recorder.recording:
            self.recorder.before_backward(tensors, scale)
        self._own += perf_counter() - start

    def _after_backward(self, inputs: Any, result: Any, whole: bool) -> None:
        start = perf_counter()
        recorder = self.recorder
        leaves = dict(recorder.backward.leaves)
        if recorder.recording:
            recorder.after_backward()
        if self._by_hand is None:
            self._by_hand = not self.roster.refs and not held_by_an_optimizer(leaves)
        elif self.backwards >= _PATIENCE and not self.roster.refs:
            self._by_hand = True  # the optimizer there is serves something else
        if self._by_hand and whole:
            self._end_by_hand(leaves, inputs, result)
        self._own += perf_counter() - start

    def before_update(self, optimizer: torch.optim.Optimizer, closure: bool = False) -> None:
        """Copy the parameters if this update is to be read; check them if guarded. With a
        closure the gradients come later: see `within_update`."""
        if self.recorder.recording or self._hand is not None or self._by_hand is not False:
            self._guarded(self._before_update, optimizer)
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

    def _before_update(self, optimizer: torch.optim.Optimizer) -> None:
        self._by_hand = False
        self.recorder.settle()
        if self._hand is not None:
            self._close_hand()
        if self.recorder.recording:
            start = perf_counter()
            self.roster.index(optimizer)
            self._update = (Update(self.recorder, of_optimizer(optimizer)), id(optimizer))
            self._own += perf_counter() - start

    def after_update(self, optimizer: torch.optim.Optimizer) -> None:
        """A step is complete."""
        self._guarded(self._after_update, optimizer)

    def _after_update(self, optimizer: torch.optim.Optimizer) -> None:
        start = perf_counter()
        self._native = True
        if self.guard is not None and self.guard.skipped:
            self.guard.hidden.give_back()
            self._skipped("a gradient was NaN or Inf; on_nonfinite is 'skip'")
            return
        if self.healer is not None and self.healer.after():
            self._skipped("")  # its event says more
            return
        index = self.roster.index(optimizer)
        self._turns.took(index)
        update, self._update = self._update, None
        if self.recorder.recording and update is not None and update[1] == id(optimizer):
            self._note_compiled()
            update[0].gradients()
            update[0].applied()
            slab = self.recorder.release()
            for name, value in settings(optimizer).items():
                slab.add(Channel("step", 0, name), value)
            slab.add(Channel("step", 0, "optimizer"), float(index))
            self._sampled(slab, self.step, start)
        else:
            self._unsampled()
        self._next()

    def scaled(self, scaler: Any, loss: Any, result: Any) -> None:
        """GradScaler.scale was called."""
        if self.healer is not None:
            self.healer.scaler = scaler
        self._guarded(self.losses.scaled, scaler, loss, result)

    def scaler_stepping(self) -> Callable[[], None]:
        """Around GradScaler.step; an update that did not happen is an event, not a step."""
        before, healed = self.step, self.healer.left_out if self.healer is not None else 0

        def after() -> None:
            if self.healer is not None and self.healer.left_out > healed:
                return
            if self.step == before:
                self._guarded(self._skipped, "GradScaler found a non-finite gradient")

        return after

    def _skipped(self, why: str) -> None:
        if why:
            self.writer.event(Event("skipped", self.step, {"why": why}))
        if self.healer is not None:
            self.healer.guard.held.clear()
        self.backwards = 0
        if self.recorder.recording:
            self._arm()

    def compiled_call(self) -> bool:
        """Sampled training calls of compiled functions run eagerly, all others as they are."""
        if self._busy or not torch.is_grad_enabled():
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
            self._unsampled()
            self._next()
        self._close_hand()
        self._native = False

    # -- steps --------------------------------------------------------------------------------
    def _end_by_hand(self, leaves: dict[int, Tensor], inputs: Any, result: Any) -> None:
        if self.healer is not None:
            self.delivery.note(self.step, "heal: the script updates by hand; nothing is healed")
        if self.recorder.recording:
            grads: dict[int, Tensor] | None = None
            if inputs:
                leaves = {id(p): p for p in inputs if isinstance(p, Tensor) and p.is_leaf}
                grads = {
                    id(p): g
                    for p, g in zip(inputs, result or (), strict=False)
                    if isinstance(g, Tensor)
                }
            self._note_compiled()
            update = Update(self.recorder, leaves.values())
            update.gradients(grads or None)
            self._hand = (self.recorder.release(), update, self.step, perf_counter())
        else:
            self._unsampled()
        self._next()

    def _close_hand(self) -> None:
        """The update made by hand after the latest sampled backward is done by now."""
        if self._hand is None:
            return
        (slab, update, step, _), self._hand = self._hand, None
        update.applied()
        self._sampled(slab, step, perf_counter())

    def _next(self) -> None:
        self.quiet.step += 1
        self.backwards = 0
        if self.writer.error is not None:
            raise RuntimeError(f"the run file cannot be written: {self.writer.error}")
        if self._turns.samples(self.cadence.wants(self.step)):
            self._arm(follows=self._latest == self.step - 1)
        elif self.recorder.recording:
            self.recorder.disarm()
        if self.delivery.waits and not self.recorder.recording:
            self.delivery.send()
        self._ended, self._ended_step = perf_counter(), self.step
        self._own = 0.0
        if self._by_hand is False and len(self.roster.refs) == 1 and not self._compiled_step:
            self._hush()

    def _hush(self) -> None:
        """Until the next step is due, or losses are to be looked at, steps are only counted."""
        checked = self.guard is not None or self.healer is not None
        if not checked and self.recorder.clean and not self.delivery.waits:
            due = self.cadence.due(self.step)
            self.quiet.begin(self.roster.refs[0], min(STRETCH, due - self.step))

    def _arm(self, follows: bool = False) -> None:
        if self.cadence.every == 0:
            return
        hooks.watch_compiled()
        self.recorder.arm(self.cadence.dear(self.step, self.samples), self.step, follows)

    def _unsampled(self) -> None:
        since = self.step + 1 - self._ended_step
        self.cadence.ran_bare((perf_counter() - self._ended) / since)
        kept, self.quiet.losses = self.quiet.losses, []
        self.losses.unsampled(self.step, kept)

    def _sampled(self, slab: Slab, step: int, start: float) -> None:
        """A sampled step is complete: send it off."""
        slab.add(Channel("step", 0, "backwards"), float(self.backwards))
        recorder = self.recorder
        if recorder.probes.waiting:
            self._busy = True
            try:
                recorder.slab, kept = slab, recorder.slab
                recorder.probes.run()
                recorder.slab = kept
            finally:
                self._busy = False
        pending = slab.finish(step)
        self.losses.flush(step)
        now = perf_counter()
        # Before the first step a script builds and loads: that is none of the step's.
        began = self._ended if step else max(self._ended, recorder.started)
        wall, cost = now - began, recorder.cost + self._own + now - start
        self.samples += 1
        self._latest = step
        if self.delivery.take(pending, wall, cost):
            cost += perf_counter() - now
            wall += perf_counter() - now
        self.cadence.ran_sampled(step, wall, cost)

    # -- the rest -----------------------------------------------------------------------------
    def _note_compiled(self) -> None:
        """Only where the update itself is inside a compiled call do such calls count as steps."""
        self._compiled_step = hooks.within_compiled_call()
        if hooks.compiled_seen():
            self.delivery.note(
                self.step,
                "compiled training: sampled steps run eagerly; where the model draws random "
                "numbers (dropout), sampling changes the random stream (every=0 restores equality)",
            )

    def _guarded(self, call: Callable[..., None], *args: Any) -> None:
        if self._over:
            return
        try:
            call(*args)
        except Exception as e:
            self.fail(e, getattr(call, "__name__", "").strip("_").replace("_", " "))

    def alone(self, call: Callable[..., Any], *args: Any) -> Any:
        """Run something of ours that calls the model, unseen by this session."""
        was, self.recorder.recording = self.recorder.recording, False
        busy, self._busy = self._busy, True
        try:
            return call(*args)
        finally:
            self.recorder.recording, self._busy = was, busy

    def abandon(self) -> None:
        """Take everything off, read nothing more (also after an error of ours)."""
        self._over, self.quiet.on = True, False
        self.recorder.disarm()
        if self.guard is not None:
            self.guard.close()
        if self.healer is not None:
            self.healer.close()

    def close(self) -> None:
        """Take everything off and send what is left."""
        self.abandon()
        self._close_hand()
        self.losses.close(self.step, self.quiet.losses)
        self.delivery.send()
        self.writer.meta(steps=self.step, samples=self.samples)
