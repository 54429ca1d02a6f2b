"""The user's errors go on, ours cost one reading, the stack has room, nothing stays behind."""

from __future__ import annotations

import ctypes
import functools
import gc
import signal
import sys
import threading
import time
import warnings
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import evenflow
from evenflow.tape import numbers, room
from evenflow.tape.forward import ForwardReader
from evenflow.whose import theirs
from networks import KINDS


class TimeUp(Exception):
    """A class outside torch, NumPy and the standard library."""


def net() -> nn.Sequential:
    return nn.Sequential(*[m for _ in range(12) for m in (nn.Linear(8, 8), nn.Tanh())])


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 500) -> None:
    x = torch.ones(4, 8)
    for _ in range(steps):
        optimizer.zero_grad()
        F.mse_loss(model(x), x).backward()
        optimizer.step()


# -- whose error ------------------------------------------------------------------------------
def limit(number: int, frame: FrameType | None) -> None:
    raise TimeoutError("a class of the standard library's: only the frame tells")


class Limit:
    def __call__(self, number: int, frame: FrameType | None) -> None:
        raise TimeUp

    def method(self, number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # by then it is no handler any more
        raise TimeoutError


HANDLERS: dict[str, tuple[Any, type[BaseException]]] = {
    "function": (limit, TimeoutError),
    "partial": (functools.partial(lambda word, *_: limit(*_), "x"), TimeoutError),
    "object": (Limit(), TimeUp),
    "one that takes itself off": (Limit().method, TimeoutError),
    "Python's own": (signal.default_int_handler, KeyboardInterrupt),
}


@pytest.mark.parametrize("settings", [{}, {"heal": True}, {"on_nonfinite": "report"}])
@pytest.mark.parametrize("kind", HANDLERS)
def test_what_a_handler_raises_in_our_code_goes_on(
    kind: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    """Struck at the n-th call of ours, for many n: wherever it is, the loop hears of it."""
    handler, error = HANDLERS[kind]
    torch.manual_seed(0)
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    old = signal.getsignal(signal.SIGALRM)
    call = nn.Module.__call__
    try:
        with evenflow.watch(run=tmp_path / "r.evenflow", every=1, **settings) as watch:
            for n in range(1, 300, 37):
                signal.signal(signal.SIGALRM, handler)
                with pytest.raises(error), struck(n, "evenflow"):
                    train(model, optimizer)
                assert torch._C._len_torch_function_stack() <= 1  # silent, until the next call
            before = watch.step
            train(model, optimizer, 3)
            assert watch.active and watch.step >= before + 2
    finally:
        signal.signal(signal.SIGALRM, old)
    assert nn.Module.__call__ is call and torch._C._len_torch_function_stack() == 0
    run = evenflow.load(watch.path)
    assert not [e for e in run.events if e.kind == "stopped"] and len(run.steps) >= 2


class struck:
    """Raises SIGALRM at the n-th entry into a function whose file has `part` in its path. No clock:
    a profile function counts, so that the place is the same each time."""

    def __init__(self, n: int, part: str) -> None:
        self.left, self.part = n, f"/{part}/tape/"

    def __enter__(self) -> None:
        def profile(frame: FrameType, event: str, arg: Any) -> None:
            if event == "call" and self.part in frame.f_code.co_filename:
                self.left -= 1
                if not self.left:
                    sys.setprofile(None)
                    signal.raise_signal(signal.SIGALRM)

        sys.setprofile(profile)

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)


def test_what_another_thread_sets_goes_on(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    ident = threading.get_ident()

    def throw() -> None:
        time.sleep(0.02)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(TimeUp))

    gc.disable()  # in a callback of the collector's (hypothesis has one) Python swallows it
    request.addfinalizer(gc.enable)
    with evenflow.watch(run=tmp_path / "r.evenflow", every=1) as watch:
        for _ in range(5):
            thread = threading.Thread(target=throw)
            with pytest.raises(TimeUp):
                thread.start()
                train(model, optimizer)
            thread.join()
        assert watch.active


def caught(raiser: Any) -> BaseException:
    try:
        raiser()
    except BaseException as e:
        return e
    raise AssertionError


def test_whose() -> None:
    def calls_itself() -> None:
        raise ValueError("a function of the script's that we called")

    assert not theirs(caught(calls_itself))
    assert not theirs(caught(lambda: torch.ones(2) @ torch.ones(3)))
    assert not theirs(caught(lambda: int("x")))
    assert theirs(TimeUp()) and theirs(KeyboardInterrupt()) and theirs(SystemExit())
    assert not theirs(caught(lambda: (_ for _ in ()).throw(TimeUp())), called=True)


# -- what ours cost ---------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["spread", "features", "slope"])
def test_a_reading_that_fails_costs_that_reading(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EVENFLOW_STRICT")
    torch.manual_seed(0)
    expected = [t.clone() for t in KINDS["perceptron"](20)]
    monkeypatch.setattr(numbers, name, lambda *a, **k: 1 / 0)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with evenflow.watch(run=tmp_path / "r.evenflow") as watch:
            got = KINDS["perceptron"](20)
            assert watch.active
    assert all(map(torch.equal, expected, got))
    run = evenflow.load(watch.path)
    notes = [str(e.detail["text"]) for e in run.events if e.kind == "note"]
    assert notes and all("left out" in n and "ZeroDivisionError" in n for n in notes)
    assert len(run.steps) >= 8
    assert {"rms", "delta", "update"} <= {c.metric for c in run.columns}
    assert name not in {c.metric for c in run.columns}


def test_one_site_that_cannot_be_read_costs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EVENFLOW_STRICT")
    whole = ForwardReader.after

    def after(self: Any, call: Any, out: Any) -> None:
        if call.op.name == "tanh":
            raise RuntimeError("planted")
        whole(self, call, out)

    monkeypatch.setattr(ForwardReader, "after", after)
    with evenflow.watch(run=tmp_path / "r.evenflow", every=1) as watch:
        KINDS["perceptron"](6)
        assert watch.active
    run = evenflow.load(watch.path)
    assert len(run.steps) == 6 and {"linear", "cross_entropy"} <= {s.op for s in run.sites}


def test_lazy_modules_are_named_when_they_have_a_shape(tmp_path: Path) -> None:
    model = nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.LazyLinear(2))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with evenflow.watch(run=tmp_path / "r.evenflow", every=1) as watch:
        for _ in range(4):
            optimizer.zero_grad()
            model(torch.randn(3, 5)).sum().backward()
            optimizer.step()
    run = evenflow.load(watch.path)
    assert sorted(p.name for p in run.params) == [
        f"Sequential.{i}.{kind}" for i in (0, 2) for kind in ("bias", "weight")
    ]
    assert {p.optimizer for p in run.params} == {0}
    assert {p.shape for p in run.params} == {(4, 5), (4,), (2, 4), (2,)}
    assert not [f for f in evenflow.diagnose(run) if f.code == "EF704"]


def test_a_jagged_tensor_is_read_by_its_values(tmp_path: Path) -> None:
    model = nn.Linear(3, 2)
    x = torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(4, 3)], layout=torch.jagged)
    with evenflow.watch(run=tmp_path / "r.evenflow", every=1) as watch:
        model(x).values().sum().backward()
    run = evenflow.load(watch.path)
    (site,) = [s for s in run.sites if s.op == "linear"]
    assert site.shape == (6, 2)
    out = float(model(x).values().detach().double().square().mean().sqrt())
    rms = run.site(site.id, "rms")
    assert rms is not None and rms[0] == pytest.approx(out, rel=1e-5)


