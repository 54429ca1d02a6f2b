"""Modules in eval mode that would act otherwise in training."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd

#: Functions that a forward calls with `self.training`, where it does so by hand.
_BY_HAND = frozenset(
    f"{kind}{end}"
    for kind in ("dropout", "alpha_dropout", "feature_alpha_dropout", "batch_norm", "rrelu")
    for end in ("", "1d", "2d", "3d")
)


class Off(NamedTuple):
    """How many of a module's parts are switched off by eval mode."""

    norms: int = 0
    dropouts: int = 0


def switched_off(module: nn.Module) -> Off:
    """Of a module and all within it."""
    found = [_off(m) for m in module.modules() if not m.training]
    return Off(sum(f.norms for f in found), sum(f.dropouts for f in found))


def _off(m: nn.Module) -> Off:
    """Of one module, without its children."""
    if isinstance(m, _NormBase) or "running_mean" in m._buffers:
        return Off(norms=int(getattr(m, "running_mean", None) is not None))
    if isinstance(m, (_DropoutNd, nn.RReLU)):
        return Off(dropouts=int(getattr(m, "p", 1.0) > 0))
    own = [v for k, v in vars(m).items() if "drop" in k and isinstance(v, (int, float))]
    if own:  # an attention's or an LSTM's rate; of one's own, kept as an attribute
        return Off(dropouts=int(any([v > 0 for v in own])))
    names = getattr(getattr(type(m).forward, "__code__", None), "co_names", ())
    return Off(dropouts=int("training" in names and not _BY_HAND.isdisjoint(names)))
