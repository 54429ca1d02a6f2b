"""Copies to go back to: weights, buffers, optimizer state, a GradScaler's scale. Nothing else.

Not `treatments.live.undo.TrainingState`: param_groups stay as they are now (chainable schedulers
work out the next rate from the last one, and would begin anew in the past), and a copy is refilled
in place, so that a snapshot every 50 steps allocates nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ...tape import of_optimizer
from ...treatments import total_norm

#: ("p", optimizer, parameter), ("s", optimizer, parameter, name), ("b", id) or ("g", name).
_Key = tuple[Any, ...]
#: Buffers of more elements are taken for constants (masks, tables): copied in snapshots only.
SMALL = 1 << 20


class WeightSnapshot:
    """One copy of a training's state on its own devices, refilled by `take`.

    `step` is that of the latest `take`, -1 before. Random state is no part of it: the batches
    that come after a roll-back are other ones than those that led to it.
    """

    def __init__(self) -> None:
        self.step = -1
        self.extra: Any = None
        self._kept: dict[_Key, Tensor] = {}
        self._rest: dict[_Key, Any] = {}
        self._buffers: list[Tensor] = []  # alive, so that their ids stay theirs

    @torch.no_grad()
    def take(
        self,
        step: int,
        optimizers: Sequence[torch.optim.Optimizer],
        buffers: Sequence[Tensor],
        scaler: Any,
        extra: Any,
    ) -> None:
        now, rest = _live(optimizers, buffers, scaler)
        if list(now) == list(self._kept) and all(map(_fits, self._kept.values(), now.values())):
            torch._foreach_copy_(list(self._kept.values()), list(now.values()))
        else:
            self._kept = {k: t.clone() for k, t in now.items()}
        self._rest = {k: copy.deepcopy(v) for k, v in rest.items()}
        self.step, self.extra, self._buffers = step, extra, list(buffers)

    @torch.no_grad()
    def gone(self, optimizers: Sequence[torch.optim.Optimizer]) -> float:
        """How far the weights are from where they were, over their norm there."""
        now, _ = _live(optimizers, (), None)
        pairs = [(t, self._kept[k]) for k, t in now.items() if k[0] == "p" and k in self._kept]
        pairs = [(t, kept) for t, kept in pairs if _fits(t, kept) and t.numel()]
        if not pairs:
            return 0.0
        then = [kept for _, kept in pairs]
        size = float(total_norm(then))
        away = float(total_norm(list(torch._foreach_sub([t for t, _ in pairs], then))))
        return away / size if size > 0 else 0.0

    def absorb(self, other: WeightSnapshot, offset: int) -> None:
        """Take in the copies of other optimizers, which are counted from `offset` on here."""
        self._kept |= {_shifted(key, offset): tensor for key, tensor in other._kept.items()}
        self._rest |= {_shifted(key, offset): value for key, value in other._rest.items()}

    @torch.no_grad()
    def restore(
        self,
        optimizers: Sequence[torch.optim.Optimizer],
        buffers: Sequence[Tensor],
        scaler: Any,
    ) -> None:
        """Put it back into the same tensors. State that arose since is dropped (an optimizer
        makes it anew); a tensor that has changed its shape since is left as it is."""
        now, rest = _live(optimizers, buffers, scaler)
        known = self._kept.keys() | self._rest.keys()
        for key in (now.keys() | rest.keys()) - known:
            if key[0] == "s":
                _state(optimizers, key).pop(key[3], None)
        for key, kept in self._kept.items():
            if key in now:
                if _fits(kept, now[key]):
                    now[key].copy_(kept)
            elif key[0] == "s" and key[1] < len(optimizers):
                _state(optimizers, key)[key[3]] = kept.clone()
        for key, value in self._rest.items():
            if key[1] < len(optimizers):
                _state(optimizers, key)[key[3]] = copy.deepcopy(value)
        for optimizer in optimizers:
            for p in [p for p, state in optimizer.state.items() if not state]:
                del optimizer.state[p]


def _live(
    optimizers: Sequence[torch.optim.Optimizer], buffers: Sequence[Tensor], scaler: Any
) -> tuple[dict[_Key, Tensor], dict[_Key, Any]]:
    """What there is to copy, by place: tensors, and state that is none (step counts)."""
    tensors: dict[_Key, Tensor] = {}
    rest: dict[_Key, Any] = {}
    for i, optimizer in enumerate(optimizers):
        for j, p in enumerate(of_optimizer(optimizer)):
            tensors["p", i, j] = p.detach()
            for name, value in optimizer.state.get(p, {}).items():
                if isinstance(value, Tensor):
                    tensors["s", i, j, name] = value.detach()
                else:
                    rest["s", i, j, name] = value
    for b in buffers:
        tensors["b", id(b)] = b.detach()
    for name in ("_scale", "_growth_tracker"):
        if isinstance(value := getattr(scaler, name, None), Tensor):
            tensors["g", name] = value
    return tensors, rest


def _shifted(key: _Key, offset: int) -> _Key:
    return (key[0], key[1] + offset, *key[2:])


def _state(optimizers: Sequence[torch.optim.Optimizer], key: _Key) -> dict[str, Any]:
    state: dict[str, Any] = optimizers[key[1]].state[of_optimizer(optimizers[key[1]])[key[2]]]
    return state


def _fits(a: Tensor, b: Tensor) -> bool:
    return (a.shape, a.dtype, a.device, a.layout) == (b.shape, b.dtype, b.device, b.layout)


class Buffers:
    """Running statistics as they were before the forward that is being judged.

    A batch with one infinite pixel leaves NaN in BatchNorm's running mean for good, however
    surely its update is left out. Kept before each round's first forward; constants are not
    (see `SMALL`).
    """

    def __init__(self) -> None:
        self._roots: tuple[nn.Module, ...] = ()
        self._live: list[Tensor] = []
        self._kept: list[Tensor] = []

    @torch.no_grad()
    def keep(self, roots: Iterable[nn.Module], again: bool) -> None:
        """Note their values now; `again` looks for buffers that were replaced since."""
        found = tuple(roots)
        if again or found != self._roots:
            self._roots = found
            self._live = [b for b in all_buffers(found) if b.numel() <= SMALL]
            self._kept = [b.detach().clone() for b in self._live]
        elif self._live:
            torch._foreach_copy_(self._kept, self._live)

    def forget(self) -> None:
        """They are as they are to be."""
        self._roots, self._live, self._kept = (), [], []

    @torch.no_grad()
    def moved(self) -> float:
        """How far those of real numbers have gone since `keep`, as one 2-norm."""
        now = [b.detach() for b in self._live if b.is_floating_point()]
        old = [b for b in self._kept if b.is_floating_point()]
        return float(total_norm(list(torch._foreach_sub(now, old)))) if now else 0.0

    @torch.no_grad()
    def put_back(self) -> None:
        """Those that were changed since `keep` are as they were."""
        for b, old in zip(self._live, self._kept, strict=True):
            if not torch.equal(b, old):
                b.copy_(old)


def all_buffers(roots: Iterable[nn.Module]) -> list[Tensor]:
    """Each dense buffer of these modules once."""
    found = {id(b): b for root in roots for b in root.buffers() if b.layout == torch.strided}
    return list(found.values())
