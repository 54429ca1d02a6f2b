"""Does an output depend on later inputs, which are what it is to predict?"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from .meant import Cuts
from .retrace import WRITES, Compared, Retrace, RetracedStep, floats_in
from .steps_back import last_bad, seed_of, sent_back

#: Targets that must agree with later inputs, so that this is none of chance.
FEWEST = 8


class Shift(NamedTuple):
    """Targets [A, T] (or [T, A]: `first`) that are what the source holds a step later."""

    source: int
    samples: int
    steps: int
    first: bool


class _TimeKept:
    """Lets no gradient through what has lost the axis of time: a summary of the whole sequence is
    an autoencoder's code, from which later inputs are meant to be told. Nor through a
    recurrence's last state. What folds time into pieces is lost likewise."""

    def __init__(self, shift: Shift) -> None:
        self._cuts, self._samples = Cuts(0), shift.samples
        self._long = {shift.steps - 1, shift.steps, shift.steps + 1}

    def __call__(self, step: RetracedStep, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if step.name in WRITES:
            return None
        out = self._cuts(step, args, kwargs)
        made = floats_in(step.func(*args, **kwargs) if out is None else out)
        states = step.kind == "recurrent"
        return [
            t if self._timed(t) and not (states and i) else t.detach() for i, t in enumerate(made)
        ]

    def _timed(self, t: Tensor) -> bool:
        shape = tuple(t.shape)
        axes = shape[1:] if shape[:1] == (self._samples,) else shape
        return any([n in self._long or n in [self._samples * m for m in self._long] for n in axes])


def ahead(retrace: Retrace) -> list[tuple[int, str, float]]:
    if any(["fft" in step.name for step in retrace.steps]):
        return []  # whose rounding reaches everywhere
    for pair in retrace.pairs[:2]:
        shifts = [_shift(retrace, i, pair) for i in range(len(retrace.sources))]
        told = [s for s in shifts if s is not None]
        found = _leak(retrace, pair, told[0]) if told else None
        if found is not None:
            return [(found[0], "ahead", found[1])]
    return []


def _leak(retrace: Retrace, pair: Compared, shift: Shift) -> tuple[int, float] | None:
    """The site where later inputs get in, and the share of them that does."""
    played = retrace.play(pair.slot, _TimeKept(shift))
    out, leaf = played.values[pair.slot], played.leaves[shift.source]
    if out is None or not out.requires_grad:
        return None
    times = [(5 * a + shift.steps // 3) % (shift.steps - 1) for a in range(shift.samples)]
    seed = _at(out, shift, times)
    if seed is None:
        return None
    (grad,) = sent_back(out, [leaf], seed)
    share = 0.0 if grad is None else _later(grad, shift, times)
    if not share:
        return None
    at = last_bad(
        *(retrace, played, out, seed),
        lambda t: t.shape[:2] == leaf.shape[:2],
        lambda g: _later(g, shift, times) > 0,
    )
    site = _blame_time(retrace, at)
    return None if site is None else (site, share)


def _shift(retrace: Retrace, i: int, pair: Compared) -> Shift | None:
    """Whether a pair's targets are the data of the source one step later."""
    source, y = retrace.sources[i], pair.target
    x, v = source.value if source.ids is None else source.ids, source.value
    if x.dim() == 3 and not y.is_floating_point() and bool((v.sum(-1) == 1).all()):
        x = v.argmax(-1)
    if x.is_floating_point() != y.is_floating_point() or x.dim() not in (2, 3):
        return None
    for first in (False, True):
        there = x.transpose(0, 1) if first else x
        found = _shifted(there, y.transpose(0, 1) if first and y.dim() == x.dim() else y, first)
        if found is not None:
            samples, steps = found
            return Shift(i, samples, steps, first)
    return None


def _shifted(x: Tensor, y: Tensor, first: bool) -> tuple[int, int] | None:
    """x [A, B, ..] and targets y: (A, T) where y[a, t] = x[a, t + 1], None where it is not."""
    a = x.shape[0]
    if x.dim() == 2:
        if y.numel() % a or y.numel() // a not in (x.shape[1], x.shape[1] - 1):
            return None
        if first and y.dim() == 1:
            y = y.reshape(-1, a).t()
        y = y.reshape(a, -1)
    elif y.dim() != 3 or y.shape[0] != a or y.shape[2] > x.shape[2]:
        return None
    else:
        x = x[..., : y.shape[2]]
    steps = y.shape[1]
    n = min(steps, x.shape[1] - 1)
    if n < 2:
        return None
    told = (
        y[:, :n] >= 0 if not y.is_floating_point() else torch.ones_like(y[:, :n], dtype=torch.bool)
    )
    later = (y[:, :n] == x[:, 1 : n + 1]) | ~told
    same = (y[:, :n] == x[:, :n]) | ~told
    if int(told.sum()) < FEWEST or not bool(later.all()) or bool(same.all()):
        return None
    return a, steps


def _at(out: Tensor, shift: Shift, times: list[int]) -> Tensor | None:
    """A cotangent of each sample's output at its own time. The output is [A, T, ..] (of targets
    time first [T, A, ..]), [A * T, ..], or [A, V, T] as a loss over classes wants it."""
    a, t, whole = shift.samples, shift.steps, seed_of(out)
    seed = torch.zeros_like(whole)
    shape = tuple(out.shape)
    for n, at in enumerate(times):
        place: tuple[Any, ...]
        if shape[0] == a * t:
            place = (at * a + n if shift.first else n * t + at,)
        elif shape[:2] == ((t, a) if shift.first else (a, t)):
            place = (at, n) if shift.first else (n, at)
        elif len(shape) == 3 and (shape[0], shape[2]) == (a, t) and not shift.first:
            place = (n, slice(None), at)
        else:
            return None
        seed[place] = whole[place]
    return seed


def _later(grad: Tensor, shift: Shift, times: list[int]) -> float:
    """Share of later inputs with a gradient; 0 where any is not finite, or there is none at all."""
    g = grad.detach()
    g = g.transpose(0, 1) if shift.first else g
    if g.shape[0] != shift.samples or not bool(g.isfinite().all()):
        return 0.0
    reached = (g != 0).flatten(2).any(2) if g.dim() > 2 else g != 0
    when = torch.arange(g.shape[1], device=g.device)[None]
    after = when > torch.tensor(times, device=g.device)[:, None]
    if not bool((reached & ~after).any()):
        return 0.0
    return float((reached & after).sum()) / max(int(after.sum()), 1)


def _blame_time(retrace: Retrace, at: int) -> int | None:
    """The site at which time is mixed last: an attention, a recurrence, a convolution."""
    sites = [s for s in retrace.steps[at + 1 :] if s.site is not None]
    mixing = ("softmax", "attention", "recurrent")
    chosen = [s for s in sites if s.kind in mixing or s.name.startswith(("conv", "avg_pool"))]
    return next(iter([s.site for s in (*chosen, *sites)]), None)
