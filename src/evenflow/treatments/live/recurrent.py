"""Recurrent layers that remember: orthogonal recurrence, open forget gates, gated layers.

H: hidden units. torch stores gates stacked: [4H, H] i, f, g, o (LSTM), [3H, H] r, z, n (GRU).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .context import TreatmentContext
from .grafting import Forward, Graft

_ALL = (nn.RNNBase, nn.RNNCellBase)


def _found(context: TreatmentContext, kinds: Any) -> list[nn.Module]:
    return [m for m in context.model.modules() if isinstance(m, kinds)]


def orthogonal(context: TreatmentContext, gain: float) -> None:
    """Each H x H block of every recurrent weight orthogonal (times `gain`)."""
    weights = [
        p
        for m in _found(context, _ALL)
        for name, p in m.named_parameters(recurse=False)
        if name.startswith("weight_hh")
    ]
    weights += _by_hand(context)
    if not weights:
        raise ValueError("the network has no recurrent weights.")
    for p in weights:
        context.put(p, _blocks(p, gain, context.generator).to(device=p.device, dtype=p.dtype))


def _blocks(weight: Tensor, gain: float, g: torch.Generator) -> Tensor:
    """An orthogonal matrix, times `gain`, for each gate of a recurrent weight [gates * H, H]."""
    rows, h = weight.shape
    drawn = [nn.init.orthogonal_(torch.empty(h, h), gain, generator=g) for _ in range(rows // h)]
    return torch.cat(drawn)


def _by_hand(context: TreatmentContext) -> list[nn.Parameter]:
    """Square weights of a cell unrolled by hand."""
    calls = context.forward.cells if context.batch is not None else []
    weights = [call.weight for call in calls]
    return [w for w in weights if w is not None and w.dim() == 2 and w.shape[0] == w.shape[1]]


def forget_bias(context: TreatmentContext, bias: float) -> None:
    """Bias of each LSTM's forget gate, input and hidden bias
    together (Gers et al. 2000; Jozefowicz et al. 2015)."""
    layers = _found(context, (nn.LSTM, nn.LSTMCell))
    done = 0
    for m in layers:
        for name, p in m.named_parameters(recurse=False):
            if name.startswith("bias_"):
                h = p.shape[0] // 4
                new = p.detach().clone()
                new[h : 2 * h] = bias if name.startswith("bias_ih") else 0.0
                context.put(p, new)
                done += 1
    if not done:
        raise ValueError("the network has no LSTM with biases.")


class Gated(Graft):
    """A gated layer in an RNN's place: same shapes in and out. The RNN's own weights stay where
    they are, unused, so that lists of parameters and old checkpoints still fit."""

    def __init__(self, old: nn.RNN, make: Callable[..., nn.RNNBase]) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            self.layer = make(
                old.input_size,
                old.hidden_size,
                old.num_layers,
                bias=old.bias,
                batch_first=old.batch_first,
                dropout=old.dropout,
                bidirectional=old.bidirectional,
            )

    def around(self, inner: Forward, *args: Any, **kwargs: Any) -> Any:
        x = args[0] if args else kwargs["input"]
        h = args[1] if len(args) > 1 else kwargs.get("hx")
        if isinstance(self.layer, nn.LSTM):
            out, (h, _) = self.layer(x, None if h is None else (h, torch.zeros_like(h)))
            return out, h
        return self.layer(x, h)


def _gated(context: TreatmentContext, parsed: None, *, make: Callable[..., nn.RNNBase]) -> None:
    """GRU or LSTM for each nn.RNN, recurrence orthogonal, forget gates open."""
    layers = [m for m in _found(context, nn.RNN) if type(m).__name__ == "RNN"]
    if not layers:
        raise ValueError("the network has no nn.RNN.")
    for old in layers:
        assert isinstance(old, nn.RNN)
        graft = Gated(old, make)
        _start_(graft.layer, context.generator)
        context.graft(old, graft, next(old.parameters(), None))


lstm, gru = partial(_gated, make=nn.LSTM), partial(_gated, make=nn.GRU)


def _start_(layer: nn.Module, g: torch.Generator) -> None:
    with torch.no_grad():
        for name, p in layer.named_parameters():
            if p.dim() == 1:
                p.zero_()
                if isinstance(layer, nn.LSTM) and name.startswith("bias_ih"):
                    p[p.shape[0] // 4 : p.shape[0] // 2] = 1.0
            elif name.startswith("weight_hh"):
                p.copy_(_blocks(p, 1.0, g))
            else:
                nn.init.xavier_uniform_(p, generator=g)


class Truncated(Graft):
    """A recurrent layer run in pieces of `length` steps, no gradient from piece to piece."""

    def __init__(self, length: int, batch_first: bool) -> None:
        super().__init__()
        self.length, self.batch_first = length, batch_first

    def around(self, inner: Forward, *args: Any, **kwargs: Any) -> Any:
        x = args[0] if args else kwargs["input"]
        h = args[1] if len(args) > 1 else kwargs.get("hx")
        if not isinstance(x, Tensor):
            return inner(*args, **kwargs)  # packed sequences: the pieces differ by sample
        time = 1 if self.batch_first and x.dim() == 3 else 0
        outs = []
        for piece in torch.split(x, self.length, dim=time):
            out, h = inner(piece, h)
            outs.append(out)
            h = tuple(t.detach() for t in h) if isinstance(h, tuple) else h.detach()
        return torch.cat(outs, dim=time), h


def truncate(context: TreatmentContext, length: int) -> None:
    """Truncated back-propagation through time for torch's recurrent layers."""
    layers = _found(context, nn.RNNBase)
    if not layers:
        raise ValueError(
            "the network has no nn.RNN, nn.LSTM or nn.GRU; in a loop of the script's own, detach "
            f"the state every {length} steps: h = h.detach()."
        )
    for m in layers:
        if getattr(m, "bidirectional", False):
            raise ValueError("a bidirectional layer needs the whole sequence.")
        context.graft(m, Truncated(length, bool(m.batch_first)), None)
