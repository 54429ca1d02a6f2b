"""Time is depth: a fused RNN, LSTM or GRU opened step by step, off the pass that met it.

Such a layer hides its steps from the tape. So what it was given and the δ that came back to its
output are kept for a few samples, and its states are worked out again one by one in float64: how
large they are, how far apart two samples' are, and how large the gradient of each is.

Shapes: B samples, T time steps, F features, H units of the state, D outputs (H or its projection,
twice that in two directions). A chain is one layer in one direction, its T states in the order in
which they are computed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from ..tape import rms, spread

#: Samples that are looked at, and points that are kept of a longer chain.
SAMPLES, POINTS = 8, 64
#: Numbers that the states of a layer may be (16 MiB, and some ten times that for the backward).
LARGEST = 1 << 21


class Met(NamedTuple):
    """One call of a fused layer.

    Attributes:
        module, call: which layer, and its how manieth call (from 0).
        x: [B, T, F] what it was given; None where it cannot be opened.
        state: h [layers, B, H] or (h, c) it began with; None = zeros.
        delta: filled by the backward, by what it came to: "y" [B, T, D], and "h" and "c" (the last
            states) [layers, B, H].
    """

    module: nn.RNNBase
    call: int
    x: Tensor | None
    state: Any
    delta: dict[str, Tensor]


class Opened:
    """Hooks on a model's fused recurrent layers for one pass; `chains` reads them after it."""

    def __init__(self, model: nn.Module) -> None:
        self.met: list[Met] = []
        self._calls: dict[nn.Module, int] = {}
        layers = [m for m in model.modules() if isinstance(m, nn.RNNBase)]
        self._handles = [m.register_forward_hook(self._see, with_kwargs=True) for m in layers]

    def close(self) -> None:
        """Take the hooks off."""
        for handle in self._handles:
            handle.remove()

    def _see(self, module: nn.Module, args: Any, kwargs: Any, out: Any) -> None:
        assert isinstance(module, nn.RNNBase)
        with torch._C.DisableTorchFunction():  # the tape must not take this for the model's
            self._meet(module, args, kwargs, out)

    def _meet(self, module: nn.RNNBase, args: Any, kwargs: Any, out: Any) -> None:
        call = self._calls[module] = self._calls.get(module, -1) + 1
        x, y = args[0] if args else kwargs.get("input"), out[0]
        hx = args[1] if len(args) > 1 else kwargs.get("hx")
        met = Met(module, call, None, None, {})
        pick = _picker(module, x, hx)
        if pick is not None:
            met = met._replace(x=pick.out(x), state=_states(hx))
            ends = out[1] if isinstance(out[1], tuple) else (out[1],)
            packed = y if isinstance(y, PackedSequence) else None
            _keep(
                met,
                "y",
                y if packed is None else packed.data,
                lambda g: pick.out(g if packed is None else packed._replace(data=g)),
            )
            for name, end in zip("hc", ends, strict=False):
                _keep(met, name, end, lambda g: g[:, pick.samples].detach().clone())
        self.met.append(met)

    def chains(self, site_of: Callable[[Met], int | None]) -> list[dict[str, Any]]:
        """A record for each chain, plain JSON types: "site", "steps" (T), "ends" (whether the loss
        reads its last state alone), and log10 of rms δ ("delta"), of rms ("rms") and of 1 - c
        ("spread") of its states, null where unknown. A layer that could not be opened has one
        record with "steps" 0."""
        out = []
        for met in self.met:
            site = site_of(met)
            if site is None or (met.x is not None and met.x.shape[1] < 2):
                continue
            found = _opened(met)
            out += [{"site": site, **c} for c in found or [{"steps": 0}]]
        return out


class _Few(NamedTuple):
    """Which samples, and how to take them [B, T, ...] of what goes in or comes out."""

    samples: list[int]
    out: Callable[[Any], Tensor]


def _keep(met: Met, name: str, x: Any, take: Callable[[Tensor], Tensor]) -> None:
    """Keep the δ that comes to x."""
    if isinstance(x, Tensor) and x.requires_grad:
        x.register_hook(lambda g: met.delta.__setitem__(name, take(g)))  # type: ignore[no-untyped-call]


def _picker(module: nn.RNNBase, x: Any, hx: Any) -> _Few | None:
    """None where what goes in is not known, or the states would be too many."""
    if isinstance(x, PackedSequence):
        padded, lengths = pad_packed_sequence(x, batch_first=True)
        # samples as long as the longest; states given for a sorted batch are in another order
        full = [i for i, n in enumerate(lengths.tolist()) if n == padded.shape[1]]
        few = full[: _samples(module, padded.shape[1])]
        if hx is not None or not few:
            return None
        return _Few(few, lambda p: pad_packed_sequence(p, True)[0][few].detach().clone())
    if not isinstance(x, Tensor) or x.dim() != 3:
        return None
    along, across = (1, 0) if module.batch_first else (0, 1)
    few = list(range(min(_samples(module, x.shape[along]), x.shape[across])))
    if not few:
        return None
    if module.batch_first:
        return _Few(few, lambda t: t[: len(few)].detach().clone())
    return _Few(few, lambda t: t[:, : len(few)].transpose(0, 1).detach().clone())


