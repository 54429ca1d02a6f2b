"""Modes, tensor classes and transforms that listen to what is computed; signals and threads."""

from __future__ import annotations

import ctypes
import signal
import threading
import warnings
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from . import STEPS, Calls, batch, fit, net, weights, wrapping


class Hears(TorchFunctionMode):
    def __init__(self, calls: Calls) -> None:
        super().__init__()
        self.calls = calls

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls.append(getattr(func, "__name__", ""))
        return func(*args, **(kwargs or {}))


class Dispatched(TorchDispatchMode):
    def __init__(self, calls: Calls) -> None:
        super().__init__()
        self.calls = calls

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls.append(str(func))
        return func(*args, **(kwargs or {}))


@wrapping()
def function_mode_round_all(calls: Calls) -> list[Tensor]:
    with Hears(calls):
        return fit(net())


@wrapping()
def function_mode_round_the_forward(calls: Calls) -> list[Tensor]:
    model, hears = net(), Hears(calls)

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, x: Tensor) -> Tensor:
            with hears:
                return self.inner(x)

    return fit(Outer())


@wrapping()
def two_function_modes(calls: Calls) -> list[Tensor]:
    with Hears(calls), Hears(calls):
        return fit(net(nn.Dropout(0.2)))


@wrapping()
def dispatch_mode_round_all(calls: Calls) -> list[Tensor]:
    with Dispatched(calls):
        return fit(net())


@wrapping()
def dispatch_mode_and_function_mode(calls: Calls) -> list[Tensor]:
    with Dispatched(calls), Hears(calls):
        return fit(net(nn.Dropout(0.2)))


@wrapping()
def flop_counter(calls: Calls) -> list[Tensor]:
    with FlopCounterMode(display=False) as counter:
        out = fit(net())
    calls.append(counter.get_total_flops())
    return out


class Named(Tensor):
    """A class that hears torch functions."""

    calls: ClassVar[Calls] = []

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        cls.calls.append(getattr(func, "__name__", ""))
        return super().__torch_function__(func, types, args, kwargs or {})


class Below(Tensor):
    """A class that hears operators, with memory of its own."""

    calls: ClassVar[Calls] = []
    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        cls.calls.append(str(func))
        with torch._C._DisableTorchDispatch():
            out = func(*args, **(kwargs or {}))
        again = any(isinstance(a, cls) for a in args) and "detach" in str(func)
        return Tensor._make_subclass(cls, out) if again else out


class Holds(Tensor):
    """A class that wraps another tensor, and has no memory."""

    calls: ClassVar[Calls] = []
    __torch_function__ = torch._C._disabled_torch_function_impl
    elem: Tensor

    @staticmethod
    def __new__(cls, elem: Tensor) -> Any:
        made = Tensor._make_wrapper_subclass(cls, elem.shape, dtype=elem.dtype)
        made.elem = elem
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        cls.calls.append(str(func))

        def inner(a: Any) -> Any:
            if isinstance(a, (list, tuple)):
                return type(a)(map(inner, a))
            return a.elem if isinstance(a, Holds) else a

        out = func(*inner(tuple(args)), **(kwargs or {}))
        kept = args and isinstance(args[0], Holds)
        if "_(" in str(func) or func.__name__.split(".")[0].endswith("_"):
            return args[0]
        return Holds(out) if kept and "detach" in str(func) else out


def _of_class(kind: Any, make: Any, calls: Calls, **settings: Any) -> list[Tensor]:
    model = net()
    for layer in (model[0], model[2]):
        layer.weight = nn.Parameter(make(layer.weight.detach().clone()))
    kind.calls = calls
    optimizer = torch.optim.SGD(model.parameters(), 0.1, foreach=False, **settings)
    try:
        fit(model, optimizer=optimizer)
    finally:
        kind.calls = []
    held = [getattr(p.detach(), "elem", p.detach()) for p in model.parameters()]
    with torch._C.DisableTorchFunction(), torch._C._DisableTorchDispatch():
        return [h.detach().as_subclass(Tensor).clone() for h in held]


@wrapping()
def parameters_of_a_class_with_functions(calls: Calls) -> list[Tensor]:
    return _of_class(Named, lambda w: w.as_subclass(Named), calls, momentum=0.9)


@wrapping()
def parameters_of_a_class_with_dispatch(calls: Calls) -> list[Tensor]:
    return _of_class(Below, lambda w: Tensor._make_subclass(Below, w), calls)


@wrapping()
def parameters_that_wrap_others(calls: Calls) -> list[Tensor]:
    return _of_class(Holds, Holds, calls)


@wrapping()
def data_of_a_class(calls: Calls) -> list[Tensor]:
    model, optimizer = net(), None
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    Named.calls = calls
    for _ in range(STEPS):
        x, y = batch()
        optimizer.zero_grad()
        F.cross_entropy(model(x.as_subclass(Named)), y).backward()
        optimizer.step()
    Named.calls = []
    return weights(model)


