"""Leaving no trace: a copy to work on, random states kept, an open watch that sees nothing."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from ..tape import Mode, made_as

Engine = Callable[..., Any]


def copied(model: nn.Module) -> nn.Module | None:
    """A deep copy, with hooks on modules but not on tensors; None where the model allows none
    (a module that keeps the outputs of its last call cannot be copied)."""
    try:
        with torch.no_grad():
            twin = copy.deepcopy(model)
            made_as(twin, model)
    except Exception:
        return None
    for p in twin.parameters():
        p.grad = None
    return twin


@contextmanager
def restored(model: nn.Module) -> Iterator[None]:
    """Put back all that a forward may change: buffers, flags, attributes. Not parameters' values,
    which no forward changes. For models that cannot be copied."""
    tables = ("_parameters", "_buffers", "_modules")
    kept = [
        (m, dict(m.__dict__), {t: dict(m.__dict__[t]) for t in tables}) for m in model.modules()
    ]
    values = [(b, b.detach().clone()) for b in model.buffers()]
    try:
        yield
    finally:
        for module, attributes, inner in kept:
            for name in [n for n in module.__dict__ if n not in attributes]:
                del module.__dict__[name]
            module.__dict__.update(attributes)
            for t, old in inner.items():
                table = module.__dict__[t]
                table.clear()
                table.update(old)
        with torch.no_grad():
            for b, old_value in values:
                # an in-place write raises the version counter: leave alone what did not change
                if not torch.allclose(b, old_value, rtol=0, atol=0, equal_nan=True):
                    b.copy_(old_value)


@contextmanager
def same_random(devices: Iterable[torch.device], seed: int) -> Iterator[None]:
    """Begin with this seed, and give torch, numpy and random their states back at the end."""
    cuda = sorted({d.index or 0 for d in devices if d.type == "cuda"})
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=cuda):
            # not torch.manual_seed: it would seed, and so start, every device there is
            torch.default_generator.manual_seed(seed)
            for i in cuda:
                with torch.cuda.device(i):
                    torch.cuda.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


@contextmanager
def unwatched(engine: Engine) -> Iterator[None]:
    """Hide from an open watch: plain module calls, its modes silenced, `engine` as the engine.

    Everything is as it was afterwards, also the order of what others had put on.
    """
    get = torch._C._get_function_stack_at
    modes = [get(i) for i in range(torch._C._len_torch_function_stack())]
    loud = [m for m in modes if isinstance(m, Mode) and not m.paused]
    homes: list[Any] = [torch.autograd, torch.autograd.graph]
    engines = [home._engine_run_backward for home in homes]
    call: Any = nn.Module.__call__
    for mode in loud:
        mode.paused = True
    for home in homes:
        home._engine_run_backward = engine
    nn.Module.__call__ = nn.Module._wrapped_call_impl  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module.__call__ = call  # type: ignore[method-assign]
        for home, old in zip(homes, engines, strict=True):
            home._engine_run_backward = old
        for mode in loud:
            mode.paused = False
