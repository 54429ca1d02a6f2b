"""What a reader may ask of the sampled step it is part of; the recorder is the one that answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from .bounds import Bounds
from .frames import Span, Thread
from .registry import SiteRegistry
from .scalars import Scalar, ScalarBuffer
from .units import Units


class Sample(Protocol):
    """One sampled step, as its readers see it: the forward's, the backward's, the update's."""

    registry: SiteRegistry  # names of what is read
    scalars: ScalarBuffer  # where readings go
    bounds: Bounds  # what the sample may take
    units: Units  # the windows of dead units
    recording: bool  # is it still being read?
    full: bool  # are the full readings to be taken too?
    replays: bool  # is it a step run again, so that each site's reading of this time is wanted?
    generation: int  # its number
    oldest: int  # the oldest one whose nodes are still known
    home: int  # the thread that armed
    scale: Scalar  # what the loss was multiplied with
    cost: float  # seconds we took
    heard: int  # times that torch called us

    @property
    def thread(self) -> Thread: ...
    @property
    def recomputing(self) -> bool: ...
    def add(self, of: str, id: int, metric: str, value: Scalar) -> None: ...
    def count(self) -> None: ...
    def keep(self, thread: int, span: Span) -> None: ...
    def span(self, thread: int, seq: int) -> Span: ...
    def sealed(self, thread: int, seq: int) -> int | None: ...
    def timed(self, call: Callable[..., Any], *args: Any) -> None: ...
    def sure(self, where: str, stage: str, call: Callable[..., Any], *args: Any) -> Any: ...
    def failed(self, error: BaseException, where: str, stage: str) -> None: ...
    def cut(self) -> None: ...
    def give_up(self) -> None: ...
