"""Observers hear of all that is in the file, in a thread of theirs; no training notices them."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import evenflow
from evenflow import Finding, Observer, Run, SampledStep, Severity, Site, diagnosis
from evenflow.monitor import observing
from evenflow.monitor.observing import Observing, changes
from evenflow.schema import Channel, Reading
from evenflow.store import Writer
from patience import HANG


class Everything(Observer):
    """Keeps what it hears, in order."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []
        self.steps: list[SampledStep] = []
        self.threads: set[int] = set()

    def sampled(self, step: SampledStep) -> None:
        self.threads.add(threading.get_ident())
        self.steps.append(step)
        self.heard.append(("sampled", step.number))

    def opened(self, finding: Finding, sites: Sequence[Site]) -> None:
        assert [site.id for site in sites] == list(finding.sites)
        self.heard.append(("opened", finding.code))

    def closed(self, finding: Finding, sites: Sequence[Site]) -> None:
        self.heard.append(("closed", finding.code))

    def ended(self, run: Run, findings: Sequence[Finding]) -> None:
        self.heard.append(("ended", run.meta["ended"]))
        self.last = [f.code for f in findings]


def train(steps: int = 6, **how: Any) -> list[Tensor]:
    """The weights of a small net, sick of unscaled data, after so many steps; watched if anything
    is said of how."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), nn.Sigmoid(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    watch = evenflow.watch(net, optimizer, every=1, **how) if how else None
    for _ in range(steps):
        x = torch.randn(16, 4)
        optimizer.zero_grad()
        nn.functional.mse_loss(net(1e4 * x), x[:, :1]).backward()
        optimizer.step()
    if watch is not None:
        watch.close()
    return [p.detach().clone() for p in net.parameters()]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_several_observers_hear_all_there_is_and_the_weights_are_as_without(tmp_path: Path) -> None:
    path, both = tmp_path / "run.evenflow", (Everything(), Everything())
    assert same(train(run=path, observers=both), train())
    run = evenflow.load(path)
    for heard in both:
        assert [s.number for s in heard.steps] == run.steps.tolist() == list(range(6))
        for row, step in enumerate(heard.steps):
            there = {c: v[row] for c, v in run.columns.items() if not np.isnan(v[row])}
            told = zip(step.reading.channels, step.reading.values.tolist(), strict=True)
            assert dict(told) == there
        assert heard.heard[-1] == ("ended", "closed")
        assert heard.last == [f.code for f in evenflow.diagnose(path)]
        assert "EF501" in heard.last
        # What is open at the end has been opened more often than closed.
        for code in heard.last:
            assert heard.heard.count(("opened", code)) > heard.heard.count(("closed", code))
        assert heard.threads.isdisjoint({threading.get_ident()}) and len(heard.threads) == 1
        step = heard.steps[-1]
        loss = run.step("loss")
        assert loss is not None and step.value("loss") == loss[-1]
        assert set(step.of_sites("delta")) <= set(run.by_key()) and step.of_sites("delta")
        assert "Sequential.0.weight" in step.of_params("grad")
        assert np.isnan(step.value("no such metric"))


class Raising(Observer):
    """Fails in one method."""

    def __init__(self, where: str) -> None:
        self.calls = 0

        def fail(*args: Any) -> None:
            self.calls += 1
            raise (KeyboardInterrupt if where == "ended" else ValueError)("no")

        self.where = where
        setattr(self, where, fail)


@pytest.mark.parametrize("where", ["sampled", "opened", "ended"])
def test_an_observer_that_fails_is_left_and_all_else_goes_on(
    where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Failing(Raising):
        def opened(self, *args: Any) -> None: ...

        def ended(self, *args: Any) -> None: ...

    path, bad, good = tmp_path / "run.evenflow", Failing(where), Everything()
    assert same(train(run=path, observers=[bad, good]), train())
    assert len(good.steps) == 6 and good.heard[-1] == ("ended", "closed")
    assert bad.calls == 1 and good.last
    assert capsys.readouterr().err.count("Failing failed") == 1
    assert evenflow.load(path).meta["ended"] == "closed"


def test_the_training_does_not_wait_for_an_observer(tmp_path: Path) -> None:
    over = threading.Event()

    class Waiting(Everything):
        def sampled(self, step: SampledStep) -> None:
            assert over.wait(HANG)  # for ever, were it called by the training's thread
            super().sampled(step)

    waiting = Waiting()
    torch.manual_seed(0)
    net = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with evenflow.watch(net, run=tmp_path / "run.evenflow", every=1, observers=[waiting]) as watch:
        for _ in range(20):
            optimizer.zero_grad()
            net(torch.randn(8, 4)).square().mean().backward()
            optimizer.step()
            watch.run()  # written, so that it may be told
        assert not waiting.steps
        over.set()
    assert len(waiting.steps) == 20


def test_of_a_continued_run_only_what_is_new_is_told(tmp_path: Path) -> None:
    path, second = tmp_path / "run.evenflow", Everything()
    train(4, run=path)
    train(3, run=path, resume=True, observers=[second])
    assert [s.number for s in second.steps] == [4, 5, 6]


def test_what_is_no_observer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="Everything"):
        evenflow.watch(run=tmp_path / "run.evenflow", observers=[Everything])  # type: ignore[list-item]
    assert not list(tmp_path.iterdir())


def test_a_watch_that_is_never_closed_is_told_to_the_end(tmp_path: Path) -> None:
    script = """
        import torch, evenflow
        class Tell(evenflow.Observer):
            def ended(self, run, findings):
                print("ended with", len(run.steps), "steps")
        net = torch.nn.Linear(2, 1)
        optimizer = torch.optim.SGD(net.parameters(), lr=.1)
        evenflow.watch(net, run="run.evenflow", every=1, observers=[Tell()])
        for _ in range(3):
            optimizer.zero_grad(); net(torch.ones(4, 2)).mean().backward(); optimizer.step()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=tmp_path, capture_output=True, text=True, timeout=HANG,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ended with")


