"""Errors while watching: whose they are, and what they cost.

The user's go on. Ours cost the reading that failed, and the watch only where most of them do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..tape import Recorder, ScalarBuffer, unheard
from ..whose import strict, theirs
from .flush import Flush

#: So many sampled steps in a row in which a part of the sample was lost, and something is broken.
_IN_A_ROW = 3
#: What each stage of a sample leaves in its buffer, where it succeeds.
_YIELDS = {"forward": "rms", "backward": "delta", "update": "update"}


class Misses:
    """Hears of failed readings (`Recorder.miss`); told once each, they are left out.

    A stage of the sample is lost if it failed more often than it yielded. Lost in three sampled
    steps in a row, `fail` ends the watch: then it is no single tensor that cannot be read.
    """

    def __init__(self, fail: Callable[[Exception, str], None]) -> None:
        self._fail = fail
        self._now: dict[str, dict[str, Exception]] = {}  # stage -> what was read -> first error
        self._times: dict[str, int] = {}
        self._of_step = self._now, self._times
        self._lost: dict[str, int] = {}
        self._texts: list[str] = []

    def __call__(self, error: Exception, where: str, stage: str) -> None:
        if strict():
            self._fail(error, where)
        self._now.setdefault(stage, {}).setdefault(where, error)
        self._times[stage] = self._times.get(stage, 0) + 1

    def turn_over(self) -> None:
        """The forward and backward of a sampled step are over: what fails now is the next one's."""
        self._of_step = self._now, self._times
        self._now, self._times = {}, {}

    def told(self, scalars: ScalarBuffer, flush: Flush, step: int) -> bool:
        """A sampled step is complete: note what was left out of it. False if `fail` was called."""
        now, times = self._of_step
        if "update" in self._now:  # made by hand, it is read when the next backward begins
            now = {**now, "update": self._now.pop("update")}
            times = {**times, "update": self._times.pop("update")}
        found = [channel.metric for channel, _ in scalars.values()] if now else []
        for stage, metric in _YIELDS.items():
            lost = times.get(stage, 0) > found.count(metric)
            self._lost[stage] = self._lost.get(stage, 0) + 1 if lost else 0
            if self._lost[stage] >= _IN_A_ROW:
                where, error = next(iter(now[stage].items()))
                self._fail(error, where)
                return False
        for failed in now.values():
            for where, error in failed.items():
                self._texts.append(f"left out: {where} ({type(error).__name__}: {error})"[:500])
        if not any(self._lost.values()):  # else `fail` may be about to say it all
            self.tell(flush, step)
        return True

    def tell(self, flush: Flush, step: int) -> None:
        texts, self._texts = self._texts, []
        for text in texts:
            flush.note(step, text)


def run(
    call: Callable[..., None],
    args: tuple[Any, ...],
    fail: Callable[[Exception, str], None],
    recorder: Recorder,
    where: str = "",
) -> None:
    """Run something of ours, unheard; an error of ours is told to `fail`, the user's goes on."""
    try:
        with unheard():
            call(*args)
    except BaseException as e:
        if theirs(e):
            recorder.struck()
            raise
        assert isinstance(e, Exception)
        fail(e, where or getattr(call, "__name__", "").strip("_").replace("_", " "))
