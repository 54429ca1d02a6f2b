"""Noting who made what changes nothing of the user's, keeps nothing alive, and hides no error."""

from __future__ import annotations

import copy
import gc
import inspect
import io
import os
import pickle
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import evenflow
from evenflow.tape import made, making, trace_made

INIT: Any = None  # as each test finds it: torch's own compiler wraps it, too, once it is used
SIGNATURE = inspect.signature(nn.Linear)


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.fc(x))


class Odd(nn.Linear):
    """Equal to nothing."""

    __slots__ = ("extra",)

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("asked whether it is equal")

    __hash__ = nn.Module.__hash__


class OddKind(type):
    def __eq__(cls, other: object) -> bool:
        raise RuntimeError("asked whether it is equal")

    __hash__ = None  # type: ignore[assignment]


@pytest.fixture(autouse=True)
def tracing() -> Iterator[Callable[[], None]]:
    global INIT
    INIT = nn.Module.__init__
    undo = trace_made()
    yield undo
    undo()
    assert nn.Module.__init__ is INIT


def here() -> int:
    frame = inspect.currentframe()
    assert frame is not None and frame.f_back is not None
    return frame.f_back.f_lineno


def line(thing: Any) -> int:
    at = made(thing)
    return 0 if at is None else at.at.user.number


def test_a_module_its_parameters_and_its_optimizer_are_known() -> None:
    net, number = nn.Linear(2, 2), here()
    sgd = torch.optim.SGD(net.parameters(), lr=0.1)
    assert [line(t) for t in (net, net.weight, net.bias, sgd)] == [number] * 3 + [number + 1]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_is_the_models_own_and_made_by_no_line(copied: Callable[[Any], Any]) -> None:
    net = Own()
    before = set(vars(net.fc)), set(vars(net.fc.weight))
    new = copied(net)
    assert line(net.fc) and not any(map(line, [new, new.fc, new.fc.weight]))
    assert (set(vars(new.fc)), set(vars(new.fc.weight))) == before
    assert torch.equal(new.fc.weight, net.fc.weight)


def test_a_saved_model_holds_nothing_of_ours(tracing: Callable[[], None]) -> None:
    torch.manual_seed(0)
    net, file = Own(), io.BytesIO()
    torch.save(net, file)
    tracing()
    torch.manual_seed(0)
    plain, beside = Own(), io.BytesIO()
    torch.save(plain, beside)
    assert file.getvalue() == beside.getvalue()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_scripts_and_signatures_are_as_ever() -> None:
    scripted = torch.jit.script(Own())
    assert scripted(torch.ones(1, 2)).shape == (1, 2)
    assert inspect.signature(nn.Linear) == SIGNATURE
    assert inspect.signature(nn.Module.__init__) == inspect.signature(INIT)
    now = nn.Module.__init__
    assert now.__name__ == INIT.__name__ and now.__doc__ == INIT.__doc__


def test_random_numbers_are_as_ever(tracing: Callable[[], None]) -> None:
    torch.manual_seed(0)
    first = nn.Linear(3, 3).weight
    tracing()
    torch.manual_seed(0)
    assert torch.equal(first, nn.Linear(3, 3).weight)


def test_nothing_is_kept_alive() -> None:
    def build(size: int) -> list[weakref.ref[Any]]:
        net, large = Own(), torch.ones(size)
        sgd = torch.optim.SGD(net.parameters(), lr=0.1)
        seen = weakref.ref(large)
        del large  # while the function that made the model goes on
        assert seen() is None
        return [weakref.ref(t) for t in (net, net.fc, net.fc.weight, sgd)]

    refs = build(4)
    gc.collect()
    assert not any(ref() is not None for ref in refs)


