"""Loops that are wired wrongly: perceptrons on digits (calibration half)."""

from __future__ import annotations

from functools import partial

from torch import nn

from .case import Case, healthy, sick
from .perceptron import train

_CAME_TO_GRIEF = "101 102 103 104 201 202 203 205 206 301 302 401 402 403 404 501 703"
_raw = partial(train, depth=6, norm=nn.BatchNorm1d, scale="raw", optimizer="sgd", lr=0.1)

CASES: tuple[Case, ...] = (
    sick(
        "perceptron",
        "never-cleared",
        "zero_grad() is missing, SGD with momentum",
        partial(train, optimizer="momentum", lr=0.05, forgets="clear"),
        0.8,
        twin="relu-momentum",
        expect="801",
        allow=_CAME_TO_GRIEF,
    ),
    sick(
        "perceptron",
        "left-in-eval",
        "eval() and no train() after it: BatchNorm normalises nothing of the raw pixels",
        partial(_raw, forgets="train"),
        0.8,
        twin="raw-batchnorm",
        expect="805",
        allow=_CAME_TO_GRIEF,
    ),
    healthy(
        "perceptron",
        "raw-batchnorm",
        "raw pixels that BatchNorm normalises, plain SGD",
        _raw,
        0.95,
    ),
)
