"""Published rules of other tools, judged on Evenflow's recorded runs.

Each is our own few lines after the numbers in print. Where a rule needs a statistic that the tape
does not take, its docstring names the nearest reading used instead. `claims` are the codes a
rule set can speak of at all: recall is counted on those alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from evenflow.schema import Run

from . import autotrainer, bttackler, deepdiagnosis, sagemaker


class Peer(NamedTuple):
    """A published rule set: what it can claim, and what it claims of a run."""

    claims: frozenset[str]
    judge: Callable[[Run], set[str]]


PEERS: dict[str, Peer] = {
    "AutoTrainer": Peer(autotrainer.CLAIMS, autotrainer.judge),
    "DeepDiagnosis": Peer(deepdiagnosis.CLAIMS, deepdiagnosis.judge),
    "SageMaker Debugger": Peer(sagemaker.CLAIMS, sagemaker.judge),
    "BTTackler": Peer(bttackler.CLAIMS, bttackler.judge),
}
