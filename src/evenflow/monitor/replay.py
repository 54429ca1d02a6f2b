"""Running a root's forward again, as it was, to find the first op that made a non-finite value."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..network import of_node, unwrap
from ..tape import Place, Recorder, SiteRegistry, tensors_within
from .looking import Looker, NonFiniteBirth


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


@dataclass(frozen=True, slots=True)
class Found:
    """What a replay has found.

    `how`: "forward" (the operation at `site` made it of finite numbers), "input" (the data),
    "between" (the model was given what operation `op` had made before it), "outside" (the
    operation reads a buffer or attribute that is not finite), "backward" (the derivative).
    """

    how: str
    site: int | None
    op: str = ""


def replay(held: Held, registry: SiteRegistry, backward: bool = False) -> Found | None:
    """The first operation whose inputs are finite and whose output is not; None if all are.

    Weights are as they were (the update has not happened); buffers (BatchNorm's statistics) and
    the random state are put back afterwards. With `backward`, ones are sent back from a finite
    output, which shows where a derivative is not finite; no `.grad` is touched.
    """
    module = held.module
    recorder = Recorder(_raise, share=registry)
    looker = Looker(recorder, tensors_within((held.args, held.kwargs)))
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
        stack.callback(_put_back, buffers)
        stack.callback(recorder.disarm)
        stack.enter_context(looker)
        recorder.arm(full=False)
        made = tensors_within(module(*held.args, **held.kwargs))
        births = [b for t in made if (b := looker.birth(t)) is not None]
        real = [b for b in births if not b.put]
        if births:
            worst = max(real or births, key=lambda b: b.grade)
            return _found(worst, recorder, registry, held)
        return _slope(recorder, made, module) if backward else None


def _found(birth: NonFiniteBirth, recorder: Recorder, registry: SiteRegistry, held: Held) -> Found:
    """In the words of the registry: the site, made if the tape knows none there."""
    if birth.given:
        if birth.computed_by:
            return Found("between", None, of_node(birth.computed_by).name)
        root = registry.add_root(held.module).root
        inputs = [s.id for s in registry.sites if (s.root, s.kind) == (root, "input")]
        read = recorder.scalars.values()
        bad = {c.id for c, v in read if (c.of, c.metric) == ("site", "nonfinite") and float(v) > 0}
        return Found("input", next(iter([i for i in inputs if i in bad] or inputs), None))
    site = None if birth.out is None else recorder.forward.producer(birth.out)
    if site is None or registry.sites[site].kind == "input":
        place = Place(birth.root, birth.path)
        site = registry.site(place, birth.op, "other", 0, birth.call)
    return Found("outside" if birth.out is None else "forward", site, birth.op)


def _slope(recorder: Recorder, made: list[Tensor], module: nn.Module) -> Found | None:
    """Where ones that are sent back from a finite output meet an infinite derivative."""
    if unwrap(module) is not module:  # DDP hears of every backward
        return None
    outs = [t for t in made if t.grad_fn is not None and t.is_floating_point()]
    leaves = [p for p in module.parameters() if p.requires_grad]
    if not outs or not leaves:
        return None
    recorder.before_backward(outs, 1.0)
    torch.autograd.grad(outs, leaves, [torch.ones_like(t) for t in outs], allow_unused=True)
    site = where(recorder, recorder.registry)[1]
    return None if site is None else Found("backward", site)


def where(recorder: Recorder, registry: SiteRegistry) -> tuple[int | None, int | None]:
    """What the tape has read in this step so far: the site in whose output NaN or Inf arose, and
    the one in whose derivative it did."""
    from ..faults import Spread  # late: a watch that meets nothing of the kind needs no rules

    n = len(registry.sites)
    read = {m: np.full(n, np.nan) for m in ("nonfinite", "rms", "delta_nonfinite")}
    for channel, value in recorder.scalars.values():
        if channel.of == "site" and channel.metric in read:
            worst = np.fmax(read[channel.metric][channel.id], float(value))
            read[channel.metric][channel.id] = value if value != value else worst
    spread = Spread(registry.sites, read["nonfinite"], read["rms"])
    return spread.forward(), spread.backward(read["delta_nonfinite"])


def _put_back(buffers: list[tuple[Tensor, Tensor]]) -> None:
    with torch.no_grad():
        for b, old in buffers:
            b.copy_(old)


def _raise(error: Exception, where: str) -> None:
    raise error
