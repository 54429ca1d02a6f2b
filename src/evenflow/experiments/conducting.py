"""All nine experiments, one after the other, within a budget of time."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from .base import Lab, unknown
from .bench import Bench
from .catalogue import EXPERIMENTS
from .result import Checkup


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
    tested: list[Any] = []
    for experiment in EXPERIMENTS.values():
        answer = unknown("time") if lab.late else experiment.test(lab)
        tested.append(replace(answer, experiment=experiment))
    return Checkup(name, tuple(tested), time.monotonic() - began)
