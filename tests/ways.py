"""One network run in every way PyTorch has: what is learnt is the same, and so is its diagnosis."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

Call = Callable[[Tensor], Tensor]
#: (what holds the parameters, what is called) of a network and its first batch
Way = Callable[[nn.Sequential, Tensor], tuple[nn.Module, Call]]
WAYS: dict[str, Way] = {}


def way(name: str) -> Callable[[Way], Way]:
    def note(f: Way) -> Way:
        WAYS[name] = f
        return f

    return note


def _cuts(n: int) -> list[tuple[int, int]]:
    """Four pieces of all but the head."""
    step = -(-(n - 1) // 4)
    return [(i, min(i + step, n - 1)) for i in range(0, n - 1, step)]


@way("eager")
def _eager(net: nn.Sequential, x: Tensor) -> tuple[nn.Module, Call]:
    return net, net


@way("layer by layer")
def _layers(net: nn.Sequential, x: Tensor) -> tuple[nn.Module, Call]:
    def call(x: Tensor) -> Tensor:
        for layer in net:
            x = layer(x)
        return x

    return net, call


@way("trace")
def _trace(net: nn.Sequential, x: Tensor) -> tuple[nn.Module, Call]:
    traced = _quietly(torch.jit.trace, net, x)
    return traced, traced


@way("script")
def _script(net: nn.Sequential, x: Tensor) -> tuple[nn.Module, Call]:
    scripted = _quietly(torch.jit.script, net)
    for _ in range(3):  # its executor makes one block of it at the third call in a process
        scripted(x).sum().backward()
    scripted.zero_grad()
    return scripted, scripted


@way("script in part")
def _part(net: nn.Sequential, x: Tensor) -> tuple[nn.Module, Call]:
    body = _quietly(torch.jit.script, net[:-1])
    for _ in range(3):
        body(x).sum().backward()
    body.zero_grad()
    whole = nn.Sequential(body, net[-1])
    return whole, whole


def _quietly(compile: Callable[..., Any], *args: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is told to go
        return compile(*args)


def _pieces(reentrant: bool) -> Way:
    def made(net: nn.Sequential, x: Tensor) -> tuple[nn.Module, Call]:
        def call(x: Tensor) -> Tensor:
            x = x.clone().requires_grad_()
            for a, b in _cuts(len(net)):
                x = checkpoint(net[a:b], x, use_reentrant=reentrant)
            return net[-1](x)

        return net, call

    return made


def _sequential(reentrant: bool) -> Way:
    def made(net: nn.Sequential, x: Tensor) -> tuple[nn.Module, Call]:
        def call(x: Tensor) -> Tensor:
            x = x.clone().requires_grad_()
            return checkpoint_sequential(net, 3, x, use_reentrant=reentrant)

        return net, call

    return made


def _whole(reentrant: bool) -> Way:
    def made(net: nn.Sequential, x: Tensor) -> tuple[nn.Module, Call]:
        return net, lambda x: checkpoint(net, x.clone().requires_grad_(), use_reentrant=reentrant)

    return made


def _nested(reentrant: bool) -> Way:
    def made(net: nn.Sequential, x: Tensor) -> tuple[nn.Module, Call]:
        def part(cuts: list[tuple[int, int]]) -> Call:
            def run(x: Tensor) -> Tensor:
                x = x if x.requires_grad else x.detach().requires_grad_()
                for a, b in cuts:
                    x = checkpoint(net[a:b], x, use_reentrant=reentrant)
                return x

            return run

        def call(x: Tensor) -> Tensor:
            cuts, x = _cuts(len(net)), x.clone().requires_grad_()
            for some in (cuts[:2], cuts[2:]):
                x = checkpoint(part(some), x, use_reentrant=reentrant)
            return net[-1](x)

        return net, call

    return made


for _kind, _made in (
    ("pieces", _pieces), ("checkpoint_sequential", _sequential),
    ("whole", _whole), ("nested", _nested),
):  # fmt: skip
    WAYS[f"checkpoint: {_kind}"] = _made(False)
    WAYS[f"reentrant checkpoint: {_kind}"] = _made(True)


@way("reentrant checkpoint: within forward")
def _within(net: nn.Sequential, x: Tensor) -> tuple[nn.Module, Call]:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = net[:-1], net[-1]

        def forward(self, x: Tensor) -> Tensor:
            x = x.clone().requires_grad_()
            for a, b in _cuts(len(net)):
                x = checkpoint(self.body[a:b], x, use_reentrant=True)
            y: Tensor = self.head(x)
            return y

    whole = Net()
    return whole, whole


@way("functional_call")
def _functional(net: nn.Sequential, x: Tensor) -> tuple[nn.Module, Call]:
    params = dict(net.named_parameters())
    return net, lambda x: torch.func.functional_call(net, params, (x,))


@way("DataParallel")
def _parallel(net: nn.Sequential, x: Tensor) -> tuple[nn.Module, Call]:
    return net, nn.DataParallel(net)


@way("compile: eager")
def _compiled(net: nn.Sequential, x: Tensor) -> tuple[nn.Module, Call]:
    return net, torch.compile(net, backend="eager")


@way("compile: aot_eager")
def _compiled_whole(net: nn.Sequential, x: Tensor) -> tuple[nn.Module, Call]:
    return net, torch.compile(net, backend="aot_eager")
