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
    """One sampled step, as its readers see it: the forward's, the backward's, the update's.

    Attributes:
        registry: names of what is read.
        scalars: where readings go.
        bounds: what the sample may take.
        units: the windows of dead units.
        recording: is it still being read?
        full: are the full readings to be taken too?
        replays: is it a step run again, so that each site's reading of this time is wanted?
        generation: its number; `oldest`: the oldest one whose nodes are still known.
        home: the thread that armed.
        scale: what the loss was multiplied with.
        cost: seconds we took; `heard`: times that torch called us.
    """

    registry: SiteRegistry
    scalars: ScalarBuffer
    bounds: Bounds
    units: Units
    recording: bool
    full: bool
    replays: bool
    generation: int
    oldest: int
    home: int
    scale: Scalar
    cost: float
    heard: int

    @property
    def thread(self) -> Thread:
        """The calling thread's open calls."""

    @property
    def recomputing(self) -> bool:
        """Does a backward run? Then a forward is a checkpoint's, run again."""

    def add(self, of: str, id: int, metric: str, value: Scalar) -> None:
        """One reading."""

    def count(self) -> None:
        """One more site is being read."""

    def keep(self, thread: int, span: Span) -> None:
        """A module call has begun."""

    def span(self, thread: int, seq: int) -> Span:
        """The innermost module call that was open when the node was made."""

    def sealed(self, thread: int, seq: int) -> int | None:
        """The site whose composite op made the node with this sequence number."""

    def timed(self, call: Callable[..., Any], *args: Any) -> None:
        """Run a read of ours inside somebody else's code."""

    def sure(self, where: str, stage: str, call: Callable[..., Any], *args: Any) -> Any:
        """The result of a reading of ours, None where it failed."""

    def failed(self, error: BaseException, where: str, stage: str) -> None:
        """To be called in an `except` clause: an error struck inside a reading of ours."""

    def cut(self) -> None:
        """Give this sample up: it takes too long."""

    def give_up(self) -> None:
        """Give this sample up: what it read is nothing that is trained."""
