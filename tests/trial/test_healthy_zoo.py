"""A healthy network is left alone: one watched run, and nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import evenflow
from evenflow.trial.budget import TrialBudget
from evenflow.trial.cure_run import CureRun
from evenflow.trial.job import Job, Outcome
from evenflow.trial.settings import Settings
from zoo import REGISTRY, select

FAST = ("perceptron-relu", "rnn-rows", "tabular-classification-wine-sgd", "cnn-momentum",
        "gated-lstm", "tabular-regression-sgd")  # fmt: skip
HEALTHY = [
    pytest.param(c.name, marks=[] if c.name in FAST else pytest.mark.slow)
    for c in select(healthy=True)
]


class Here:
    """Runs a case in this process, and nothing but the untreated one."""

    def __init__(self, name: str, folder: Path) -> None:
        self.case, self.folder = REGISTRY[name], folder
        self.jobs: list[Job] = []
        self.scores: list[float] = []

    def run(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, Outcome]]:
        for job in jobs:
            assert not job.treatments, "a healthy network was treated"
            self.jobs.append(job)
            path = self.folder / f"{len(self.jobs)}.evenflow"
            with evenflow.watch(run=path, every="auto" if job.watch else 0) as watch:
                self.scores.append(self.case.train(0))
                steps = watch.step
            yield (
                job,
                Outcome("finished", steps=steps, seconds=1, metric=self.scores[-1], run=str(path)),
            )


@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_is_done_to_a_healthy_network(name: str, tmp_path: Path) -> None:
    engine = Here(name, tmp_path)
    cure = CureRun(Settings(metric="score", budget="12x"), engine, TrialBudget(runs=12.0)).cure()
    assert cure.verdict == "healthy", cure.findings
    assert cure.chosen == "" and not cure.refused
    assert len(engine.jobs) == len(cure.trials) == 1
    assert REGISTRY[name].train(0) == engine.scores[0] == cure.before.mean
