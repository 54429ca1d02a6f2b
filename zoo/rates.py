"""Steps of the wrong length: clipped away, added up, decayed, rounded away. Perceptrons in the
calibration half, convolutions in the report half."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from .case import Case, healthy, sick
from .cnn import ConvNet
from .data import digits
from .loop import accuracy, batches, seed_all
from .perceptron import MLP

Make = Callable[[], nn.Module]
Optimize = Callable[..., torch.optim.Optimizer]


def train(
    seed: int,
    *,
    make: Make,
    optimize: Optimize,
    steps: int = 200,
    size: int = 32,
    clip: float | None = None,
    scaler: str = "",
    reduction: str = "mean",
    parts: int = 1,
    share: float = 1.0,
    dtype: torch.dtype = torch.float32,
) -> float:
    """Digits; held-out accuracy. `scaler`: with a GradScaler, "unscale" before the clip, or not.
    An update is made of `parts` micro-batches, the loss of each times `share`."""
    seed_all(seed)
    data = digits()
    data = data._replace(x=data.x.to(dtype), x_test=data.x_test.to(dtype))
    model = make().to(dtype)
    optimizer = optimize(model.parameters())
    scaling = torch.amp.GradScaler("cpu", enabled=bool(scaler))
    for i, b in enumerate(batches(len(data.x), size, steps * parts)):
        if i % parts == 0:
            optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bool(scaler)):
            loss = F.cross_entropy(model(data.x[b]), data.y[b], reduction=reduction) * share
        scaling.scale(loss).backward()  # type: ignore[no-untyped-call]
        if (i + 1) % parts:
            continue
        if scaler == "unscale":
            scaling.unscale_(optimizer)
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        scaling.step(optimizer)
        scaling.update()
    return accuracy(model, data.x_test, data.y_test)


_sgd = partial(torch.optim.SGD, lr=0.1, momentum=0.9)
_adamw = partial(torch.optim.AdamW, lr=3e-3)
_slow_mlp = partial(train, make=MLP, optimize=partial(_sgd, lr=3e-3, momentum=0.0), steps=1500)
_slow_cnn = partial(train, make=ConvNet, optimize=partial(_adamw, lr=3e-5), steps=1500)
_SMALL = "101 104 105 201 202 204 205 301 302 401 402 403 404 703"
_mlp = partial(train, make=MLP, optimize=_sgd)
_cnn = partial(train, make=ConvNet, optimize=_sgd)

CASES: tuple[Case, ...] = (
    sick(
        "perceptron",
        "clipped-away",
        "gradients clipped to a norm of 1e-4",
        partial(_mlp, clip=1e-4),
        0.6,
        twin="clipped-to-one",
        expect="811",
        allow="301 401 404",
    ),
    healthy("perceptron", "clipped-to-one", "clipped to a norm of 1", partial(_mlp, clip=1.0), 0.9),
    sick(
        "cnn",
        "clipped-scaled",
        "a GradScaler, and gradients clipped to a norm of 1 before they are unscaled",
        partial(_cnn, clip=1.0, scaler="forgets"),
        0.5,
        twin="clipped-unscaled",
        expect="811",
        allow="301 401 404",
    ),
    healthy(
        "cnn",
        "clipped-unscaled",
        "a GradScaler, gradients unscaled and clipped",
        partial(_cnn, clip=1.0, scaler="unscale"),
        0.85,
    ),
    sick(
        "perceptron",
        "summed",
        "the loss summed over 64 examples, at a rate for their mean",
        partial(_mlp, reduction="sum", size=64, steps=150),
        0.75,
        twin="averaged",
        expect="810",
        allow="101 102 103 104 201 202 205 206 302 401 402 403 703",
    ),
    healthy("perceptron", "averaged", "the same, averaged", partial(_mlp, size=64, steps=150), 0.9),
    sick(
        "cnn",
        "undivided",
        "gradients of 8 micro-batches added up, none divided by 8",
        partial(_cnn, size=8, parts=8, steps=100),
        0.75,
        twin="divided",
        expect="810",
        allow="101 102 103 104 201 202 205 206 302 401 402 403 703",
    ),
    healthy(
        "cnn",
        "divided",
        "gradients of 8 micro-batches, each divided by 8",
        partial(_cnn, size=8, parts=8, share=1 / 8, steps=100),
        0.85,
    ),
    sick(
        "perceptron",
        "decayed",
        "SGD with a weight decay of .3",
        partial(train, make=MLP, optimize=partial(_sgd, weight_decay=0.3)),
        0.6,
        twin="little-decay",
        expect="812",
        allow=_SMALL,
    ),
    healthy(
        "perceptron",
        "little-decay",
        "SGD with a weight decay of 1e-4",
        partial(train, make=MLP, optimize=partial(_sgd, weight_decay=1e-4)),
        0.9,
    ),
    sick(
        "cnn",
        "decayed",
        "AdamW with a weight decay of 50",
        partial(train, make=ConvNet, optimize=partial(_adamw, weight_decay=50.0)),
        0.85,
        twin="adamw",
        expect="812",
        allow=_SMALL,
    ),
    healthy(
        "cnn",
        "adamw",
        "AdamW with its usual decay",
        partial(train, make=ConvNet, optimize=partial(_adamw, weight_decay=0.01)),
        0.85,
    ),
    sick(
        "perceptron",
        "bfloat16-weights",
        "weights kept in bfloat16, a small rate",
        partial(_slow_mlp, dtype=torch.bfloat16),
        0.6,
        twin="float32-weights",
        expect="303",
        allow="301 401 404",
    ),
    healthy("perceptron", "float32-weights", "the same in float32", _slow_mlp, 0.65),
    sick(
        "cnn",
        "bfloat16-weights",
        "weights kept in bfloat16, Adam with a small rate",
        partial(_slow_cnn, dtype=torch.bfloat16),
        0.4,
        twin="float32-weights",
        expect="303",
        allow="301 401 404",
    ),
    healthy("cnn", "float32-weights", "the same in float32", _slow_cnn, 0.5),
)
