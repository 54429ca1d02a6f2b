"""Losses on their way from a device to the host, read without a word to the device."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

#: What stands where a loss has not come yet: the bits of a NaN that no arithmetic makes.
_MARK = 0x7FF4_E7E4_F10A_0001
_ROOM = 512


class Inbox:
    """Copies arrive in page-locked memory, where any thread may look whether they have.

    `send` is the training thread's: it queues a copy behind the work that makes the losses and
    goes on. `taken` is another thread's, and calls nothing of the device's: a call from there
    would break a graph that is being captured, a wait would hold up the training. So there is no
    event to ask; a copy has come when no mark is left.
    """

    def __init__(self) -> None:
        self._on_the_way: deque[tuple[list[int], npt.NDArray[np.float64], Tensor | None]] = deque()
        self._spare: list[Tensor] = []  # kept: to free it would be a call to the device
        self._streams: dict[torch.device, Any] = {}

    def send(self, steps: list[int], losses: Sequence[Tensor]) -> None:
        """Queue a copy of losses, 0-dim each, of whichever devices."""
        by_device: dict[torch.device, list[int]] = {}
        for i, loss in enumerate(losses):
            by_device.setdefault(loss.device, []).append(i)
        for device, index in by_device.items():
            numbers = [steps[i] for i in index]
            together = torch.stack([losses[i].detach() for i in index])
            if device.type != "cuda":
                self._on_the_way.append((numbers, together.cpu().double().numpy(), None))
            elif not torch.cuda.is_current_stream_capturing():  # captured: there is no value yet
                for at in range(0, len(index), _ROOM):
                    self._copy(numbers[at : at + _ROOM], together[at : at + _ROOM].double())
                self._streams[device] = torch.cuda.current_stream(device)

    def _copy(self, steps: list[int], losses: Tensor) -> None:
        block = self._spare.pop() if self._spare else self._block()
        host = block[: len(steps)]
        values: npt.NDArray[np.float64] = host.numpy()
        values.view(np.int64)[:] = _MARK
        self._on_the_way.append((steps, values, block))
        host.copy_(losses, non_blocking=True)

    def _block(self) -> Tensor:
        return torch.empty(_ROOM, dtype=torch.float64, pin_memory=True)

    def taken(self) -> list[tuple[int, float]]:
        """Those that have come since the last time: (step, loss)."""
        out: list[tuple[int, float]] = []
        while self._on_the_way:
            steps, values, block = self._on_the_way[0]
            if (values.view(np.int64) == _MARK).any():
                break
            out += zip(steps, values.tolist(), strict=True)
            self._on_the_way.popleft()
            if block is not None:
                self._spare.append(block)
        return out

    def wait(self) -> None:
        """Until all that was sent has come. The training thread's, at the end."""
        for stream in self._streams.values():
            stream.synchronize()
