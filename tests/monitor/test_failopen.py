"""Promise 2: an error of ours ends the watch with one warning, and the training goes on."""

from __future__ import annotations

import io
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import evenflow
from evenflow.monitor import hooks
from evenflow.monitor.guard import Guard
from evenflow.monitor.healing import Healer
from evenflow.monitor.optimizers import OptimizerRegistry
from evenflow.tape.backward import BackwardReader
from evenflow.tape.forward import ForwardReader
from evenflow.tape.parameters import Update
from evenflow.tape.recorder import Recorder
from networks import KINDS

PLANTS = {
    "forward": (ForwardReader, "measure"),
    "inputs": (ForwardReader, "before"),
    "backward": (BackwardReader, "_arrived"),
    "walk": (BackwardReader, "arm"),
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
    from evenflow.faults import REGISTRY

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
    fail_from(monkeypatch, ForwardReader, "measure", 0)
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


class _Deaf:
    """A stream that takes nothing: closed, on a full disk, a pipe nobody reads."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def _shut() -> Any:
    stream = io.StringIO()
    stream.close()
    return stream


STREAMS: dict[str, Any] = {"none": lambda: None, "closed": _shut, "full": _Deaf}


@pytest.mark.parametrize("strictness", ["error", "always"])
@pytest.mark.parametrize("stream", STREAMS)
def test_stderr_that_takes_nothing(
    stream: str, strictness: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = bare("perceptron")
    fail_from(monkeypatch, ForwardReader, "measure", 0)
    monkeypatch.setattr("sys.stderr", STREAMS[stream]())
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter(strictness)
        # as Python's own does; pytest's would keep the warning without a word
        monkeypatch.setattr(warnings, "showwarning", lambda m, *a, **k: sys.stderr.write(str(m)))
        with evenflow.watch(run=tmp_path / "r.evenflow") as watch:
            got = KINDS["perceptron"](30)
    assert all(torch.equal(a, b) for a, b in zip(expected, got, strict=True))
    assert [e.kind for e in evenflow.load(watch.path).events] == ["stopped"]


def test_what_the_guard_and_heal_say_may_fail_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENFLOW_STRICT", "1")
    monkeypatch.setattr("sys.stderr", _Deaf())
    w = torch.ones(3, requires_grad=True)
    optimizer = torch.optim.SGD([w], 0.1)
    for how in ({"on_nonfinite": "report"}, {"heal": True}):
        with evenflow.watch(run=tmp_path / "r.evenflow", **how) as watch:  # type: ignore[arg-type]
            for _ in range(2):
                optimizer.zero_grad()
                (w * float("nan")).sum().backward()
                optimizer.step()
            assert watch.active


def test_showwarning_that_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def away(*args: Any, **kwargs: Any) -> None:
        raise OSError("the log server is away")

    fail_from(monkeypatch, ForwardReader, "measure", 0)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", away)
        with evenflow.watch(run=tmp_path / "r.evenflow"):
            KINDS["perceptron"](5)
    assert "stopped watching" in capsys.readouterr().err


def _torch_now() -> tuple[Any, ...]:
    from torch.optim import optimizer as o

    module = torch.nn.Module
    return (
        module.__call__, module._call_impl, module.compile, torch.compile,
        torch.autograd._engine_run_backward, torch.autograd.graph._engine_run_backward,
        torch.amp.GradScaler.scale, torch.amp.GradScaler.step,
        len(o._global_optimizer_pre_hooks), len(o._global_optimizer_post_hooks),
        torch._C._len_torch_function_stack(), hooks._listener,
    )  # fmt: skip


_OPENING = {
    "arm": (Recorder, "arm"),
    "guard": (Guard, "open"),
    "healer": (Healer, "open"),
    "grouping": ("evenflow.monitor.healing.healer", "Grouping"),
    "optimizers": (hooks, "_optimizers"),
    "compiler": (hooks, "_compiler"),
    "registry": (OptimizerRegistry, "index"),
}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("plant", _OPENING)
def test_an_error_while_opening_leaves_nothing_behind(
    plant: str, late: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`late`: the step itself is done, the error comes right after it."""
    owner, name = _OPENING[plant]
    owner = sys.modules[owner] if isinstance(owner, str) else owner
    whole = getattr(owner, name)

    def broken(*args: Any, **kwargs: Any) -> Any:
        if late:
            whole(*args, **kwargs)
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(owner, name, broken)
    guarded: dict[str, Any] = {"on_nonfinite": "skip"} if plant == "guard" else {"heal": True}
    optimizer = torch.optim.SGD([torch.ones(2, requires_grad=True)], 0.1)
    before = _torch_now()
    with pytest.warns(evenflow.EvenflowWarning, match="planted"):
        watch = evenflow.watch(None, optimizer, run=tmp_path / "r.evenflow", **guarded)
    assert _torch_now() == before and not watch.active
    watch.close()
    monkeypatch.undo()
    with evenflow.watch(run=tmp_path / "next.evenflow", every=1) as following:  # can watch again
        KINDS["perceptron"](2)
    assert len(evenflow.load(following.path).steps) == 2


def test_an_interrupt_while_opening_goes_on_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*args: Any) -> None:
        raise KeyboardInterrupt

    before = _torch_now()
    monkeypatch.setattr(hooks, "_compiler", stopped)
    with pytest.raises(KeyboardInterrupt):
        evenflow.watch(run=tmp_path / "r.evenflow")
    assert _torch_now() == before


def test_a_default_folder_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file stands where the folder should: works for root too, whom no permission stops."""
    monkeypatch.setenv("EVENFLOW_STRICT", "1")  # it is the user's disk, no error of ours
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evenflow-runs").write_text("mine")
    expected = bare("perceptron")
    torch.manual_seed(0)
    with pytest.warns(evenflow.EvenflowWarning) as said, evenflow.watch() as watch:
        got = KINDS["perceptron"](30)
    assert all(torch.equal(a, b) for a, b in zip(expected, got, strict=True))
    assert len(said) == 1 and "--out" in str(said[0].message) and not watch.active
    with pytest.raises(ValueError, match="cannot be written"):
        watch.findings()
    with pytest.raises(OSError):  # where the user chose, the user is told at once
        evenflow.watch(run=tmp_path / "evenflow-runs" / "r.evenflow")


def test_runs_that_begin_in_one_second_have_a_file_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "strftime", lambda form: "20260101-000000")
    read, write = os.pipe()
    go, start = os.pipe()
    children = []
    for _ in range(12):
        child = os.fork()
        if child == 0:  # pragma: no cover - another process
            try:
                os.close(start)
                os.read(go, 1)  # all at once, when the parent shuts its end
                with evenflow.watch() as watch:
                    KINDS["perceptron"](2)
                said = f"ok {watch.path} {evenflow.load(watch.path).meta['steps']}"
            except BaseException as e:
                said = f"{type(e).__name__}: {e}"
            os.write(write, f"{said}\n".encode())
            os._exit(0)
        children.append(child)
    os.close(start)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read().splitlines()
    for child in children:
        os.waitpid(child, 0)
    os.close(go)
    assert len(said) == 12 and all(s.startswith("ok") and s.endswith(" 2") for s in said), said
    assert len({s.split()[1] for s in said}) == 12
