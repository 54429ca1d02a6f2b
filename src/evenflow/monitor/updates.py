"""One update after another: made, over, sent to the store; and the step to come prepared."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from ..store import Writer
from ..tape import Recorder, ScalarBuffer, what_depends
from . import hooks
from .apart import Apart
from .cadence import Cadence
from .clock import Clock
from .coming import Coming
from .flush import Flush
from .losses import Losses
from .made import Passes, SampledUpdate
from .misses import Misses
from .optimizers import OptimizerRegistry
from .quiet import Quiet


class Updates:
    """What follows once the conductor knows that an update is made.

        turn:  what was read is taken off the model; the next step is sampled, or counted only
        over:  no optimizer adds to the update any more; it is sent to the store

    Attributes:
        made: the update that is made and not over, if it is sampled.
        passes: the outermost backward passes of the step that is running.
        by_hand: does the script update by itself? None: not known yet.
        within: does an optimizer step within the backward?
        compiled: does a compiled call hold the whole step, the update too?
        closely: is every step to be looked at, as a guard or a healer is there?
        ended: is the watch over?
        beside: tell what our threads took since they were asked last.
    """

    def __init__(
        self,
        writer: Writer,
        cadence: Cadence,
        recorder: Recorder,
        losses: Losses,
        quiet: Quiet,
        misses: Misses,
        apart: Apart,
    ) -> None:
        self._writer, self._cadence, self._recorder = writer, cadence, recorder
        self._losses, self._quiet, self._misses, self._apart = losses, quiet, misses, apart
        self.optimizers = OptimizerRegistry(writer, recorder.registry)
        self.flush = Flush(writer, recorder.registry, cadence)
        self.clock = Clock(cadence)
        self.coming = Coming(cadence, recorder, self.clock, quiet, self.optimizers)
        self.passes = Passes()
        self.made: SampledUpdate | None = None
        self.by_hand: bool | None = None
        self.within = self.compiled = self.closely = self.ended = False
        self.beside: list[Callable[[], float]] = [writer.took]

    @property
    def _step(self) -> int:
        return self._quiet.step

    def begin(self, scalars: ScalarBuffer) -> SampledUpdate:
        """The update of a sampled step begins to be made."""
        self.made = SampledUpdate(self._step, scalars, self._recorder.leftover.taken())
        return self.made

    def turn(self, start: float) -> None:
        """The update of this step is made: what is called from now on belongs to the next.
        `start`: since when this takes our time."""
        self._losses.began()
        made, recorder = self.made, self._recorder
        if made is None or recorder.bounds.was_cut:
            self.made = None
            self.unsampled(start)
        else:
            made.record(self.passes)
            self._misses.turn_over()
            # Only where the update itself is inside a compiled call do such calls count as steps.
            self.compiled = hooks.within_compiled_call()
            if hooks.compiled_seen():
                self.flush.note(self._step, hooks.COMPILED)
            recorder.release()
            if recorder.probes.waiting:
                self._apart.alone(recorder.probes.run, made.scalars)
            if recorder.retrace.ready:
                self._apart.alone(what_depends, recorder.retrace, made.scalars)
            made.took = self.clock.sampled(self._step, start, recorder)
            self.coming.sampled(self._step)
        self.passes.reset()
        self.deliver_if_whole()
        self.next()

    def over(self) -> None:
        if self._quiet.stepped:
            self.deliver()
            self.optimizers.met(self._quiet.stepped)
            self._quiet.over()

    def deliver_if_whole(self) -> None:
        if self.made and self.made.whole(len(self._quiet.stepped), self.optimizers.alive):
            self.deliver()

    def deliver(self) -> None:
        made, self.made = self.made, None
        if made is None or not made.recorded:  # its backward had an error
            return
        start = perf_counter()
        self.optimizers.stepped(made.optimizers, made.rivals(self._recorder.registry))
        self.optimizers.write()
        if self._misses.told(made.finish(), self.flush, made.step):
            self.flush.take(made.scalars.finish(made.step), *made.took)
        self._cadence.also(perf_counter() - start + sum([took() for took in self.beside]))

    def next(self) -> None:
        """The step to come: is it to be sampled?"""
        if self.ended:
            return
        start, coming = perf_counter(), self._step + 1
        if self._writer.error is not None:
            raise RuntimeError(f"the run file cannot be written: {self._writer.error}")
        self.coming.next(coming)
        if self.flush.pending and not self._recorder.recording:
            self.flush.send()
        self.clock.turn(coming, start)
        # What was made is not sent off while another optimizer may add to it.
        busy = self.closely or self.made or self.flush.pending
        if not (busy or self.by_hand is None or self.compiled or self.within):
            self.coming.hush(coming, self.by_hand)

    def unsampled(self, start: float) -> None:
        """The update of a step that was not sampled, or whose sample was given up, is made."""
        said = self.clock.unsampled(self._step, start, self._recorder)
        if said:
            self.flush.note(self._step, said, shown=True)
        kept, self._quiet.losses = self._quiet.losses, []
        self._losses.unsampled(kept)
