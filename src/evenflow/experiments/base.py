"""What an experiment works with: the lab it asks for runs, and the answers it gives."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

from .bench import Bench, Change, Subject, Trace
from .result import Tested


class Lab:
    """A bench, the facts of its training, and runs that several experiments share."""

    def __init__(self, bench: Bench, seconds: float) -> None:
        self.bench = bench
        self.ends = time.monotonic() + seconds
        self._known: dict[Any, Trace] = {}
        steps = 4 if bench.streams else 1
        self.first = self.run(Change(), steps, ("facts",))
        self.subject = Subject.of(self.first)
        #: The setting that learns the batch by heart, found by the experiment of that name.
        self.learner: Change | None = None
        #: Whether the script's own setting learned anything of it.
        self.learned = False

    def run(self, change: Change, steps: int, wants: Collection[str] = ()) -> Trace:
        """As the bench's; the same question is asked once."""
        key = (change, steps, frozenset(wants))
        if key not in self._known:
            self._known[key] = self.bench.run(change, steps, wants)
        return self._known[key]

    @property
    def late(self) -> bool:
        """No time is left."""
        return time.monotonic() > self.ends

    @property
    def kind(self) -> str:
        """Of the loss function heard; "" where none was."""
        return str(self.subject.loss.get("kind", ""))

    @property
    def targets(self) -> list[Mapping[str, Any]]:
        """Figures of the first target tensor of each batch."""
        return [b["targets"][0] for b in self.subject.batches if b.get("targets")]


def passed(why: str, **more: Any) -> Tested:
    """Nothing is wrong as far as this tells."""
    return _answer("passed", why, more)


def failed(why: str, **more: Any) -> Tested:
    """Something is wrong."""
    return _answer("failed", why, more)


def unknown(why: str, **more: Any) -> Tested:
    """It could not be told, or depends on what is meant; what a bench cannot try does not apply."""
    return _answer("not-applicable" if why == "cannot" else "unknown", why, more)


def untried(run: Trace) -> Tested:
    """A run was not done: an exception, or what stands against it."""
    return unknown("error" if run.ended == "error" else "cannot", names=(run.why,))


def nothing(why: str, **more: Any) -> Tested:
    """There is nothing here to test."""
    return _answer("not-applicable", why, more)


def _answer(status: str, why: str, more: dict[str, Any]) -> Tested:
    told = {k: more.pop(k) for k in ("names", "code", "treatments", "picture") if k in more}
    told = {k: v if k == "code" else tuple(v) for k, v in told.items()}
    return Tested(status, why, {k: float(v) for k, v in more.items()}, **told)
