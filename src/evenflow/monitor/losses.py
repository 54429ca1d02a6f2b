"""The loss of every step, sampled or not, at its true scale."""

from __future__ import annotations

import math
import weakref
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any

from torch import Tensor

from ..network import of_node
from ..schema import Channel
from ..store import Writer
from ..tape import Scalar, ScalarBuffer, skip_frame, wide
from .inbox import Inbox

#: Losses on a device are gathered for so many seconds, then sent to the host together.
TOGETHER = 0.25
#: And at most so many at a time.
_MOST = 512
#: Losses that may wait for the writer (a forked child that trains on has none).
_WAITING = 1 << 20
#: Steps whose losses may still be added to (several backward passes, parts that come late).
_OPEN = 64


class Losses:
    """Collects what backward is called on. Never waits for a device.

        backward -> on the host:   fresh ------------------------\
                 -> on a device:   held, then an inbox (copied) --> the writer's thread, each half
                                                                    second: one row of the curve

    The writer fetches, so that a kill in the midst of a slow step costs no loss before it; on a
    device those of the last quarter of a second of training may not have been sent yet. Before the
    first update, which may take minutes of micro-batches, each pass is written as -1, -2, ... too.

    `alarm` is called when a loss jumps or is not finite; on the CPU at once, elsewhere not at all
    (a sampled step tells it there). `name_ops` keeps the names of the ops that made a loss.
    """

    def __init__(self, writer: Writer, alarm: Callable[[], None], name_ops: bool) -> None:
        self._alarm, self._name_ops = alarm, name_ops
        self.fresh: deque[tuple[int, float]] = deque(maxlen=_WAITING)
        self._held: list[tuple[int, Tensor]] = []
        self._inbox = Inbox()
        self._since = monotonic()
        self._sums: dict[int, float] = {}  # of the latest steps; the writer's thread's own
        self._scaled: dict[int, tuple[weakref.ref[Tensor], Tensor, Any]] = {}
        self._usual, self._swing, self._seen = 0.0, 0.0, 0  # running mean, mean distance from it
        self.latest: Tensor | None = None
        #: Until the first update: one a backward.
        self._waiting: list[tuple[int, Scalar]] | None = []
        self._left_out: list[tuple[int, Scalar]] = []  # of updates skipped before the first
        self.passed = 0  # before the first update, left out or not
        self._names: list[str] = []  # of the nodes that made the latest loss, nearest first
        writer.fetch(self._fetch)

    @property
    def ops(self) -> str:
        """What made the latest loss, nearest op first: "log <- mul <- sum"."""
        return " <- ".join(of_node(name).name for name in self._names)

    def scaled(self, scaler: Any, loss: Any, result: Any) -> None:
        """Remember a scaled loss by its tensor, to tell its true value when it comes back."""
        if isinstance(loss, Tensor) and isinstance(result, Tensor):
            if len(self._scaled) > 64:
                self._scaled.clear()
            self._scaled[id(result)] = (weakref.ref(result), loss.detach(), scaler)

    def true(self, root: Tensor) -> Tensor:
        """A loss of a quiet step, detached and at its true scale."""
        return self._true(root)[0] if self._scaled else root.detach()

    def _true(self, root: Tensor) -> tuple[Tensor, Any]:
        entry = self._scaled.pop(id(root), None)
        if entry is None or entry[0]() is not root:
            return root.detach(), None
        return entry[1], entry[2]

    def take(
        self, root: Tensor, seeds: Any, step: int, counts: bool, scalars: ScalarBuffer | None
    ) -> Scalar:
        """Keep the loss, unscaled, if this is one: in the curve, and in the `scalars` of a sampled
        step. The factor it was scaled by.

        `seeds` are the gradients backward was given; a loss is a scalar with scalar seeds.
        """
        value, scaler = self._true(root)
        factor: Scalar = 1.0
        held = getattr(scaler, "_scale", None)
        if isinstance(held, Tensor):
            factor = held.item() if held.device.type == "cpu" else wide(held)
            if scalars is not None:
                scalars.add(Channel("step", 0, "scale"), factor)
        given = [g for g in seeds if isinstance(g, Tensor)] if isinstance(seeds, tuple) else []
        plain = value.numel() == 1 and all([g.numel() == 1 for g in given])
        if counts and plain and not value.is_complex():
            value = self.latest = value.reshape(())
            if self._name_ops:
                self._names = _names(root)
            self._note(step, value)
            if scalars is not None:
                scalars.add(Channel("step", 0, "loss"), value)
        return factor

    def skipped(self) -> None:
        """The first update is left out: what waits for it is not the next one's."""
        self._left_out += self._waiting or []
        self._waiting = None if self._waiting is None else []

    def began(self, apart: bool = False) -> None:
        """The first update is made, or none will be: then losses are not one step's (`apart`)."""
        waiting, self._waiting = self._waiting or [], None
        waiting = self._left_out + waiting if apart else waiting
        self._left_out = []
        for i, (step, value) in enumerate(waiting):
            self._keep(step + i if apart else step, value)

    def _note(self, step: int, value: Tensor) -> None:
        kept = value.item() if value.is_cpu else value
        if self._waiting is None:
            self._keep(step, kept)
        else:
            self._waiting.append((step, kept))
            self.passed += 1
            self._keep(-self.passed, kept)
        if isinstance(kept, float):
            self._look(kept)

    def _keep(self, step: int, value: Scalar) -> None:
        if isinstance(value, float):
            self.fresh.append((step, value))
            return
        self._held.append((step, value))
        if len(self._held) >= _MOST or monotonic() - self._since > TOGETHER:
            self._send()

    def _look(self, loss: float) -> None:
        if not math.isfinite(loss):
            self._alarm()
            return
        away = loss - self._usual
        if self._seen < 8:
            self._seen += 1
        elif away > 2 * abs(self._usual) + 4 * self._swing:
            self._alarm()
        rate = 1 / min(self._seen, 16) if self._seen < 8 else 0.0625
        self._usual += rate * away
        self._swing += rate * (abs(away) - self._swing)

    def unsampled(self, kept: list[tuple[int, Tensor | float]]) -> None:
        """An unsampled step is over; `kept` are losses of quiet steps before it (those on the
        host are known to the writer by now)."""
        self.began()
        for at, value in kept:
            if isinstance(value, float):
                self._look(value)
            else:
                self._note(at, value.reshape(()))
        if self._held and monotonic() - self._since > TOGETHER:
            self._send()

    def close(self, kept: list[tuple[int, Tensor | float]]) -> None:
        """Have all of them on the host; the only call that may wait for a device."""
        self.unsampled(kept)
        self._send()
        self._inbox.wait()

    def _send(self) -> None:
        held, self._held, self._since = self._held, [], monotonic()
        if held:
            self._inbox.send([step for step, _ in held], [value for _, value in held])

    def _fetch(self) -> tuple[list[int], list[float]]:
        """What has come since the last time, in the writer's thread: steps, and their losses.

        A step of several losses counts their sum. If one comes late, the step is told again, and
        of a step told twice the latest counts.
        """
        came = [self.fresh.popleft() for _ in range(len(self.fresh))]
        came += self._inbox.taken()
        if self._waiting is None:
            came = [(step, loss) for step, loss in came if step >= 0]
        told: dict[int, float] = {}
        for step, loss in came:
            told[step] = self._sums[step] = self._sums.get(step, 0.0) + loss
        for step in list(self._sums)[:-_OPEN]:
            del self._sums[step]
        return list(told), list(told.values())


skip_frame(Losses._true)
skip_frame(Losses.true)  # called between the user's frames, where torch.compile may be listening


def _names(root: Tensor) -> list[str]:
    names: list[str] = []
    node: Any = root.grad_fn
    while node is not None and len(names) < 4:
        names.append(node.name())
        above = [n for n, _ in node.next_functions if n is not None]
        node = above[0] if above else None
    return names
