"""Training loops as users write them; the cases share them, so that twins differ by one thing."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .data import Split, Text

Loss = Callable[[Tensor, Tensor], Tensor]


def seed_all(seed: int) -> None:
    """Every generator a training draws from."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def batches(n: int, size: int, steps: int, shuffle: bool = True) -> Iterator[Tensor]:
    """`steps` index tensors [size], reshuffled every epoch; the ragged last batch is dropped."""
    done = 0
    while True:
        order = torch.randperm(n) if shuffle else torch.arange(n)
        for i in range(0, n - size + 1, size):
            if done == steps:
                return
            yield order[i : i + size]
            done += 1


def apart(named: Mapping[str, Tensor], part: str, lr: float, times: float) -> list[Any]:
    """Parameters for an optimizer; those whose name holds `part` at `times` the rate, if not 1."""
    if times == 1.0:
        return list(named.values())
    rest = [p for n, p in named.items() if part not in n]
    return [{"params": rest}, {"params": [p for n, p in named.items() if part in n],
                               "lr": lr * times}]  # fmt: skip


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Share of examples whose largest output is the right class; 0 for outputs that are NaN."""
    model.eval()
    with torch.no_grad():
        out = model(x)
    model.train()
    return float((out.argmax(-1) == y).float().mean()) if bool(out.isfinite().all()) else 0.0


def r2(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Share of the held-out variance explained; -1 at worst, and for outputs that are NaN."""
    model.eval()
    with torch.no_grad():
        error = ((model(x) - y) ** 2).mean() / ((y - y.mean(0)) ** 2).mean()
    model.train()
    return max(-1.0, 1 - float(error)) if bool(error.isfinite()) else -1.0


def fit(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: Split,
    *,
    steps: int,
    size: int = 64,
    loss: Loss = F.cross_entropy,
    clip: float | None = None,
    accumulate: int = 1,
    schedule: Any = None,
    forgets: str = "",
    shuffle: bool = True,
) -> None:
    """The plain loop; `size=0` is full batch, `accumulate` micro-batches make one step.

    `forgets`: "step" leaves the optimizer's step out, "order" clears gradients ahead of it,
    "clear" never clears them, "train" leaves the model in eval mode.
    """
    n = len(data.x)
    model.train(forgets != "train")
    optimizer.zero_grad()
    for i, b in enumerate(batches(n, size or n, steps * accumulate, shuffle)):
        error = loss(model(data.x[b]), data.y[b])
        if accumulate > 1:
            error = error / accumulate
        error.backward()  # type: ignore[no-untyped-call]
        if (i + 1) % accumulate:
            continue
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        if forgets == "order":
            optimizer.zero_grad()
        if forgets != "step":
            optimizer.step()
        if forgets != "clear":
            optimizer.zero_grad()
        if schedule is not None:
            schedule.step()


def squared(out: Tensor, y: Tensor) -> Tensor:
    """Mean square, written by hand: whoever hands over (N, 1) and (N,) hears nothing of it."""
    return ((out - y) ** 2).mean()


def windows(text: Text, length: int, size: int, steps: int) -> Iterator[Tensor]:
    """`steps` batches [size, length + 1] of characters cut at random places."""
    for _ in range(steps):
        start = torch.randint(len(text.train) - length - 1, (size, 1))
        yield text.train[start + torch.arange(length + 1)]


def held_out(text: Text, length: int) -> Tensor:
    """All disjoint windows [N, length + 1] of the held-out text."""
    n = (len(text.test) - 1) // length
    return torch.stack([text.test[i * length : i * length + length + 1] for i in range(n)])


def fit_text(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    text: Text,
    *,
    steps: int,
    length: int = 32,
    size: int = 16,
    loss: Loss = F.cross_entropy,
    clip: float | None = None,
    schedule: Any = None,
) -> None:
    """Next-character prediction: the model maps [B, T] characters to [B, T, size] logits."""
    for chars in windows(text, length, size, steps):
        optimizer.zero_grad()
        out = model(chars[:, :-1])
        loss(out.flatten(0, 1), chars[:, 1:].flatten()).backward()  # type: ignore[no-untyped-call]
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        if schedule is not None:
            schedule.step()


def written_score(model: nn.Module, text: Text, shown: int = 16) -> float:
    """Minus the held-out cross entropy of the character after `shown` ones: as a model writes."""
    chars = held_out(text, 32)
    model.eval()
    with torch.no_grad():
        score = -F.cross_entropy(model(chars[:, :shown])[:, -1], chars[:, shown])
    model.train()
    return max(-20.0, float(score)) if bool(score.isfinite()) else -20.0


def text_score(model: nn.Module, text: Text, length: int = 32) -> float:
    """Minus the held-out cross entropy in nats a character; -20 if it is NaN."""
    chars = held_out(text, length)
    model.eval()
    with torch.no_grad():
        out = model(chars[:, :-1])
        score = -F.cross_entropy(out.flatten(0, 1), chars[:, 1:].flatten())
    model.train()
    return max(-20.0, float(score)) if bool(score.isfinite()) else -20.0