@wrapping()
def vmap_over_an_ensemble(calls: Calls) -> list[Tensor]:
    models = [net() for _ in range(3)]
    params, buffers = torch.func.stack_module_state(models)  # type: ignore[arg-type]
    base = net()
    optimizer = torch.optim.SGD(list(params.values()), 0.1)
    for _ in range(STEPS):
        x = torch.randn(4, 6)
        out = torch.vmap(
            lambda p, b, x: torch.func.functional_call(base, (p, b), (x,)), in_dims=(0, 0, None)
        )(params, buffers, x)
        optimizer.zero_grad()
        out.square().mean().backward()
        optimizer.step()
    return [p.detach() for p in params.values()]


@wrapping(sees=False)
def functorch_grad(calls: Calls) -> list[Tensor]:
    model = net()
    params = {k: v.detach() for k, v in model.named_parameters()}
    for _ in range(STEPS):
        x, y = batch()
        grads = torch.func.grad(
            lambda p, x=x, y=y: F.cross_entropy(torch.func.functional_call(model, p, (x,)), y)
        )(params)
        params = {k: p - 0.1 * grads[k] for k, p in params.items()}
    return list(params.values())


@wrapping()
def functional_call_of_other_weights(calls: Calls) -> list[Tensor]:
    model = net()
    own = {k: v.detach().clone().requires_grad_() for k, v in model.named_parameters()}
    optimizer = torch.optim.SGD(list(own.values()), 0.1)
    for _ in range(STEPS):
        x, y = batch()
        optimizer.zero_grad()
        F.cross_entropy(torch.func.functional_call(model, own, (x,)), y).backward()
        optimizer.step()
    return [p.detach() for p in own.values()]


@wrapping()
def default_device(calls: Calls) -> list[Tensor]:
    torch.set_default_device("cpu")
    try:
        return fit(net(nn.Dropout(0.2)))
    finally:
        torch.set_default_device(None)


class TimeUp(Exception):
    """A class of the script's own."""


@wrapping()
def a_signal_that_is_caught(calls: Calls) -> list[Tensor]:
    """It strikes at a known place: between two steps of the script, not wherever it happens."""

    def handler(number: int, frame: Any) -> None:
        calls.append(number)
        raise TimeUp

    old = signal.signal(signal.SIGUSR1, handler)
    model = net()
    try:
        fit(model, steps=3)
        try:
            signal.raise_signal(signal.SIGUSR1)
        except TimeUp:
            calls.append("caught")
        return fit(model, steps=3)
    finally:
        signal.signal(signal.SIGUSR1, old)


@wrapping()
def an_error_in_a_module_that_is_caught(calls: Calls) -> list[Tensor]:
    class Fails(nn.Module):
        count = 0

        def forward(self, x: Tensor) -> Tensor:
            Fails.count += 1
            if Fails.count % 3 == 2:
                raise TimeUp
            return x

    model = net(Fails())
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(STEPS):
        x, y = batch()
        optimizer.zero_grad()
        try:
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        except TimeUp:
            calls.append("caught")
    Fails.count = 0
    return weights(model)


@wrapping()
def an_error_from_another_thread(calls: Calls) -> list[Tensor]:
    """Set while the script waits, so that it strikes there."""
    model = net()
    fit(model, steps=3)
    ident = threading.get_ident()

    waits = threading.Event()

    def throw() -> None:
        waits.wait()  # or it may strike within `start`
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(TimeUp))

    thread = threading.Thread(target=throw)
    thread.start()
    try:
        waits.set()
        while True:
            pass
    except TimeUp:
        thread.join()
        calls.append("caught")
    return fit(model, steps=3)


@wrapping()
def trained_in_a_thread(calls: Calls) -> list[Tensor]:
    out: list[Tensor] = []
    thread = threading.Thread(target=lambda: out.extend(fit(net(nn.Dropout(0.2)))))
    thread.start()
    thread.join()
    return out


@wrapping()
def anomaly_mode(calls: Calls) -> list[Tensor]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.autograd.detect_anomaly():
            return fit(net())


@wrapping()
def saved_tensor_hooks(calls: Calls) -> list[Tensor]:
    def pack(t: Tensor) -> Tensor:
        calls.append(("pack", tuple(t.shape)))
        return t.clone()

    def unpack(t: Tensor) -> Tensor:
        calls.append(("unpack", tuple(t.shape)))
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        return fit(net(nn.LayerNorm(8)))


@wrapping()
def deterministic(calls: Calls) -> list[Tensor]:
    torch.use_deterministic_algorithms(True)
    try:
        return fit(net(nn.Dropout(0.2)))
    finally:
        torch.use_deterministic_algorithms(False)


@wrapping()
def profiled(calls: Calls) -> list[Tensor]:
    with torch.autograd.profiler.profile():
        return fit(net())
