"""Statistics that normalisations keep, held against the batch's own."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


def statistics(model: nn.Module) -> dict[str, tuple[Tensor, Tensor, int]]:
    """name -> (running mean, running variance, batches seen) of the norms that keep them."""
    found = {}
    for name, m in model.named_modules():
        mean, var = getattr(m, "running_mean", None), getattr(m, "running_var", None)
        seen = getattr(m, "num_batches_tracked", None)
        if isinstance(mean, Tensor) and isinstance(var, Tensor) and isinstance(seen, Tensor):
            found[name] = mean.detach().clone(), var.detach().clone(), int(seen)
    return found


def compared(model: nn.Module, kept: dict[str, Any]) -> dict[str, dict[str, float]]:
    """After one training forward: how far the batch's mean lies from the kept one, in kept
    deviations, and the ratio of variances, medians over channels.

    The forward moved what is kept by momentum m: kept' = (1 - m) kept + m batch, solved for batch.
    """
    told = {}
    modules = dict(model.named_modules())
    for name, (mean, var, seen) in kept.items():
        module: Any = modules.get(name)
        m = getattr(module, "momentum", None)
        if not module.training or not m or not seen:
            continue
        batch = [
            (new - (1 - m) * old) / m
            for new, old in ((module.running_mean, mean), (module.running_var, var))
        ]
        shift = (batch[0] - mean).abs() / (var + 1e-12).sqrt()
        ratio = (batch[1].clamp(min=1e-12) / var.clamp(min=1e-12)).log10().abs()
        told[name] = {
            "seen": float(seen), "shift": float(shift.median()), "decades": float(ratio.median()),
        }  # fmt: skip
    return told
