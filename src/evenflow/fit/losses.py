"""What training makes small. B samples, O outputs, H heads (target columns)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

#: (scores z [B, O], targets) -> one loss a sample [B]
PerSample = Callable[[Tensor, Tensor], Tensor]
LOSSES = ("auto", "squared", "cross_entropy")


def half_squared(z_BO: Tensor, t_BO: Tensor) -> Tensor:
    """½ |z - t|², [B]: what Rumelhart et al. 1986 minimise."""
    return (z_BO - t_BO).square().sum(1).mul(0.5)


def cross_entropy(z_BK: Tensor, t_B: Tensor) -> Tensor:
    """-log softmax(z)_t, [B]; t holds class numbers (Bridle 1990)."""
    return F.cross_entropy(z_BK, t_B, reduction="none")


def binary(z_BO: Tensor, t_BO: Tensor) -> Tensor:
    """Cross-entropy of O independent yes-or-no questions, summed, [B]."""
    return F.binary_cross_entropy_with_logits(z_BO, t_BO, reduction="none").sum(1)


def brier(z_BK: Tensor, t_B: Tensor) -> Tensor:
    """½ |softmax(z) - e_t|², [B]: squared error of the probabilities (Brier 1950)."""
    p = z_BK.softmax(1)
    return half_squared(p, F.one_hot(t_B, p.shape[1]).to(p.dtype))


def binary_brier(z_BO: Tensor, t_BO: Tensor) -> Tensor:
    """½ Σ (σ(z) - t)², [B]."""
    return half_squared(z_BO.sigmoid(), t_BO)


def by_head(each: PerSample, sizes: Sequence[int]) -> PerSample:
    """The sum of one loss over target columns with a head of scores each; targets [B, H]."""

    def total(z_BO: Tensor, t_BH: Tensor) -> Tensor:
        parts = torch.split(z_BO, list(sizes), 1)
        return torch.stack([each(z, t) for z, t in zip(parts, t_BH.unbind(1), strict=True)]).sum(0)

    return total


def mean(each: PerSample, z: Tensor, t: Tensor, weight_B: Tensor | None) -> Tensor:
    """The loss of a batch, (): the weighted mean over its B samples, Σ w l / B.

    A loss of the user's own may give one number a sample [B] or one for the batch, to which
    weights cannot apply.
    """
    if each is cross_entropy and weight_B is None:
        return F.cross_entropy(z, t)  # the same number, two kernels fewer
    loss = each(z, t)
    if not isinstance(loss, Tensor) or loss.dim() > 1:
        raise ValueError(
            "loss must return a tensor with one number, or one for each sample of the batch; "
            f"it returned {getattr(loss, 'shape', loss)!r}."
        )
    if loss.dim() == 0 and weight_B is not None:
        raise ValueError("sample_weight needs one loss for each sample: let loss return shape [B].")
    return loss.mean() if weight_B is None else (loss * weight_B).mean()
