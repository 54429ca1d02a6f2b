"""One run file, several trainings: none loses what it saw, and whatever goes elsewhere is said."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import evenflow
from evenflow.store import StoreError
from evenflow.store import writer as store


def net(width: int = 4) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(width, 5), nn.Tanh(), nn.Linear(5, 1))
    return model, torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int, width: int = 4) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.ones(2, width)).square().mean().backward()
        optimizer.step()


def test_the_second_training_of_a_path_is_numbered_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.evenflow"
    first, mine = evenflow.watch(run=path, every=1), net(7)
    train(*mine, 20, 7)
    assert len(first.run().steps) == 20
    child = os.fork()
    if child == 0:  # another process, while the first one trains
        code = 1
        try:
            second = evenflow.watch(run=path, every=1)
            train(*net(9), 3, 9)
            second.close()
            code = 0 if second.path == tmp_path / "r-2.evenflow" else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    train(*mine, 10, 7)
    first.close()
    assert first.path == path
    one, two = evenflow.load(path), evenflow.load(tmp_path / "r-2.evenflow")
    assert (len(one.steps), len(two.steps)) == (30, 3)
    assert {p.shape[-1] for p in one.params} == {7, 5, 1}
    with evenflow.watch(run=path) as third:
        assert third.path == tmp_path / "r-3.evenflow"
    assert f"'{path}' is there already, so this run goes to '{third.path}'" in (
        capsys.readouterr().err
    )


def test_a_continued_run_joins_readings_curve_sites_and_steps(tmp_path: Path) -> None:
    """Two halves in one file are what one whole run is, parameter by parameter."""
    model, optimizer = net()
    with evenflow.watch(run=tmp_path / "whole.evenflow", every=3) as watch:
        train(model, optimizer, 30)
    whole = watch.run()
    model, optimizer = net()
    for part in range(2):
        with evenflow.watch(
            model, optimizer, run=tmp_path / "r.evenflow", every=3, resume=True
        ) as watch:
            train(model, optimizer, 15)
        assert watch.step == 15 * (part + 1)
    run = watch.run()
    assert watch.path == tmp_path / "r.evenflow"
    assert [s.name for s in run.sites] == [s.name for s in whole.sites]
    assert sorted((p.name, p.shape, p.optimizer) for p in run.params) == sorted(
        (p.name, p.shape, p.optimizer) for p in whole.params
    )
    assert run.steps.tolist() == whole.steps.tolist()
    np.testing.assert_array_equal(run.curve_steps, whole.curve_steps)
    np.testing.assert_allclose(run.curve_loss, whole.curve_loss, rtol=1e-12)
    place = {p.name: p.id for p in run.params}
    for p in whole.params:
        np.testing.assert_allclose(run.param(place[p.name], "grad"), whole.param(p.id, "grad"))
    for site in whole.sites:
        np.testing.assert_allclose(run.site(site.id, "rms"), whole.site(site.id, "rms"))
    assert [e.detail for e in run.events] == [{"text": "continued at step 15"}]
    assert run.meta["steps"] == 30
    assert run.meta["ended"] == "closed"


def test_a_model_that_is_given_is_known_by_its_names_in_a_run_of_several(tmp_path: Path) -> None:
    """It is the second one of the file, and the only one that goes on."""
    path, first = tmp_path / "r.evenflow", nn.Linear(7, 1)
    second, optimizer = net()
    with evenflow.watch(run=path, every=1) as watch:
        train(first, torch.optim.SGD(first.parameters(), 0.01), 2, 7)
        train(second, optimizer, 2)
    before = watch.run()
    with evenflow.watch(second, optimizer, run=path, every=1, resume=True):
        train(second, optimizer, 2)
    run = evenflow.load(path)
    assert [(p.id, p.name, p.shape) for p in run.params] == [
        (p.id, p.name, p.shape) for p in before.params
    ]
    for p in run.params:
        grads = run.param(p.id, "grad")
        assert grads is not None
        mine = p.name.startswith("Linear.")
        assert np.isfinite(grads).tolist() == [mine, mine, *[not mine] * 4], p.name


def test_a_run_that_is_open_elsewhere_is_not_continued_but_numbered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from evenflow.store import sink

    monkeypatch.setattr(sink, "TAKING", 0.1)
    path = tmp_path / "r.evenflow"
    other = store.Writer(path, {"started": 1})
    other.flush()
    with evenflow.watch(run=path, resume=True) as watch:
        train(*net(), 5)
    assert watch.path == tmp_path / "r-2.evenflow"
    assert watch.run().curve_steps.tolist() == list(range(5))
    assert watch.run().meta["started"] > 1
    other.close()
    assert evenflow.load(path).meta == {"started": 1}
    assert "is there already" in capsys.readouterr().err


def test_resume_without_a_run_makes_one_and_without_a_path_is_refused(tmp_path: Path) -> None:
    with evenflow.watch(run=tmp_path / "new.evenflow", resume=True) as watch:
        train(*net(), 3)
    assert watch.run().curve_steps.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="say which, run=PATH"):
        evenflow.watch(resume=True)


def test_a_damaged_run_is_not_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from evenflow.monitor.saying import EvenflowWarning

    path = tmp_path / "r.evenflow"
    with evenflow.watch(run=path):
        train(*net(), 3)
    data = bytearray(path.read_bytes())
    data[100:200] = bytes(100)
    path.write_bytes(data)
    with (
        pytest.warns(EvenflowWarning, match="cannot be continued.*damaged"),
        evenflow.watch(run=path, resume=True) as watch,
    ):
        train(*net(), 2)
    assert watch.path == tmp_path / "r-2.evenflow"
    assert path.read_bytes() == data
    with pytest.raises(StoreError):
        evenflow.load(path)


def gone(path: Path) -> None:
    path.unlink()


def replaced(path: Path) -> None:
    other = store.Writer(path.with_name("other.evenflow"), {"mine": 2})
    other.close()
    os.replace(other.path, path)


def folder_gone(path: Path) -> None:
    import shutil

    shutil.rmtree(path.parent)


@pytest.mark.parametrize("harm", [gone, replaced, folder_gone], ids=lambda f: f.__name__)
def test_a_file_that_vanished_or_was_replaced_is_noticed_once(
    harm: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "runs" / "r.evenflow"
    watch, mine = evenflow.watch(run=path, every=1), net()
    train(*mine, 8)
    watch.run()
    harm(path)  # type: ignore[operator]
    train(*mine, 8)
    assert watch.run().curve_steps.tolist() == list(range(16))
    train(*mine, 4)
    watch.close()
    assert len(watch.run().steps) == 20
    assert watch.run().meta["ended"] == "closed"
    said = capsys.readouterr().err
    assert said.count("the run goes on in") == 1
    assert repr(str(watch.path)) in said
    if harm is replaced:
        assert evenflow.load(path).meta == {"mine": 2}


def test_a_lock_of_another_program_costs_two_seconds_and_no_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(store, "FOREIGN", 0.2)
    path = tmp_path / "r.evenflow"
    watch, mine = evenflow.watch(run=path, every=1), net()
    train(*mine, 5)
    watch.run()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    train(*mine, 5)
    assert len(watch.run().steps) == 5  # what could be written; it does not wait for ever
    watch.close()
    holder.execute("ROLLBACK")
    holder.close()
    assert watch.path == tmp_path / "r-2.evenflow"
    assert len(evenflow.load(watch.path).steps) == 10
    assert evenflow.load(watch.path).meta["ended"] == "closed"
    assert len(evenflow.load(path).steps) == 5
    assert "is held by another program; the whole run" in capsys.readouterr().err


def test_a_lock_that_ends_is_waited_for_without_losing_anything(tmp_path: Path) -> None:
    path = tmp_path / "r.evenflow"
    watch, mine = evenflow.watch(run=path, every=1), net()
    holder = sqlite3.connect(path, isolation_level=None)
    train(*mine, 5)
    watch.run()
    holder.execute("BEGIN IMMEDIATE")
    train(*mine, 5)
    time.sleep(0.8)  # the writer has tried
    holder.execute("ROLLBACK")
    holder.close()
    watch.close()
    assert watch.path == path
    assert len(evenflow.load(path).steps) == 10


def test_a_file_that_is_no_run_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "thesis.txt"
    path.write_text("years of work")
    with pytest.raises(FileExistsError, match="not an Evenflow run"):
        evenflow.watch(run=path)
    assert path.read_text() == "years of work"
