"""The loss of every step, sampled or not, at its true scale."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from typing import Any

from torch import Tensor

from ..schema import Channel
from ..store import Writer
from ..tape import Pending, Scalar, Slab, of_node, skip_frame

#: Losses kept on their device before they are sent to the host together.
_TOGETHER = 512


class Losses:
    """Collects what backward is called on. Never waits for a device.

    `alarm` is called when a loss jumps or is not finite; on the CPU at once, elsewhere not at all
    (a sampled step tells it there). `name_ops` keeps the names of the ops that made a loss.
    """

    def __init__(self, writer: Writer, alarm: Callable[[], None], name_ops: bool) -> None:
        self._writer, self._alarm, self._name_ops = writer, alarm, name_ops
        self._curve = Slab()
        self._sent: list[Pending] = []
        self._scaled: dict[int, tuple[weakref.ref[Tensor], Tensor, Any]] = {}
        self._usual, self._swing, self._seen = 0.0, 0.0, 0  # running mean, mean distance from it
        self.latest: Tensor | None = None
        self.ops = ""  # what made the latest loss, nearest op first: "log <- mul <- sum"

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

    def take(self, root: Tensor, seeds: Any, step: int, counts: bool, slab: Slab | None) -> Scalar:
        """Keep the loss, unscaled, if this is one: in the curve, and in the `slab` of a sampled
        step. The factor it was scaled by.

        `seeds` are the gradients backward was given; a loss is a scalar with scalar seeds.
        """
        value, scaler = self._true(root)
        factor: Scalar = 1.0
        held = getattr(scaler, "_scale", None)
        if isinstance(held, Tensor):
            factor = held.item() if held.device.type == "cpu" else held.double()
            if slab is not None:
                slab.add(Channel("step", 0, "scale"), factor)
        given = [g for g in seeds if isinstance(g, Tensor)] if isinstance(seeds, tuple) else []
        plain = value.numel() == 1 and all(g.numel() == 1 for g in given)
        if counts and plain and not value.is_complex():
            value = self.latest = value.reshape(())
            if self._name_ops:
                self.ops = _ops(root)
            self._note(step, value)
            if slab is not None:
                slab.add(Channel("step", 0, "loss"), value)
        return factor

    def _note(self, step: int, value: Tensor) -> None:
        self._curve.add(Channel("step", step, "loss"), value)
        if value.device.type == "cpu":
            self._look(value.item())

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

    def flush(self, step: int, at_least: int = 1) -> None:
        """Send what was collected, if it is so much; write what has arrived."""
        if len(self._curve) >= at_least:
            self._sent.append(self._curve.finish(step))
        while self._sent and (len(self._sent) > 1 or self._sent[0].ready):
            self._write(self._sent.pop(0))

    def unsampled(self, step: int, kept: list[tuple[int, Tensor]]) -> None:
        """An unsampled step is over; `kept` are losses of quiet steps before it."""
        for at, value in kept:
            self._note(at, value.reshape(()))
        if len(self._curve) >= _TOGETHER:
            self.flush(step)

    def close(self, step: int, kept: list[tuple[int, Tensor]]) -> None:
        """Write all."""
        self.unsampled(step, kept)
        self.flush(step)
        while self._sent:
            self._write(self._sent.pop(0))

    def _write(self, pending: Pending) -> None:
        reading = pending.reading({})
        self._writer.curve([c.id for c in reading.channels], reading.values.tolist())


skip_frame(Losses._true)
skip_frame(Losses.true)  # called between the user's frames, where torch.compile may be listening


def _ops(root: Tensor) -> str:
    names: list[str] = []
    node: Any = root.grad_fn
    while node is not None and len(names) < 4:
        names.append(of_node(node.name()).name)
        node = next((n for n, _ in node.next_functions if n is not None), None)
    return " <- ".join(names)
