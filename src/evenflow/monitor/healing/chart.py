"""Who is being healed: optimizers, the parties they form, and the models they train."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ...lang import _
from ...tape import unwrap
from ..saying import say
from .party import Course, Party
from .snapshot import all_buffers
from .surroundings import refuses, several_processes

if TYPE_CHECKING:
    from ..conductor import Conductor

#: An optimizer that made none of so many latest updates has ended, or waits for its phase.
ACTIVE = 50


class Chart:
    """Knows each optimizer's course, from its first update on."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor
        self._courses: dict[int, Course] = {}
        self._parties: list[Party] = []
        self._latest: Party | None = None  # to step
        self._clock = 0  # updates tried by all

    def close(self) -> None:
        """Take our hooks off the optimizers, let all copies go."""
        for course in self._courses.values():
            course.free()
        self._parties.clear()

    def course(self, optimizer: torch.optim.Optimizer, closure: bool) -> Course:
        """What is known of an optimizer; one that is refused is told so, once."""
        course = self._courses.get(id(optimizer))
        if course is not None and course.ref() is optimizer:
            return course
        conductor = self._conductor
        course = Course(optimizer, conductor.roster.index(optimizer))
        self._courses[id(optimizer)] = course
        only = conductor.model() if conductor.model is not None else None
        why = refuses(optimizer, closure, only)
        if why:
            course.refused = True
            name = type(optimizer).__name__
            conductor.delivery.note(conductor.step, f"heal: {name}: {why}")
            said = _("heal leaves {optimizer} alone: {why}").format(optimizer=name, why=why)
            say(said)
        return course

    def party(self, course: Course, fresh: bool) -> Party:
        """Whom it steps with; `fresh`: a backward has run since the latest update."""
        known = [p for p in self._parties if course in p.courses]
        party = known[0] if known else Party(course)
        if not known:
            if several_processes():
                said = "heal: several processes: only what all of them see alike is acted upon"
                self._conductor.delivery.note(self._conductor.step, said)
            self._parties = [*(p for p in self._parties if p.optimizers), party]
            for idle in self._parties[:-1]:
                if not self._active(idle):  # another fold, another phase: let its copies go
                    idle.snapshots.clear()
        if not fresh and self._latest is not None and self._latest is not party:
            self._latest.join(party)
            self._parties.remove(party)
            party = self._latest
        self._latest = party
        self._clock += 1
        party.seen = self._clock
        return party

    def judges(self, party: Party) -> bool:
        """Does the loss of this party say whether it diverged? Losses of competing optimizers
        (GAN) rise in health; of ranks each has its own, and they must decide alike."""
        if several_processes() or sum(map(self._active, self._parties)) > 1:
            return False
        return len(party.courses) == 1 or self._conductor.passes.since == 1

    def _active(self, party: Party) -> bool:
        return self._clock - party.seen <= ACTIVE

    def roots(self, party: Party | None) -> list[nn.Module]:
        """The models met so far; of a party those it trains."""
        met = self._conductor.recorder.registry.roots
        roots = [unwrap(m) for r in met if (m := r()) is not None]
        if party is None:
            return roots
        own = {id(p) for p in party.params()}
        return [m for m in roots if not own.isdisjoint([id(p) for p in m.parameters()])]

    def buffers_of(self, party: Party) -> list[Tensor]:
        """Buffers of the models it trains."""
        return all_buffers(self.roots(party))

    def name(self, param: Tensor) -> str:
        """A parameter's name."""
        registry = self._conductor.recorder.registry
        return registry.params[registry.add_param(param)].name