def test_many_that_are_gone_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "_most", 1024)  # large models of earlier tests have raised it
    for _ in range(1500):
        nn.Identity()
    assert len(making._made) <= 1100 + sum(r() is not None for r, _ in making._made.values())


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_a_script_that_wraps_the_same_function(first: str, tracing: Callable[[], None]) -> None:
    if first == "theirs":
        tracing()
    calls, init = [], nn.Module.__init__

    def counted(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        calls.append(type(self).__name__)
        init(self, *args, **kwargs)

    nn.Module.__init__ = counted  # type: ignore[method-assign]
    try:
        undo = trace_made()
        net, number = nn.Linear(2, 2), here()
        assert calls == ["Linear"] and line(net) == number
        undo()
        tracing()
        assert nn.Module.__init__ is counted
        assert not line(nn.Linear(2, 2)) and calls == ["Linear"] * 2
    finally:
        nn.Module.__init__ = init  # type: ignore[method-assign]
        trace_made()()
        nn.Module.__init__ = INIT  # type: ignore[method-assign]


def test_odd_objects() -> None:
    net, number = Odd(2, 2), here()
    assert line(net) == number
    kind = OddKind("Kind", (nn.Linear,), {})
    net, number = kind(2, 2), here()
    assert line(net) == number

    class Circle(nn.Linear):
        def __init__(self, *args: int) -> None:
            super().__init__(*args)

    Circle.__init__.__wrapped__ = Circle.__init__  # type: ignore[attr-defined]
    net, number = Circle(2, 2), here()
    assert line(net) == number
    model = nn.Sequential(Odd(2, 2), kind(2, 2), kind(2, 2))
    assert making.lines_of(model.named_modules(), os.getcwd())["1"][0].turns == 0


def test_an_init_that_raises_says_so_and_leaves_nothing() -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        Broken()
    with pytest.raises(TypeError, match="unexpected keyword argument 'wrong'"):
        nn.Module(wrong=1)
    with pytest.raises(ValueError, match="empty parameter list"):
        torch.optim.SGD([], lr=0.1)
    assert line(Own()) == here()


def test_what_a_signal_handler_raises_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVENFLOW_STRICT")

    class Stop(Exception):
        pass

    def handler(number: int, frame: Any) -> None:
        raise Stop

    def strike(*args: Any) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)

    old = signal.signal(signal.SIGUSR1, handler)
    try:
        monkeypatch.setattr(making.lines, "_line", strike)
        with pytest.raises(Stop):
            nn.Linear(2, 2)
    finally:
        signal.signal(signal.SIGUSR1, old)
    monkeypatch.undo()
    assert line(nn.Linear(2, 2)) == here()


def test_an_error_of_ours_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("ours")

    monkeypatch.setattr(making.lines, "calling", fail)
    with pytest.raises(RuntimeError, match="ours"):
        nn.Linear(2, 2)
    monkeypatch.delenv("EVENFLOW_STRICT")
    assert line(nn.Linear(2, 2)) == 0


def test_a_model_made_at_the_end_of_the_stack(tracing: Callable[[], None]) -> None:
    def deep(n: int) -> Any:
        return deep(n - 1) if n else nn.Linear(2, 2)

    def most() -> int:
        """How deep it can be."""
        low, high = 0, sys.getrecursionlimit()
        while high - low > 1:
            middle = (low + high) // 2
            try:
                deep(middle)
            except RecursionError:
                high = middle
            else:
                low = middle
        return low

    ours, limit = most(), sys.getrecursionlimit()
    tracing()
    bare = most()
    assert limit == sys.getrecursionlimit()
    assert bare - ours <= 4  # a frame or two, and as many where torch's compiler wraps it as well


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks")
def test_a_forked_child_is_as_it_would_be_without_us(tmp_path: Path) -> None:
    with evenflow.watch(run=tmp_path / "run.evenflow", every=1):
        child = os.fork()
        if not child:
            net = nn.Linear(2, 2)
            os._exit(0 if net(torch.ones(1, 2)).shape == (1, 2) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        net, number = nn.Linear(2, 2), here()
        assert line(net) == number


def test_threads_make_models_at_once() -> None:
    found = list[tuple[int, int]]()

    def work() -> None:
        for _ in range(50):
            net, number = nn.Linear(2, 2), here()
            found.append((line(net), number))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 200 and all(at == number for at, number in found)


def test_the_watch_takes_it_off(tracing: Callable[[], None], tmp_path: Path) -> None:
    tracing()
    watch = evenflow.watch(run=tmp_path / "run.evenflow", every=0)
    assert line(nn.Linear(2, 2)) == here()
    watch.close()
    watch.close()
    assert nn.Module.__init__ is INIT and not line(nn.Linear(2, 2))
    assert "register" not in str(nn.modules.module._global_parameter_registration_hooks)
