"""Who is being healed: optimizers, the groups they form, and the models they train."""

from __future__ import annotations

import torch
from torch import nn

from ...lang import _
from ...network import unwrap
from ..saying import say
from ..watched import WatchedTraining
from .group import OptimizerGroup, OptimizerHistory
from .surroundings import refuses, several_processes

#: An optimizer that made none of so many latest updates has ended, or waits for its phase.
ACTIVE = 50


class Grouping:
    """Knows each optimizer's history, from its first update on."""

    def __init__(self, training: WatchedTraining) -> None:
        self._training = training
        self._histories: dict[int, OptimizerHistory] = {}
        self._groups: list[OptimizerGroup] = []
        self._latest: OptimizerGroup | None = None  # to step
        self._clock = 0  # updates tried by all

    def close(self) -> None:
        """Take our hooks off the optimizers, let all copies go."""
        for history in self._histories.values():
            history.free()
        self._groups.clear()

    def history(self, optimizer: torch.optim.Optimizer, closure: bool) -> OptimizerHistory:
        """What is known of an optimizer; one that is refused is told so, once."""
        history = self._histories.get(id(optimizer))
        if history is not None and history.ref() is optimizer:
            return history
        training = self._training
        history = OptimizerHistory(optimizer, training.optimizers.index(optimizer))
        self._histories[id(optimizer)] = history
        only = training.model() if training.model is not None else None
        why = refuses(optimizer, closure, only)
        if why:
            history.refused = True
            name = type(optimizer).__name__
            training.flush.note(training.step, f"heal: {name}: {why}")
            say(_("heal leaves {optimizer} alone: {why}").format(optimizer=name, why=why))
        return history

    def group(self, history: OptimizerHistory, fresh: bool) -> OptimizerGroup:
        """Whom it steps with; `fresh`: a backward has run since the latest update."""
        known = [p for p in self._groups if history in p.histories]
        group = known[0] if known else OptimizerGroup(history)
        if not known:
            if several_processes():
                said = "heal: several processes: only what all of them see alike is acted upon"
                self._training.flush.note(self._training.step, said)
            self._groups = [*(p for p in self._groups if p.optimizers), group]
            for idle in self._groups[:-1]:
                if not self._active(idle):  # another fold, another phase: let its copies go
                    idle.snapshots.clear()
        if not fresh and self._latest is not None and self._latest is not group:
            self._latest.join(group)
            self._groups.remove(group)
            group = self._latest
        self._latest = group
        self._clock += 1
        group.seen = self._clock
        return group

    def judges(self, group: OptimizerGroup) -> bool:
        """Does the loss of this group say whether it diverged? Losses of competing optimizers
        (GAN) rise in health; of ranks each has its own, and they must decide alike."""
        if several_processes() or sum(map(self._active, self._groups)) > 1:
            return False
        return len(group.histories) == 1 or self._training.passes.since == 1

    def _active(self, group: OptimizerGroup) -> bool:
        return self._clock - group.seen <= ACTIVE

    def roots(self, group: OptimizerGroup | None) -> list[nn.Module]:
        """The models met so far; of a group those it trains."""
        met = self._training.recorder.registry.roots
        roots = [unwrap(m) for r in met if (m := r()) is not None]
        if group is None:
            return roots
        own = {id(p) for p in group.params()}
        return [m for m in roots if not own.isdisjoint([id(p) for p in m.parameters()])]