# -- the stack --------------------------------------------------------------------------------
class Nest(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.w = inner, nn.Parameter(torch.ones(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(F.dropout(x * self.w, 0.0))


def trains(depth: int) -> bool:
    inside: nn.Module = nn.Identity()
    params = []
    for _ in range(depth):
        inside = Nest(inside)
        params.append(inside.w)
    optimizer = torch.optim.SGD(params, 0.01)
    try:
        for _ in range(2):
            inside(torch.ones(2, 3)).sum().backward()
            optimizer.step()
    except RecursionError:
        return False
    return True


def deepest() -> int:
    low, high = 1, 400
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if trains(middle) else (low, middle)
    return low


@pytest.mark.parametrize("settings", [{}, {"on_nonfinite": "report", "heal": True}])
def test_the_deepest_nest_that_trains_is_no_shallower(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    limit = sys.getrecursionlimit()
    bare = deepest()
    with evenflow.watch(run=tmp_path / "r.evenflow", every=1, **settings) as watch:
        watched = deepest()
        assert watch.active
    assert bare <= watched  # (near its end the script may get some of what readings need)
    assert sys.getrecursionlimit() == limit


def test_a_limit_that_the_script_sets_stands() -> None:
    limit = sys.getrecursionlimit()
    room.open()
    try:
        assert sys.getrecursionlimit() > limit
        sys.setrecursionlimit(limit + 500)
        room.open()
        room.close()
        room.close()
        assert sys.getrecursionlimit() == limit + 500
    finally:
        sys.setrecursionlimit(limit)


def test_a_wrapper_of_ours_that_is_put_back_goes_with_the_next_watch(tmp_path: Path) -> None:
    bare = nn.Module.__call__
    model = nn.Linear(8, 8)
    for i in range(3):
        with evenflow.watch(
            run=tmp_path / f"{i}.evenflow", every=1, on_nonfinite="report"
        ):  # the guard's stands on `__call__`
            kept = nn.Module.__call__
            train(model, torch.optim.SGD(model.parameters(), 0.01), 2)
        nn.Module.__call__ = kept  # type: ignore[method-assign]
    with evenflow.watch(run=tmp_path / "last.evenflow", every=1, on_nonfinite="report"):
        train(model, torch.optim.SGD(model.parameters(), 0.01), 2)
    assert nn.Module.__call__ is bare