# -- findings that come and go -------------------------------------------------------------------
def finding(code: str, *sites: int, severity: Severity = Severity.warning) -> Finding:
    return Finding(code, code.lower(), severity, sites, 0, 0, {})


@pytest.mark.parametrize(
    ("before", "now", "opened", "closed"),
    [
        ([], [finding("A", 1)], [0], []),
        ([finding("A", 1)], [finding("A", 1)], [], []),
        ([finding("A", 1)], [finding("A", 2, 1)], [], []),
        ([finding("A", 1)], [finding("A", 2)], [0], [0]),
        ([finding("A", 1)], [finding("B", 1)], [0], [0]),
        ([finding("A")], [finding("A")], [], []),
        ([finding("A")], [], [], [0]),
        ([finding("A", 1), finding("A", 2)], [finding("A", 1, 2)], [], []),
        ([finding("A", 1)], [finding("A", 1, severity=Severity.error)], [0], []),
        ([finding("A", 1, severity=Severity.error)], [finding("A", 1)], [], []),
    ],
)
def test_what_has_opened_and_closed(
    before: list[Finding], now: list[Finding], opened: list[int], closed: list[int]
) -> None:
    assert changes(before, now) == ([now[i] for i in opened], [before[i] for i in closed])


def test_findings_open_and_close_while_a_run_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = iter([[finding("A")], [finding("A"), finding("B")], [finding("B")]])
    monkeypatch.setattr(diagnosis, "diagnose", lambda run: next(judged))
    monkeypatch.setattr(observing, "JUDGED", 0.0)
    heard = Everything()
    writer = Writer(tmp_path / "run.evenflow", {"ended": ""})
    followed = Observing(writer, [heard], 1e9)
    for step in range(3):
        writer.reading(Reading(step, (Channel("step", 0, "loss"),), np.ones(1)))
        writer.flush()
        followed.look()
        followed.look()  # nothing new: nothing is judged again
    writer.close()
    assert heard.heard == [
        *[("sampled", 0), ("opened", "A"), ("sampled", 1), ("opened", "B")],
        *[("sampled", 2), ("closed", "A")],
    ]
