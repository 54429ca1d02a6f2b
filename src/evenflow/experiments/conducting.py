"""All nine experiments, one after the other, within a budget of time."""

from __future__ import annotations

import time
from dataclasses import replace

from ..whose import strict
from .base import Lab, unknown
from .bench import Bench
from .catalogue import EXPERIMENTS
from .result import Checkup, Experiment, Tested

_LEARNING = ("by-heart", "inputs-matter", "rate-range")
#: (experiment, answer) -> the experiments whose failure is its consequence.
_FOLLOWS: dict[tuple[str, str], tuple[str, ...]] = {
    ("data", "non-finite"): (*_LEARNING, "loss-at-birth", "right-gradient", "every-parameter"),
    ("data", "alike"): (*_LEARNING, "independence"),
    ("data", "broadcast"): (*_LEARNING, "loss-at-birth"),
    ("data", "unscaled"): (*_LEARNING, "loss-at-birth"),
    ("data", "outlier"): (*_LEARNING, "loss-at-birth"),
    ("loss-at-birth", "far-target"): ("by-heart", "rate-range"),
    ("loss-at-birth", "non-finite"): (*_LEARNING, "every-parameter"),
    ("right-gradient", "cut"): ("every-parameter",),
    ("inputs-matter", "blind"): ("by-heart", "every-parameter", "rate-range"),
    ("by-heart", "not-learned"): ("rate-range",),
    ("every-parameter", "none-held"): ("rate-range",),
    ("every-parameter", "none-moved"): ("rate-range",),
}


def conduct(bench: Bench, name: str, seconds: float = 60.0) -> Checkup:
    """Run the nine on a bench; `name` is what the check-up is of.

    After `seconds` no further experiment begins: it is "unknown", for want of time.

    Raises:
        ValueError: the training does not come to its first loss; the message says why.
    """
    began = time.monotonic()
    lab = Lab(bench, seconds)
    if lab.first.ended != "done" and not lab.first.losses:
        raise ValueError(lab.first.why or "the training does not come to its first loss")
    tested: list[Tested] = []
    for experiment in EXPERIMENTS.values():
        answer = unknown("time") if lab.late else _tried(experiment, lab)
        tested.append(replace(answer, experiment=experiment))
    return Checkup(name, _rooted(tested), time.monotonic() - began)


def _tried(experiment: Experiment, lab: Lab) -> Tested:
    """An error of ours in one of them costs that one; EVENFLOW_STRICT raises it."""
    try:
        return experiment.test(lab)
    except Exception as error:
        if strict():
            raise
        return unknown("error", names=(f"{type(error).__name__}: {error}",))


def _rooted(tested: list[Tested]) -> tuple[Tested, ...]:
    """One fault, one root: what failed as a consequence of another failure is not known."""
    failed = {(t.name, t.why) for t in tested if t.status == "failed"}
    roots = {
        name: root[0] for root in reversed(_FOLLOWS) if root in failed for name in _FOLLOWS[root]
    }
    return tuple(
        replace(t, status="unknown", why="follows", names=(roots[t.name],), code="", treatments=())
        if t.status == "failed" and t.name in roots
        else t
        for t in tested
    )
