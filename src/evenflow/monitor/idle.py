"""Before the first update: gradients come, and nobody takes them up."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from functools import partial

from torch import Tensor

from ..schema import Channel
from ..store import Writer
from ..tape import Recorder, ScalarBuffer, local, mute
from .losses import Losses
from .made import Passes

#: Parameters looked at, and elements of each.
_FEW, _SOME = 16, 256
#: Elements up to which a parameter is held until the first update: a script may be through with its
#: network before the watch closes, and of what is gone nobody can say whether it moved.
_HELD = 1 << 16
#: Passes that a sample holds, at least, before it is kept as it is.
_PASSES = 3


class Idle:
    """Does anything move, while an optimizer that is there has not stepped?

    Some elements of a few parameters as they were at the first backward are held against what
    they are later. Also right where a script writes through `.data`, which no version counts.
    """

    def __init__(self) -> None:
        self.then: list[tuple[Callable[[], Tensor | None], Tensor]] = []
        #: A sample that no update came for, and that is not to grow any more.
        self.kept: ScalarBuffer | None = None

    def long(self, recorder: Recorder, passes: Passes) -> bool:
        """Has the sample that waits for the first update taken half of what it may?"""
        return passes.count > _PASSES and recorder.cost > recorder.bounds.limit / 2

    def note(self, leaves: Iterable[Tensor]) -> None:
        """The first backward has reached these."""
        for p in [p for p in leaves if not mute(local(p))][:_FEW]:
            ref = partial(_itself, p) if p.numel() <= _HELD else weakref.ref(p)
            self.then.append((ref, _part(p).clone()))

    def over(
        self, losses: Losses, writer: Writer, passes: Passes, scalars: ScalarBuffer | None = None
    ) -> int:
        """No optimizer has taken up a gradient in all these passes, whose number is returned.

        Then each loss stands for itself, the last one in the sample that was open too, and the
        count begins anew.
        """
        losses.began(apart=True)
        count = max(passes.since, passes.skipped)
        if self._still:
            writer.meta(no_update=count, skipped=passes.skipped)
        if scalars is not None and losses.latest is not None:
            scalars.replace(Channel("step", 0, "loss"), losses.latest)
        passes.reset()
        return count

    @property
    def _still(self) -> bool:
        """Is all that was noted, and is still alive, as it was? False where nothing is."""
        now = [(p, then) for ref, then in self.then if (p := ref()) is not None]
        return bool(now) and all([_part(p).equal(then) for p, then in now])


def _itself(p: Tensor) -> Tensor:
    return p


def _part(p: Tensor) -> Tensor:
    return local(p).detach().reshape(-1)[:_SOME]
