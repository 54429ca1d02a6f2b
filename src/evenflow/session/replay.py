"""Running a root's forward again, as it was, to find the first op that made a non-finite value."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..tape import Recorder


@dataclass(frozen=True, slots=True)
class Held:
    """A call of a root module, by reference, with the random state it began with."""

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    rng: Tensor
    device_rng: dict[int, Tensor]
    autocast: tuple[tuple[str, torch.dtype], ...]


def hold(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Held:
    """Note a call that is about to happen. Copies the random state (5 kB), nothing else."""
    devices = {
        a.device.index or 0
        for a in (*args, *kwargs.values())
        if isinstance(a, Tensor) and a.device.type == "cuda"
    }
    autocast = tuple(
        (kind, torch.get_autocast_dtype(kind))
        for kind in ("cpu", "cuda")
        if torch.is_autocast_enabled(kind)
    )
    states = {i: torch.cuda.get_rng_state(i) for i in devices}
    return Held(module, args, kwargs, torch.get_rng_state(), states, autocast)


def replay(held: Held, catalogue: Any) -> int | None:
    """Id of the first site whose inputs are finite and whose output is not; None if all are.

    Weights are as they were (the update has not happened); buffers (BatchNorm's statistics) and
    the random state are put back afterwards. A data site is returned if the data is not finite.
    """
    module = held.module
    recorder = Recorder(_raise, share=catalogue)
    buffers = [(b, b.clone()) for b in module.buffers()]
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=list(held.device_rng)))
        torch.set_rng_state(held.rng)
        for i, state in held.device_rng.items():
            torch.cuda.set_rng_state(state, i)
        for kind, dtype in held.autocast:
            stack.enter_context(torch.autocast(kind, dtype=dtype))
        stack.enter_context(torch.enable_grad())
        if "torch._dynamo.eval_frame" in sys.modules:  # or it would trace our own reading
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        recorder.arm(dear=False)
        try:
            module(*held.args, **held.kwargs)
        finally:
            slab = recorder.release()
            with torch.no_grad():
                for b, old in buffers:
                    b.copy_(old)
    bad: set[int] = set()
    for channel, value in slab.values():
        if channel.metric == "nonfinite" and float(value) > 0:
            bad.add(channel.id)
    first = [s for s in bad if not bad.intersection(catalogue.sites[s].inputs)]
    return min(first, key=lambda s: (catalogue.sites[s].kind != "input", s)) if first else None


def _raise(error: Exception, where: str) -> None:
    raise error