def _samples(module: nn.RNNBase, steps: int) -> int:
    each = steps * module.hidden_size * module.num_layers * (2 if module.bidirectional else 1)
    count = min(SAMPLES, LARGEST // max(1, each))
    return count if count >= 2 else 0


def _states(hx: Any) -> Any:
    if isinstance(hx, Tensor):
        return hx.detach().double()
    return tuple(h.detach().double() for h in hx) if hx is not None else None


def _opened(met: Met) -> list[dict[str, Any]] | None:
    """The chains of one call; None where nothing can be said."""
    if met.x is None or not _known(met.delta):
        return None
    top = max(float(d.abs().max()) for d in met.delta.values())
    with torch.enable_grad(), torch.autocast(met.x.device.type, enabled=False):
        y, states, ends = unrolled(met.module, met.x.double(), met.state)
        given = {"y": [y], "h": [h for h, _ in ends], "c": [c for _, c in ends]}
        parts = {n: d[None] if n == "y" else d for n, d in met.delta.items()}
        roots = [root for n in parts for root in given[n]]
        deltas = [d.double() / top for part in parts.values() for d in part]
        flat = [s for chain in states for s in chain]
        grads = torch.autograd.grad(roots, flat, deltas, allow_unused=True)
    steps = met.x.shape[1]
    reached = [False] * steps  # in the order of time
    if "y" in met.delta:
        reached = (met.delta["y"] != 0).flatten(2).any(2).any(0).tolist()
    out, at = [], 0
    for k, chain in enumerate(states):
        back = k % 2 == 1 and met.module.bidirectional
        fed = reached[::-1] if back else reached
        out.append(_chain(chain, grads[at : at + len(chain)], not any(fed[:-1])))
        at += len(chain)
    return out


def _known(delta: dict[str, Tensor]) -> bool:
    finite = all(bool(torch.isfinite(d).all()) for d in delta.values())
    return finite and any(bool((d != 0).any()) for d in delta.values())


def _chain(states: list[Tensor], grads: Any, ends: bool) -> dict[str, Any]:
    last = len(states) - 1
    kept = sorted({round(i * last / (POINTS - 1)) for i in range(POINTS)})
    kept = kept if len(states) > POINTS else list(range(len(states)))
    size = [_level(rms(states[t].detach())) for t in kept]
    apart = [_level(spread(states[t].detach())) for t in kept]
    delta = [None if grads[t] is None else _level(rms(grads[t])) for t in kept]
    return {"steps": len(states), "ends": ends, "delta": delta, "rms": size, "spread": apart}


def _level(value: Any) -> float | None:
    v = math.nan if value is None else float(value)
    if math.isnan(v):
        return None
    return math.log10(min(max(v, 1e-300), 1e300))


def unrolled(
    module: nn.RNNBase, x: Tensor, state: Any = None
) -> tuple[Tensor, list[list[Tensor]], list[tuple[Tensor, Tensor]]]:
    """What a fused layer computes, without dropout, step by step.

    Args:
        x: [B, T, F] in float64. state: as the layer's second argument, more samples than B may be
            in it; None = zeros.

    Returns:
        y [B, T, D]; for each layer and direction its T states [B, H], in the order in which they
        are computed (an LSTM's are its cells); for each the last (h, c).
    """
    named = dict(zip(module._flat_weights_names, module._flat_weights, strict=True))
    ways = 2 if module.bidirectional else 1
    states: list[list[Tensor]] = []
    ends: list[tuple[Tensor, Tensor]] = []
    for layer in range(module.num_layers):
        ys = []
        for way in range(ways):
            k = layer * ways + way
            weights = [named[n].detach().double() for n in module._all_weights[k]]  # type: ignore[union-attr]
            chain, outs = _run(module, x.flip(1) if way else x, weights, _first(state, k, len(x)))
            states.append(chain)
            ends.append((outs[-1], chain[-1]))
            y = torch.stack(outs, 1)
            ys.append(y.flip(1) if way else y)
        x = torch.cat(ys, 2)
    return x, states, ends


def _first(state: Any, k: int, samples: int) -> tuple[Tensor | None, Tensor | None]:
    """(h, c) of chain k."""
    if state is None:
        return None, None
    h, c = (state, None) if isinstance(state, Tensor) else state
    return h[k, :samples], None if c is None else c[k, :samples]


def _run(
    module: nn.RNNBase, x: Tensor, weights: list[Tensor], first: tuple[Tensor | None, Tensor | None]
) -> tuple[list[Tensor], list[Tensor]]:
    """T states and T outputs of one layer in one direction."""
    w_ih, w_hh, *rest = weights
    b_ih, b_hh = rest[:2] if module.bias else (None, None)
    project = rest[-1] if module.proj_size else None
    given = F.linear(x, w_ih, b_ih)  # [B, T, gates * H]
    h, c = first
    h = x.new_zeros(len(x), module.proj_size or module.hidden_size) if h is None else h
    c = x.new_zeros(len(x), module.hidden_size) if c is None else c
    # The first state must be part of autograd's graph, or its gradient could not be asked for.
    h = h.detach().requires_grad_()
    chain, outs = [], []
    for t in range(x.shape[1]):
        g, r = given[:, t], F.linear(h, w_hh, b_hh)
        if module.mode == "LSTM":
            i, f, n, o = (g + r).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * n.tanh()
            h = o.sigmoid() * c.tanh()
            h = h if project is None else F.linear(h, project)
            chain.append(c)
        elif module.mode == "GRU":
            (gr, gz, gn), (rr, rz, rn) = g.chunk(3, 1), r.chunk(3, 1)
            z = (gz + rz).sigmoid()
            h = (1 - z) * (gn + (gr + rr).sigmoid() * rn).tanh() + z * h
            chain.append(h)
        else:
            z = g + r
            h = z.tanh() if module.mode == "RNN_TANH" else z.relu()
            chain.append(h)
        outs.append(h)
    return chain, outs
