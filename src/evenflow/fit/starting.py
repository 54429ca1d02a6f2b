"""The weights a network starts from."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from ..treatments import treat_
from .network import NetworkShape

#: Between the first and the last two are those of `evenflow.treatments`, which has the sources.
INITS = ("auto", "he", "xavier", "lecun", "orthogonal", "critical", "lsuv", "lsuv-centred",
         "small", "default")  # fmt: skip
#: Standard deviation of "small": the random numbers near zero of Rumelhart et al. 1986.
SMALL = 0.01
#: Below so many hidden layers depth needs no care (torch's small weights generalise better there:
#: benchmarks/fit.py).
FEW = 5
#: Activations that are critical only in saturation, but for a start centred on the data.
_ONE_SIDED = frozenset({"sigmoid"})
Init = str | Callable[[nn.Module], object]


def start_(net: nn.Module, shape: NetworkShape, init: Init, x_BI: Tensor, seed: int) -> str:
    """Draw the weights of `net`; what was drawn, in a word. Torch's own random state is kept.

    Args:
        init: the option of that name (`options.py`). Where "auto" is not torch's own start, the
            head is scaled to a tenth: the first scores are near zero.
        x_BI: a batch of scaled inputs, for the starts that measure.
    """
    if not isinstance(init, str):
        init(net)
        return "callable"
    if init == "default" or (
        init == "auto" and len(shape.hidden) < FEW and not _ONE_SIDED & set(shape.activations)
    ):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for linear in _linear(net):
                linear.reset_parameters()
        return "default"
    if init == "small":
        draws = torch.Generator().manual_seed(seed)
        for linear in _linear(net):
            nn.init.zeros_(linear.bias)
            linear.weight.data.copy_(torch.randn(linear.weight.shape, generator=draws).mul_(SMALL))
        return init
    treat = partial(treat_, net, None, batch=x_BI, seed=seed, keep=False, force=True)
    if init != "auto":
        treat(f"init={init}")
        return init
    chosen = "lsuv-centred" if _ONE_SIDED & set(shape.activations) else "orthogonal"
    try:
        treat(f"init={chosen}")
    except ValueError:  # no criticality is known: Meta-ACON
        chosen = "lsuv"
        treat(f"init={chosen}")
    head = _linear(net)[-1]
    with torch.no_grad():
        head.weight.mul_(0.1)
        head.bias.zero_()
    return chosen


def _linear(net: nn.Module) -> list[nn.Linear]:
    return [part for part in net.modules() if isinstance(part, nn.Linear)]
