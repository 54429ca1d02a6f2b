"""What is to be run and what came of it, as plain records that cross process borders as JSON."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..script import Program

#: The loss curve of an outcome is thinned to at most so many points.
POINTS = 50_000


@dataclass(frozen=True, slots=True)
class Job:
    """One run of the program.

    Attributes:
        treatments: the text of treatments to inject; "" leaves the script as it is.
        seed: 0 is the script's own seeding, k shifts every seed it sets by k.
        steps: stop after so many updates; 0 = at the script's own end.
        seconds: stop after so much wall time, counted from the process's start.
        watch: sample steps, so that the run can be diagnosed.
    """

    treatments: str = ""
    seed: int = 0
    steps: int = 0
    seconds: float = 3600.0
    watch: bool = False

    @property
    def key(self) -> str:
        """The same for jobs that must have the same outcome; a file name, too."""
        said = json.dumps([self.treatments, self.seed, self.steps, self.watch])
        return hashlib.sha256(said.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job.

    Attributes:
        ended: "finished" (by itself, exit code 0), "horizon" (after `Job.steps`), "time" (after
            `Job.seconds`), "error" (an exception or a non-zero exit code), "refused" (the
            treatment could not be applied, `error` says why) or "killed" (it answered no more).
        error: the last line of what was raised, "" if nothing was.
        steps: completed updates.
        seconds: wall time; `start`: the part of it before the first update.
        loss_steps, losses: the training loss at (nearly) every step.
        metric: the user's metric when it ended, None if its pattern matched no finite number.
        applied: the treatments were applied (true of the untreated, too).
        run: path of the run file ("" if there is none), `output`: of what it printed.
        uncontrolled: sentences on what could not be controlled.
        memory: largest resident size in bytes; `device`: where the trained parameters lay.
    """

    ended: str
    error: str = ""
    steps: int = 0
    seconds: float = 0.0
    start: float = 0.0
    loss_steps: tuple[int, ...] = ()
    losses: tuple[float, ...] = ()
    metric: float | None = None
    applied: bool = True
    run: str = ""
    output: str = ""
    uncontrolled: tuple[str, ...] = ()
    memory: int = 0
    device: str = "cpu"

    @property
    def whole(self) -> bool:
        """It ran to the script's own end, for better or worse."""
        return self.ended in ("finished", "error")


def as_json(record: Program | Job | Outcome) -> dict[str, Any]:
    """Plain JSON types; what is not finite becomes None."""
    return {k: jsonable(v) for k, v in asdict(record).items()}


def jsonable(value: Any) -> Any:
    """The same with None for numbers that JSON lacks, at any depth."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {k: jsonable(v) for k, v in value.items()}
    return [jsonable(v) for v in value] if isinstance(value, (list, tuple)) else value


def outcome_from(plain: Mapping[str, Any]) -> Outcome:
    """Inverse of `as_json` (a loss that was not finite comes back as NaN)."""
    known = {f.name for f in fields(Outcome)}
    given = {k: v for k, v in plain.items() if k in known}
    for name in ("loss_steps", "uncontrolled"):
        given[name] = tuple(given.get(name, ()))
    given["losses"] = tuple(math.nan if v is None else float(v) for v in given.get("losses", ()))
    return Outcome(**given)


def thinned(
    steps: Sequence[int], losses: Sequence[float], most: int = POINTS
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """At most `most` points: means of equally long stretches, each at its last step.

    A stretch with a NaN or Inf in it is NaN: a divergence is not averaged away.
    """
    stride = -(-len(steps) // most) if steps else 1
    if stride == 1:
        return tuple(map(int, steps)), tuple(map(float, losses))
    at, mean = [], []
    for i in range(0, len(steps), stride):
        part = [float(v) for v in losses[i : i + stride]]
        at.append(int(steps[min(i + stride, len(steps)) - 1]))
        mean.append(sum(part) / len(part) if all(map(math.isfinite, part)) else math.nan)
    return tuple(at), tuple(mean)
