"""Columns of a stored run: a mapping that casts one channel on access and copies no more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from ..schema import Channel

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LayoutBlock:
    """All readings of one layout. C channels, N rows.

    Attributes:
        channels: the layout [C].
        rows: positions of its readings in `Run.steps`, rising [N].
        values_CN: float32, one contiguous row a channel.
    """

    channels: tuple[Channel, ...]
    rows: npt.NDArray[np.int64]
    values_CN: npt.NDArray[np.float32]


@final
class Columns(Mapping[Channel, Floats]):
    """float64 [T] for each channel, NaN where it was not measured; a fresh array at each access.

    The values stay float32 by layout, because a run of 200 sites and 10,000 steps is 96 MB so,
    and channels that only few steps have would be mostly NaN in one matrix.
    """

    def __init__(self, blocks: Sequence[LayoutBlock], length: int) -> None:
        self._length = length
        self._blocks = blocks
        self._places: dict[Channel, list[tuple[int, int]]] = {}
        for number, block in enumerate(blocks):
            for row, channel in enumerate(block.channels):
                self._places.setdefault(channel, []).append((number, row))

    def __getitem__(self, channel: Channel) -> Floats:
        places = self._places[channel]
        if len(places) == 1:
            number, row = places[0]
            block = self._blocks[number]
            if len(block.rows) == self._length:
                whole: Floats = block.values_CN[row].astype(np.float64)
                return whole
        column = np.full(self._length, np.nan)
        for number, row in places:
            block = self._blocks[number]
            column[block.rows] = block.values_CN[row]
        return column

    def __contains__(self, channel: object) -> bool:
        return channel in self._places

    def __iter__(self) -> Iterator[Channel]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
