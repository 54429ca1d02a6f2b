"""Promise 2: an error of ours ends the watch with one warning, and the training goes on."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import evenflow
from evenflow.session import hooks
from evenflow.tape.backward import Backward
from evenflow.tape.forward import Forward
from evenflow.tape.parameters import Update
from networks import KINDS

PLANTS = {
    "forward": (Forward, "measure"),
    "inputs": (Forward, "before"),
    "backward": (Backward, "_arrived"),
    "walk": (Backward, "arm"),
    "update": (Update, "applied"),
}


@pytest.fixture(autouse=True)
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVENFLOW_STRICT")


def bare(kind: str) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return KINDS[kind](30)


def watched(kind: str, path: Path) -> tuple[list[torch.Tensor], list[Any], evenflow.Watch]:
    torch.manual_seed(0)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with evenflow.watch(run=path) as watch:
            out = KINDS[kind](30)
    return out, [w for w in said if "Evenflow" in str(w.message)], watch


def fail_from(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, after: int) -> None:
    whole, calls = getattr(owner, name), [0]

    def broken(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] > after:
            raise ZeroDivisionError("planted")
        return whole(*args, **kwargs)

    monkeypatch.setattr(owner, name, broken)


@pytest.mark.parametrize("after", [0, 7])
@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("kind", ["residual_shared", "by_hand"])
def test_an_error_in_the_tape(
    kind: str, plant: str, after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = bare(kind)
    owner, name = PLANTS[plant]
    fail_from(monkeypatch, owner, name, after)
    got, said, watch = watched(kind, tmp_path / "r.evenflow")
    assert all(torch.equal(a, b) for a, b in zip(expected, got, strict=True))
    assert len(said) == 1 and "planted" in str(said[0].message) and not watch.active
    run = evenflow.load(watch.path)
    (stopped,) = [e for e in run.events if e.kind == "stopped"]
    assert "planted" in stopped.detail["error"]
    assert torch._C._len_torch_function_stack() == 0 and hooks._listener is None


def test_an_error_in_the_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from evenflow.store.sink import Sink

    expected = bare("perceptron")
    fail_from(monkeypatch, Sink, "reading", 0)
    got, said, _ = watched("perceptron", tmp_path / "r.evenflow")
    assert all(torch.equal(a, b) for a, b in zip(expected, got, strict=True))
    assert len(said) == 1 and "planted" in str(said[0].message)


def test_an_error_in_a_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from evenflow.rules import REGISTRY

    _, said, watch = watched("perceptron", tmp_path / "r.evenflow")
    assert not said
    monkeypatch.setattr(REGISTRY["EF101"], "check", lambda *a: 1 / 0)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert isinstance(evenflow.diagnose(watch.path), list)
    assert len(told) == 1 and "EF101" in str(told[0].message)


def test_warnings_as_errors_do_not_turn_ours_into_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_from(monkeypatch, Forward, "measure", 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with evenflow.watch(run=tmp_path / "r.evenflow"):
            KINDS["perceptron"](5)
    assert "stopped watching" in capsys.readouterr().err


def test_the_users_own_error_passes_through(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="mat1 and mat2"),
        evenflow.watch(run=tmp_path / "r.evenflow") as watch,
    ):
        torch.nn.Linear(3, 2)(torch.randn(4, 5))
    assert torch._C._len_torch_function_stack() == 0
    assert "RuntimeError" in evenflow.load(watch.path).meta["ended"]


def test_a_forward_that_fails_and_is_caught_does_not_disturb_the_next(tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 2))
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with evenflow.watch(run=tmp_path / "r.evenflow", every=1) as watch:
        for _ in range(3):
            with pytest.raises(RuntimeError):
                net(torch.randn(4, 5))
            net(torch.randn(4, 3)).sum().backward()
            optimizer.step()
    run = evenflow.load(watch.path)
    assert list(run.steps) == [0, 1, 2]
    assert torch._C._len_torch_function_stack() == 0


def test_a_forked_child_is_left_alone(tmp_path: Path) -> None:
    with evenflow.watch(run=tmp_path / "r.evenflow", every=1) as watch:
        KINDS["perceptron"](3)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:  # pragma: no cover - another process
            ok = hooks._listener is None
            KINDS["perceptron"](3)
            os.write(write, b"1" if ok else b"0")
            os._exit(0)
        os.waitpid(child, 0)
        assert os.read(read, 1) == b"1"
        KINDS["perceptron"](3)
    assert evenflow.load(watch.path).meta["steps"] == 6


def test_nothing_of_ours_is_traced_or_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """jit.trace, functorch and dispatch modes see the user's operations only."""
    from torch.utils.flop_counter import FlopCounterMode

    monkeypatch.setenv("EVENFLOW_STRICT", "1")
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    x = torch.randn(5, 3)

    def look() -> tuple[str, int, torch.Tensor]:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            graph = str(torch.jit.trace(net, x, check_trace=False).inlined_graph)
        with FlopCounterMode(display=False) as counter:
            net(x).sum().backward()
        slope = torch.func.grad(lambda v: net(v).sum())(x)
        return graph, counter.get_total_flops(), slope

    bare_graph, bare_flops, bare_slope = look()
    with evenflow.watch(run=tmp_path / "r.evenflow", every=1) as watch:
        graph, flops, slope = look()
        assert watch.active
    assert (len(graph.splitlines()), flops) == (len(bare_graph.splitlines()), bare_flops)
    assert torch.equal(slope, bare_slope)


def test_unusual_tensors_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENFLOW_STRICT", "1")
    table = torch.nn.Embedding(10, 3, sparse=True)
    w = torch.randn(3, 3, dtype=torch.complex64, requires_grad=True)
    optimizer = torch.optim.SGD([*table.parameters(), w], 0.1)
    with evenflow.watch(run=tmp_path / "r.evenflow", every=1) as watch:
        for _ in range(3):
            h = table(torch.tensor([1, 2, 3]))
            z = (h.to(torch.complex64) @ w).abs().sum()
            (z + h[:0].sum() + torch.relu(h).sum()).backward()
            optimizer.step()
        assert watch.active
    assert list(evenflow.load(watch.path).steps) == [0, 1, 2]
