"""Operations that are no sites as a rule, seen where they make NaN or Inf of finite numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..network import FRAGILE, MASKING
from . import numbers
from .frames import OpCall
from .labels import node_of
from .sample import Sample
from .scalars import core_keys


def made_nonfinite(rec: Sample, call: OpCall, outs: list[Tensor]) -> tuple[Tensor, int] | None:
    """Make a site of an op whose output is not finite while its inputs were: (output, site).

    What runs without gradients (a logarithm of data) and a cast to half precision are no sites,
    and the layer that reads them would be blamed. On a device nobody looks, since that would wait
    for it: there the fragile ones are sites at every sampled step.
    """
    op = call.op.name
    if rec.recomputing or call.op.kind == "loss" or not call.tensors or "empty" in op:
        return None  # of nothing, or memory as it was found
    for t in outs:
        x = numbers.plain(t)
        if x is None or not (x.is_cpu or op in FRAGILE):
            continue
        size = numbers.norm(x)
        if type(size) is float and math.isfinite(size):
            continue
        count = numbers.nonfinite(x, size)
        if x.is_cpu and not count:
            continue
        if x.is_cpu and op in MASKING and bool((torch.isfinite(x) | (x == -math.inf)).all()):
            continue  # minus infinity that was put there, and nothing else that is not finite
        others = [o for i in call.tensors if i is not t and (o := numbers.plain(i)) is not None]
        if x.is_cpu and not all(map(numbers.finite, others)):
            return None  # it passed on what it was given
        frame = call.frame
        name = op if node_of(t) is not None else f"{op} (no grad)"
        site = rec.registry.site(
            frame.place, name, "other", frame.index(name), frame.call,
            shape=tuple(t.shape), dtype=numbers.dtype_name(t.dtype),
            inputs=tuple(call.inputs),
            params=tuple(rec.registry.params[p].name for p in call.params),
        )  # fmt: skip
        if site is None:
            return None
        if not rec.replays:
            rec.sure("a line of the script", "", rec.registry.ran, site)
        rec.scalars.extend(core_keys(site), (size / x.numel() ** 0.5, count))
        return t, site
    return None
