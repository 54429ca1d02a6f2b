"""The public face: arguments, defaults, lifetimes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import evenflow
from networks import KINDS


def test_findings_and_report_while_open_and_afterwards(tmp_path: Path) -> None:
    torch.manual_seed(0)
    with evenflow.watch(run=tmp_path / "r.evenflow") as watch:
        KINDS["perceptron"](40)
        assert isinstance(watch.findings(), list)
        assert evenflow.diagnose(watch) == watch.findings()
    page = watch.report(tmp_path / "deep" / "page.html")
    assert page.read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html>")
    assert evenflow.diagnose(watch.path) == evenflow.diagnose(watch) == watch.findings()
    assert watch.findings(ignore=["EF"]) == []


def test_the_default_path_names_script_and_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["/x/my train!.py"])
    paths = []
    for _ in range(2):
        with evenflow.watch() as watch:
            KINDS["perceptron"](2)
        paths.append(watch.path)
    assert paths[0] != paths[1] and all(p.exists() for p in paths)
    assert (tmp_path / "evenflow-runs" / ".gitignore").read_text() == "*\n"
    assert paths[0].parent.name == "evenflow-runs" and paths[0].name.startswith("my-train-")


def test_a_second_watch_closes_the_first(tmp_path: Path) -> None:
    first = evenflow.watch(run=tmp_path / "a.evenflow")
    KINDS["perceptron"](3)
    with evenflow.watch(run=tmp_path / "b.evenflow") as second:
        assert not first.active and second.active
        KINDS["perceptron"](5)
    first.close()
    assert evenflow.load(first.path).meta["steps"] == 3
    assert evenflow.load(second.path).meta["steps"] == 5


def test_the_same_path_may_be_used_again(tmp_path: Path) -> None:
    for steps in (3, 6):
        with evenflow.watch(run=tmp_path / "a.evenflow") as watch:
            KINDS["perceptron"](steps)
    assert evenflow.load(watch.path).meta["steps"] == 6


def test_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENFLOW_DISABLE", "1")
    with evenflow.watch(run=tmp_path / "a.evenflow") as watch:
        KINDS["perceptron"](3)
    assert not watch.active and not watch.path.exists()
    with pytest.raises(ValueError, match="EVENFLOW_DISABLE"):
        watch.findings()


def test_only_the_given_model_is_watched(tmp_path: Path) -> None:
    mine, other = nn.Sequential(nn.Linear(3, 2)), nn.Linear(3, 2)
    optimizer = torch.optim.SGD([*mine.parameters(), *other.parameters()], 0.1)
    with evenflow.watch(mine, optimizer, run=tmp_path / "a.evenflow", every=1) as watch:
        for _ in range(3):
            x = torch.randn(4, 3)
            (mine(x) - other(x)).square().mean().backward()
            optimizer.step()
    run = evenflow.load(watch.path)
    assert {s.root for s in run.sites if s.kind == "input"} == {"Sequential"}
    assert any(p.name == "Sequential.0.weight" and p.optimizer == 0 for p in run.params)


def test_every_zero_keeps_the_loss_curve_only(tmp_path: Path) -> None:
    with evenflow.watch(run=tmp_path / "a.evenflow", every=0) as watch:
        KINDS["perceptron"](20)
    run = evenflow.load(watch.path)
    assert len(run.steps) == 0 and len(run.curve_loss) == 20


def test_the_reports_own_cost_is_told(tmp_path: Path) -> None:
    with evenflow.watch(run=tmp_path / "a.evenflow") as watch:
        KINDS["perceptron"](100)
    run = evenflow.load(watch.path)
    wall, cost = run.step("wall"), run.step("cost")
    assert wall is not None and cost is not None
    assert bool((cost > 0).all()) and bool((cost <= wall).all())


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"model": "net"}, "str"),
        ({"optimizer": 3}, "int"),
        ({"every": "sometimes"}, "sometimes"),
        ({"budget": 7}, "7"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], named: str, tmp_path: Path) -> None:
    with pytest.raises((TypeError, ValueError), match=named):
        evenflow.watch(run=tmp_path / "a.evenflow", **arguments)
    assert not (tmp_path / "a.evenflow").exists()


def test_nothing_is_attached_between_samples(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(3, 2))
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    call, inner = nn.Module.__call__, nn.Module._call_impl
    with evenflow.watch(net, run=tmp_path / "a.evenflow", every=4):
        for step in range(9):
            net(torch.randn(4, 3)).sum().backward()
            optimizer.step()
            if step % 4 != 3:  # the next step is not sampled
                assert nn.Module.__call__ is call and nn.Module._call_impl is inner
                assert torch._C._len_torch_function_stack() == 0
            assert not net._forward_hooks and not net._forward_pre_hooks
    assert nn.Module.__call__ is call and nn.Module._call_impl is inner
