"""Further healthy perceptrons: other optimizers, regularisers, batches and data (calibration)."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import nn

from .case import Case, healthy
from .perceptron import noisy, rare, train, train_imported


def _healthy(name: str, about: str, bound: float, **options: Any) -> Case:
    return healthy("perceptron", name, about, partial(train, **options), bound)


HEALTHY: tuple[Case, ...] = (
    _healthy(
        "gelu",
        "GELU and LayerNorm, AdamW",
        0.93,
        act=nn.GELU,
        norm=nn.LayerNorm,
        optimizer="adamw",
        depth=3,
    ),
    _healthy(
        "batchnorm", "BatchNorm, ReLU and dropout", 0.93, norm=nn.BatchNorm1d, dropout=0.2, depth=3
    ),
    _healthy("rmsprop", "RMSprop", 0.93, optimizer="rmsprop"),
    _healthy(
        "small-batch", "four examples a step", 0.7, optimizer="sgd", lr=0.02, size=4, steps=300
    ),
    _healthy("accumulate", "four micro-batches a step", 0.9, size=16, accumulate=4),
    _healthy(
        "clipped", "gradients clipped to norm 1", 0.93, clip=1.0, optimizer="momentum", lr=0.05
    ),
    _healthy("label-noise", "one label in ten is wrong", 0.88, change=noisy),
    _healthy("imbalance", "one class in ten", 0.95, change=rare),
    _healthy("unit-pixels", "pixels between 0 and 1", 0.9, scale="unit", steps=200),
    _healthy("long", "trained far past convergence", 0.94, depth=1, width=32, steps=1500),
    healthy("perceptron", "imported", "starts from a converged state", train_imported, 0.92),
)
