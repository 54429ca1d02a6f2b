"""What a batch holds: how its samples differ, what they are to answer, and what is answered."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..schema import CLASSES
from .numbers import sample, sample_rows, wide
from .scalars import Scalar


def varies(x: Tensor) -> Scalar | None:
    """How much samples (axis 0) of data differ, feature by feature: the largest over features of
    |x_a - mean|_2 / |x_a|_2, both over samples; 0 where all are equal, whatever they are, about 1
    for a feature that is zero in most. None for fewer than two samples."""
    if x.dim() < 1 or x.shape[0] < 2:
        return None
    few = sample(x.detach(), limit=1 << 18).to(torch.float32)
    x_BF = few.reshape(len(few), -1)
    apart_F = torch.linalg.vector_norm(x_BF - x_BF.mean(0), dim=0)
    size_F = torch.linalg.vector_norm(x_BF, dim=0)
    most: Tensor = (apart_F / size_F.clamp(min=1e-30)).max()
    return most


def labels(t: Tensor) -> Tensor:
    """One number a sample of targets t [B, ...]: itself where there is one, as a class's index; of
    several columns their sum weighted by place, 1 to F, so that a one-hot row gives its class; of
    a map of whole numbers its mean."""
    few = sample_rows(t.detach())
    x_BF = wide(few.reshape(len(few), -1))
    if x_BF.shape[1] == 1 or not t.dtype.is_floating_point:
        return x_BF.mean(1)
    place_F = torch.arange(1, x_BF.shape[1] + 1, dtype=x_BF.dtype, device=x_BF.device)
    return x_BF @ place_F


def classes(op: str, made: Tensor, target: Tensor, left_out: int) -> tuple[Tensor, Tensor] | None:
    """Shares of the classes among a batch's labels and among its predictions (the largest score;
    one score a sample or a pixel: two classes), each [K], for the loss functions of classes. None
    for other functions, more than `CLASSES` of them, or unbatched scores.

    made [N, K, ...] and target [N, ...] whole numbers or [N, K, ...] shares; binary: both [N],
    [N, 1] or a map of one channel [N, 1, H, ...], of whose targets those count that are 0 or 1.
    Large maps are subsampled.
    """
    if op in ("cross_entropy", "nll_loss"):
        if made.dim() < 2 or not 1 < made.shape[1] <= CLASSES or made.numel() == 0:
            return None
        count, step = made.shape[1], math.ceil(made.numel() / (1 << 18))
        if target.shape == made.shape:
            target = target.argmax(1)
        if made.dim() > 2:
            if step > 1 and not made.is_contiguous():
                return None  # it would be copied whole
            made, target = made.flatten(2)[..., ::step], target.flatten(1)[:, ::step]
        else:
            made, target = made[::step], target[::step]
        said, named = made.argmax(1).flatten(), target.flatten()
    elif op.startswith("binary_cross_entropy"):
        if made.dim() == 0 or made.shape != target.shape or not made.numel():
            return None
        if made.dim() > 1 and made.shape[1] > 1:
            return None  # labels of their own each
        made, target = sample(made), sample(target)
        if made.dim() > 2:
            target = torch.where((target == 0) | (target == 1), target, torch.nan)
        count, edge = 2, 0.0 if op.endswith("logits") else 0.5
        said = (made > edge).flatten().long()
        named = torch.where(target.isnan(), left_out, (target > 0.5).long()).flatten()
    else:
        return None
    known = (named >= 0) & (named < count) & (named != left_out)
    index_K = torch.arange(count, device=named.device)
    of = known.sum().clamp(min=1)

    def shares(of_N: Tensor) -> Tensor:
        return ((of_N[:, None] == index_K) & known[:, None]).sum(0) / of

    return shares(named), shares(said)
