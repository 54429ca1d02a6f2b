"""Figures of a batch and of a model, as plain values."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from ..tape import of_optimizer
from .listening import digest

#: Rows whose digests are told, and labels told one by one, at most.
MOST = 4096


def parameters(model: nn.Module, optimizers: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """name -> whether it is trained, and in how many groups of optimizers it is held."""
    held = Counter(id(p) for one in optimizers for p in of_optimizer(one))
    return {
        name: {"trained": p.requires_grad, "held": held[id(p)]}
        for name, p in model.named_parameters()
    }


def evaluating(model: nn.Module) -> list[str]:
    """Parts that act otherwise in training and are in evaluation mode with the whole of it."""
    acts = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._NormBase, nn.MultiheadAttention)
    parts = [(name, m) for name, m in model.named_modules() if isinstance(m, acts)]
    return [] if model.training else [name for name, m in parts if not m.training]


def optimizer(one: Any) -> dict[str, Any]:
    """Its groups' rates: of a scheduled one those it was built with; NaN where it has none."""
    rates = [g.get("initial_lr", g.get("lr", math.nan)) for g in one.param_groups]
    return {"meant": list(map(float, rates))}


def tensor(name: str, x: Tensor) -> dict[str, Any]:
    """Shape, dtype and figures: scale, outliers, what is not finite, constant features, doubles,
    and of whole numbers and flags the values themselves."""
    told: dict[str, Any] = {
        "name": name, "shape": list(x.shape), "dtype": str(x.dtype).removeprefix("torch."),
    }  # fmt: skip
    x = x.detach()
    if not x.numel():
        return told
    if x.ndim:
        told["rows"] = [digest(row) for row in x[:MOST]]
    if x.is_floating_point():
        told |= _floats(x.double())
    if (not x.is_floating_point() and not x.is_complex()) or _are_flags(x):
        told["labels"] = [int(v) for v in x.reshape(-1)[:MOST].tolist()]
    return told


def _are_flags(x: Tensor) -> bool:
    return bool(((x == 0) | (x == 1)).all())


def _floats(x: Tensor) -> dict[str, Any]:
    finite = x.isfinite()
    told: dict[str, Any] = {"nonfinite": int((~finite).sum())}
    if not bool(finite.any()):
        return told
    good = x[finite]
    told |= {
        "mean": float(good.mean()), "std": float(good.std(correction=0)),
        "absolute": float((good - good.median()).abs().mean()),
    }  # fmt: skip
    if x.ndim >= 2 and len(x) > 1 and bool(finite.all()):
        told["apart"] = float(x.var(0, correction=0).mean().sqrt())
    if x.ndim >= 2 and bool(finite.all()):
        # per feature: the columns of a table, the channels of images and of sequences
        dim = x.ndim - 1 if x.ndim <= 3 else 1
        rows = x.movedim(dim, 0).reshape(x.shape[dim], -1)
        spread = rows.std(1, correction=0)
        moving = spread > 1e-12 * rows.abs().amax(1).clamp(min=1e-300)
        told["constant"] = int((~moving).sum())
        real = moving & ~((rows == 0) | (rows == 1)).all(1)
        if bool(real.any()):
            scale = rows.square().mean(1).sqrt()[real]
            told |= {
                "outlier": _farthest(rows[real]), "widest": float(scale.max()),
                "narrowest": float(scale.min()),
            }  # fmt: skip
    return told


def _farthest(rows: Tensor) -> float:
    """As EF502 measures it: of each feature the value farthest from the median, over the root mean
    square of all others, or that of a typical feature."""
    if rows.shape[1] < 2:
        return 0.0
    far = (rows - rows.median(1, keepdim=True).values).abs()
    most = far.amax(1)
    others = ((far.square().sum(1) - most.square()).clamp(min=0) / (rows.shape[1] - 1)).sqrt()
    return float((most / others.clamp(min=max(float(others.median()), 1e-300))).max())
