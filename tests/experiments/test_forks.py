"""A script's own loop as a bench: runs in forks equal the script, and leave nothing behind."""

from __future__ import annotations

import os
import time
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from forked_checkup import checkup_of, in_fork
from torch import nn
from torch.nn import functional as F
from training_scripts import HEALTHY, PERCEPTRON, SICK

from evenflow.experiments import Change, Checkup, conducting
from evenflow.experiments.forks import again, examiner
from evenflow.experiments.forks.conducting import from_plain
from evenflow.experiments.forks.crossing import as_plain
from evenflow.experiments.forks.forking import Answer, Pipe, fork
from evenflow.experiments.forks.found import AGAIN
from evenflow.experiments.forks.operands import Operands
from evenflow.experiments.forks.parts import Parts, whole
from evenflow.experiments.listening import digest
from evenflow.treatments import parse
from evenflow.trial import Outcome


@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_fails_of_a_healthy_script(name: str, tmp_path: Path) -> None:
    found = checkup_of(tmp_path, HEALTHY[name])
    assert isinstance(found, Checkup), found
    assert [(t.name, t.said) for t in found.failed] == []
    passed = [t.name for t in found.tested if t.status == "passed"]
    assert len(passed) >= 7, [(t.name, t.said) for t in found.tested]
    assert from_plain(as_plain(found)) == found


@pytest.mark.parametrize("fault", SICK)
def test_the_experiment_of_its_fault_fails(fault: str, tmp_path: Path) -> None:
    script, old, new, experiment = SICK[fault]
    assert old in script
    found = checkup_of(tmp_path, script.replace(old, new))
    assert isinstance(found, Checkup), found
    assert experiment in [t.name for t in found.failed], [(t.name, t.said) for t in found.tested]
    assert [parse(text) for text in found.treatments] or experiment not in ("rate-range", "data")


#: What a script does instead of training -> what is said.
NEVER = {
    "import torch": "no module with something to train was called",
    "import torch\nraise SystemError('no data')": "SystemError: no data",
    "import torch\nmodel = torch.nn.Linear(2, 2)\nmodel(torch.ones(1, 2))": "no backward",
}


@pytest.mark.parametrize("text", NEVER)
def test_a_script_that_never_trains_is_told_apart(text: str, tmp_path: Path) -> None:
    found = checkup_of(tmp_path, text)
    assert isinstance(found, str)
    assert NEVER[text] in found


# -- forking ----------------------------------------------------------------------------------
def test_a_fork_answers_and_the_parent_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "data.txt"
    file.write_text("0123456789")
    with open(file, "rb", buffering=0) as data:
        data.read(3)
        here = fork(10)
        if isinstance(here, Pipe):
            here.answer((data.read(4), torch.get_num_threads()))
        assert isinstance(here, Answer)
        assert here.came and here.value == (b"3456", 1)
        assert data.read(2) == b"34"  # the place it is read at is the parent's again


def test_a_fork_that_hangs_is_ended_in_time() -> None:
    began = time.monotonic()
    here = fork(0.3)
    if isinstance(here, Pipe):
        time.sleep(60)
        os._exit(1)
    assert not here.came
    assert time.monotonic() - began < 30  # not the 60 of the sleep


def test_a_fork_that_dies_has_no_answer() -> None:
    here = fork(10)
    if isinstance(here, Pipe):
        os._exit(3)
    assert not here.came


def test_what_a_fork_forks_has_no_say() -> None:
    here = fork(10)
    if isinstance(here, Pipe):
        if os.fork() == 0:
            here.answer("grandchild")
        time.sleep(0.2)
        here.answer("child")
    assert here.value == "child"


def test_a_digest_asks_for_bits_alone() -> None:
    one = torch.ones(1, dtype=torch.long)
    assert digest(one.expand(1).as_strided((1,), (0,))) == digest(one)
    assert digest(torch.ones(2, 3)) == digest(torch.ones(3, 2).T)
    assert digest(one) != digest(one + 1)


# -- a batch repeated -------------------------------------------------------------------------
def losses(by_hand: bool, replayed: bool) -> list[float]:
    """Of one network on two batches, the second with the first one's data given again or not."""
    torch.manual_seed(0)
    net, operands = nn.Linear(3, 1), Operands()
    batches = [(torch.randn(4, 3), torch.randn(4, 1)) for _ in range(2)]
    found = []
    with operands:
        for i, (x, y) in enumerate(batches):
            operands.open, operands.inside = True, True
            out = net(batches[0][0] if replayed else x)
            operands.inside = False
            loss = ((out - y) ** 2).mean() if by_hand else F.mse_loss(out, y)
            operands.open = False
            operands.step(replay=replayed)
            found.append(loss.item())
            assert not operands.lost, i
    return found


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_repeated_batch_has_the_first_ones_targets(by_hand: bool) -> None:
    once, again = losses(by_hand, replayed=True)
    assert once == again
    assert len(set(losses(by_hand, replayed=False))) == 2


def test_a_step_that_works_out_its_loss_otherwise_cannot_be_repeated() -> None:
    operands, out = Operands(), torch.ones(2, requires_grad=True)
    with operands:
        operands.open = True
        (out * torch.ones(2)).sum()
        operands.step(replay=True)
        (out + torch.ones(2)).sum()
    assert "works out its loss otherwise" in operands.lost


# -- a network in parts -----------------------------------------------------------------------
def test_modules_called_apart_are_one_network() -> None:
    first, second = nn.Linear(2, 3), nn.Linear(3, 1)
    assert whole(first, [id(first)]) is first
    both = whole(first, [id(first), id(second)])
    assert isinstance(both, Parts) and both.first is first
    assert {id(p) for p in both.parameters()} == {
        id(p) for m in (first, second) for p in m.parameters()
    }
    assert len(dict(both.named_parameters())) == 4


# -- without forks ----------------------------------------------------------------------------
def test_where_nothing_can_be_forked_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examiner, "forks", lambda root: False)
    assert checkup_of(tmp_path, PERCEPTRON) == AGAIN


def test_runs_from_the_start_equal_those_of_forks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.py").write_text(PERCEPTRON)
    places = count()

    def run(module: str, request: str) -> tuple[Path, Outcome]:
        where = tmp_path / f"job{next(places)}"
        in_fork(tmp_path, where, partial(again.main, request))
        return where, Outcome("horizon")

    def conduct(bench: Any, name: str, seconds: float) -> Checkup:
        """In the place of the nine: three runs."""
        raise ValueError(repr([bench.run(*asked).losses for asked in ASKED]))

    rerun = again.RerunBench(run, time.monotonic() + 600)
    traces = [rerun.run(*asked) for asked in ASKED]
    assert [t.ended for t in traces] == ["done"] * 3
    monkeypatch.setattr(conducting, "conduct", conduct)
    folder = tmp_path / "forks"
    folder.mkdir()
    assert checkup_of(folder, PERCEPTRON) == repr([t.losses for t in traces])
    assert len({t.losses for t in traces}) == 3


#: Runs of a bench.
ASKED = (
    (Change(), 3),
    (Change(inputs="permuted"), 3),
    (Change(same_batch=True, rate=0.5), 3),
)
