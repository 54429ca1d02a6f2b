"""Parameters: gradient, weight and applied update, once per sampled update."""

from __future__ import annotations

import gc
import math
import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from . import numbers
from .leftover import values_of
from .likeness import alike, unit_rows, zero_rows
from .numbers import local
from .recorder import Recorder
from .scalars import Key, Scalar
from .snapshot import Snapshot
from .together import COMMON

#: Full readings at which the likeness of units is read: what is alike by then stays so.
BIRTHS = 3
#: Modules of which one is loaded where FSDP is used.
_FSDP = ("torch.distributed.fsdp", "torch.distributed._composable.fsdp")


def of_optimizer(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """The optimizer's parameters, in order."""
    return [p for g in optimizer.param_groups for p in g["params"] if isinstance(p, Tensor)]


def held(t: Tensor) -> bool:
    """Does the tensor have its memory? FSDP lets that of gathered parameters go between uses."""
    if not any([name in sys.modules for name in _FSDP]):  # asking costs
        return True
    x = local(t).detach()
    try:
        return x.layout != torch.strided or x.untyped_storage().nbytes() > 0
    except NotImplementedError:  # a subclass without memory of its own
        return True


class Update:
    """One update from just before to just after.

    Holds meanwhile a copy of `numbers.chunks` of the parameters: one of all of a large network
    costs more, in memory and time, than all the rest of a sampled step.
    """

    def __init__(self, recorder: Recorder, params: Iterable[Tensor]) -> None:
        self.recorder, self.scalars, self._full = recorder, recorder.scalars, recorder.full
        self._params = [p for p in params if _readable(p) and held(p)]
        self._index = tuple([recorder.registry.add_param(p) for p in self._params])
        self._seen, self._unread, self._came = recorder.alike, recorder.unread, recorder.came
        with torch.no_grad():
            self._parts = [_part(p) for p in self._params]
            self._before = Snapshot(self._parts)
            self._times = [_whole(p, m) for p, m in zip(self._params, self._parts, strict=True)]
            self._wholes = self._read_whole()

    def _read_whole(self) -> dict[int, Scalar]:
        """Norms of the weights of which there is a part only, where they are to be exact. On a
        device always: another launch waits for nobody, and costs as one of the part's does."""
        large = {
            i: local(p).detach()
            for i, p, part, times in zip(
                self._index, self._params, self._parts, self._times, strict=True
            )
            if times != 1.0 and (self._full or not part.is_cpu)
        }
        return dict(zip(large, numbers.norms(list(large.values())), strict=True))

    def gradients(self, grads: dict[int, Tensor] | None = None) -> None:
        """Read the norms of the weights before the update, and of the gradients: `grads` by id of
        parameter, else each `p.grad`."""
        mine = [p.grad if grads is None else grads.get(id(p)) for p in self._params]
        index, found = values_of(zip(self._index, mine, strict=True))
        sizes = numbers.norms(found)
        self._note(tuple(index), "grad", sizes)
        self._kept(index, sizes)
        self._note(self._index, "weight", self._inferred(self._before.norms()))
        if self._full:
            for i, g in zip(index, found, strict=True):
                if numbers.plain(g) is not None:
                    channel = ("param", i, "grad_zeros", -1)
                    self.scalars.add(channel, numbers.zeros(numbers.sample(g)))
                    self.scalars.add(("param", i, "grad_absmax", -1), numbers.absmax(g))
            self._alike(grads)
            self._unheld()
        if sizes:
            self.scalars.add(("step", 0, "grad_norm", -1), _hypot(sizes))

    def _kept(self, index: Sequence[int], sizes: Sequence[Scalar]) -> None:
        """How much of the gradients is left of what the latest backward gave (`read_came`)."""
        both = [
            (size, self._came[i]) for i, size in zip(index, sizes, strict=True) if i in self._came
        ]
        whole = _hypot([was for _, was in both]) if both else 0.0
        if isinstance(whole, Tensor) or 0 < whole < math.inf:
            kept = _hypot([size for size, _ in both]) / whole
            self.scalars.add(("step", 0, "grad_kept", -1), kept)

    def _inferred(self, parts: Sequence[Scalar]) -> list[Scalar]:
        """Norms of the weights from those of their parts. How far off a part is, is learnt where
        the whole was read: by how much too large, or what it did not see."""
        out = [part * times for part, times in zip(parts, self._times, strict=True)]
        for k, (i, part) in enumerate(zip(self._index, out, strict=True)):
            size = self._wholes.get(i)
            if size is None:
                if self._times[k] != 1.0 and isinstance(part, float):
                    over, unseen = self._unread.get(i, (1.0, 0.0))
                    out[k] = math.hypot(part * over, unseen)
                continue
            out[k] = size
            if isinstance(size, float) and isinstance(part, float) and math.isfinite(size + part):
                unseen = math.sqrt(max(0.0, size - part)) * math.sqrt(size + part)
                self._unread[i] = (size / part if size < part else 1.0), unseen
        return out

    def _unheld(self) -> None:
        """Weights in no optimizer: whether a script moves them by hand, or nothing does."""
        free = [(i, p) for i, p in self.recorder.registry.unheld() if _readable(p) and held(p)]
        sizes = numbers.norms([local(p).detach() for _, p in free])
        self.scalars.extend(_keys(tuple(i for i, _ in free), "weight"), sizes)

    def _alike(self, grads: dict[int, Tensor] | None) -> None:
        """At birth: how many units of each weight are alike, or zero (`schema.METRICS`)."""
        known = self.recorder.registry.params
        due = {
            known[i].name: (i, p)
            for p, i in zip(self._params, self._index, strict=True)
            if self._seen[i] < BIRTHS
        }
        if not due:
            return
        named = {n: p for n, (_, p) in due.items()}
        found = {id(p): p.grad for p in named.values()} if grads is None else grads
        for name, weight, grad in unit_rows(named, found):
            i = due[name][0]
            self._seen[i] += 1
            self.scalars.add(("param", i, "alike", -1), alike(weight, grad))
            self.scalars.add(("param", i, "zero_rows", -1), zero_rows(named[name]))

    def left(self, least: dict[int, Scalar]) -> None:
        """Note what stood in `.grad` at every backward that led to this update (`Leftover`)."""
        index = tuple(i for i in self._index if i in least)
        self.scalars.extend(_keys(index, "grad_left"), [least[i] for i in index])

    def applied(self) -> None:
        """Read how far the update moved the weights; let the copy go."""
        after = [
            part if type(p) in COMMON and p.data_ptr() == part.data_ptr() else _part(p)
            for p, part in zip(self._params, self._parts, strict=True)
        ]
        told = {  # on a device nobody looks: that would wait for it
            i: way * self._times[i]
            for i, way in self._before.moved(after).items()
            if not isinstance(way, float)
            or way != 0
            or self._times[i] == 1.0  # its part is the whole
            or not _missed(self._params[i])
        }
        self._note(tuple(self._index[i] for i in told), "update", list(told.values()))

    def _note(self, index: tuple[int, ...], metric: str, values: Sequence[Scalar]) -> None:
        self.scalars.extend(_keys(index, metric), values)
        lost = [
            i
            for i, v in zip(index, values, strict=True)
            if isinstance(v, float) and not math.isfinite(v)
        ]
        for i in lost:
            self.scalars.add(("param", i, f"{metric}_nonfinite", -1), 1.0)
        away = [v for v in values if isinstance(v, Tensor)]
        count: Scalar = float(len(lost))
        if away:  # which ones they are would be a number for each
            on = torch.stack([v.to(away[0].device) for v in away])
            count = count + (~torch.isfinite(on)).sum()
        if lost or away:
            self.scalars.add(("step", 0, f"{metric}_nonfinite", -1), count)


def read_came(recorder: Recorder) -> None:
    """Norms of the gradients of the parameters that the latest backward reached, as it left them:
    what is done to them before the update shows against these."""
    met = list(recorder.backward.latest.values())
    with torch.no_grad():
        mine = [
            (i, p.grad) for p in met if (i := recorder.registry.param(p)) is not None and held(p)
        ]
        index, found = values_of(mine)
        for i, size in zip(index, numbers.norms(found), strict=True):
            recorder.came[i] = size / recorder.scale


@lru_cache(maxsize=64)
def _keys(index: tuple[int, ...], metric: str) -> tuple[Key, ...]:
    return tuple(("param", i, metric, -1) for i in index)


def _readable(p: Tensor) -> bool:
    if not p.requires_grad:
        return False
    if type(p) in COMMON:
        return p.numel() > 0
    return not is_lazy(p) and p.numel() > 0 and not numbers.mute(local(p))


def _part(p: Tensor) -> Tensor:
    x = local(p).detach()
    return numbers.chunks(x) if x.layout == torch.strided else x


def _missed(p: Tensor) -> bool:
    """Of a parameter that stood still in its part: may it have moved elsewhere? A large embedding
    of which few rows had a gradient may, all of them between the chunks."""
    if p.grad is None:
        return True
    g = local(p.grad).detach()
    if g.layout != torch.strided:
        return True
    return not bool(numbers.chunks(g).any()) and bool(g.any())


def _whole(p: Tensor, part: Tensor) -> float:
    """From the norm of a part (see `numbers.chunks`) to that of the whole."""
    n = part.numel()
    if not n or n == p.numel():
        return 1.0
    whole = local(p).numel()
    return math.sqrt(whole / n) if n < whole else 1.0


def _hypot(norms: list[Scalar]) -> Scalar:
    floats = [n for n in norms if isinstance(n, float)]
    tensors = [numbers.wide(n) for n in norms if isinstance(n, Tensor)]
    if not tensors:
        return math.hypot(*floats)
    on = tensors[0].device
    rest = torch.tensor(floats, dtype=tensors[0].dtype)
    whole: Tensor = torch.cat([torch.stack([t.to(on) for t in tensors]), rest.to(on)])
    return torch.linalg.vector_norm(whole)  # type: ignore[no-any-return]


def settings(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """lr and momentum (or beta1) of the first parameter group, the largest weight decay of all,
    where numbers."""
    group: dict[str, Any] = optimizer.param_groups[0]
    betas = group.get("betas")
    decays = [g.get("weight_decay") for g in optimizer.param_groups]
    plain = [d for d in decays if isinstance(d, (int, float))]
    given = {
        "lr": group.get("lr"),
        "momentum": group.get("momentum", betas[0] if betas else None),
        "weight_decay": max(plain) if len(plain) > 1 else decays[0],
    }
    out: dict[str, float] = {}
    for name, value in given.items():
        if isinstance(value, Tensor):
            value = value.item() if value.device.type == "cpu" else None
        if isinstance(value, (int, float)):
            out[name] = float(value)
    return out


def held_by_an_optimizer(leaves: dict[int, Tensor]) -> bool:
    """Does any living optimizer hold one of these parameters (any at all, if none are known)?"""
    for o in gc.get_objects():
        # No generator that is left before its end: closing it, Python swallows what a signal's
        # handler raises there.
        if issubclass(type(o), torch.optim.Optimizer) and (
            not leaves or not leaves.keys().isdisjoint(map(id, of_optimizer(o)))
        ):
            return True
    return False
