"""Four programs: two encoders and two decoders, one of each in either half.

Whatever is tuned on a planted fault is tuned on the calibration programs, and told of the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .kinds import Kind, Training
from .transformer import Shape, Transformer

Batch = tuple[Tensor, Tensor]


def rows_of_digits(n: int) -> Batch:
    """Which of ten prototypes, its sixteen places quantised to eight levels and noisy?"""
    levels = torch.randn(10, 16, generator=torch.Generator().manual_seed(1))
    y = torch.randint(10, (n,))
    x = levels[y] + 0.5 * torch.randn(n, 16)
    return ((x + 2) * 2).clamp(0, 7).long(), y


def marked_majority(n: int) -> Batch:
    """Which token follows a mark most often? Place and neighbourhood both count."""
    x = torch.randint(8, 16, (n, 20))
    y = torch.randint(6, (n,))
    for i in range(4):
        at = 5 * i + torch.randint(4, (n,))
        x[torch.arange(n), at] = 6
        told = torch.where(torch.rand(n) < 0.8, y, torch.randint(6, (n,)))
        x[torch.arange(n), at + 1] = told
    return x, y


def walks(n: int) -> Batch:
    """Next token: the sum of the two before it modulo 11, one in eight at random."""
    x = torch.randint(11, (n, 21))
    for t in range(2, 21):
        told = (x[:, t - 1] + x[:, t - 2]) % 11
        x[:, t] = torch.where(torch.rand(n) < 0.875, told, x[:, t])
    return x[:, :-1], x[:, 1:]


def repeats(n: int) -> Batch:
    """Next token: a random phrase of seven, then the same again and again."""
    phrase = torch.randint(12, (n, 7))
    x = phrase.repeat(1, 4)[:, :25]
    noise = torch.rand(x.shape) < 0.05
    x = torch.where(noise, torch.randint(12, x.shape), x)
    return x[:, :-1], x[:, 1:]


@dataclass(frozen=True)
class Program:
    """A network, its data and its rate."""

    name: str
    half: str
    shape: Shape
    data: Callable[[int], Batch]
    lr: float = 3e-3
    steps: int = 200


PROGRAMS: dict[str, Program] = {
    p.name: p
    for p in (
        Program("encoder-levels", "calibration", Shape(8, 16, 10, False), rows_of_digits),
        Program("decoder-walks", "calibration", Shape(11, 20, 11, True), walks),
        Program("encoder-marks", "report", Shape(16, 20, 6, False, 48, 3), marked_majority),
        Program("decoder-repeats", "report", Shape(12, 24, 12, True, 40, 2), repeats, 2e-3),
    )
}


@dataclass(frozen=True)
class Trained:
    """How a training ended: held-out loss and accuracy."""

    loss: float
    accuracy: float


def loss_of(logits: Tensor, y: Tensor, how: str) -> Tensor:
    """Cross entropy, or what a fault makes of it."""
    flat, y = logits.reshape(-1, logits.shape[-1]), y.reshape(-1)
    if how == "softmax twice":
        flat = flat.softmax(-1)
    if how == "sum":
        return F.cross_entropy(flat, y, reduction="sum")
    return F.cross_entropy(flat, y)


def optimizer_of(model: Transformer, rate: float, how: Training) -> torch.optim.Optimizer:
    """AdamW over all parameters but those left out; gains may be decayed."""
    chosen = [(n, p) for n, p in model.named_parameters() if not how.held or how.held not in n]
    gains = [p for n, p in chosen if "norm" in n]
    others = [p for n, p in chosen if "norm" not in n]
    groups = [
        {"params": others, "weight_decay": how.decay},
        {"params": gains, "weight_decay": how.gain_decay},
    ]
    make = torch.optim.SGD if how.sgd else torch.optim.AdamW
    return make(groups, lr=rate * how.rate)


def train(program: Program, kind: Kind | None, seed: int) -> Trained:
    """One training, sound or with a fault planted; the caller watches."""
    torch.manual_seed(seed)
    how = kind.training if kind else Training()
    shape = replace(program.shape, wiring=kind.wiring) if kind else program.shape
    model = Transformer(shape)
    if kind and kind.plant:
        with torch.no_grad():
            kind.plant(model)
    optimizer = optimizer_of(model, program.lr, how)
    for _ in range(program.steps):
        x, y = program.data(32)
        if how.labels == "shuffled":
            y = y[torch.randperm(len(y))]
        if how.labels == "unshifted":
            y = x
        loss = loss_of(model(x), y, how.loss)
        if not how.keeps_gradients:
            optimizer.zero_grad()
        loss.backward()
        if how.clip:
            nn.utils.clip_grad_norm_(model.parameters(), how.clip)
        optimizer.step()
    return _held_out(program, model)


def _held_out(program: Program, model: Transformer) -> Trained:
    """A decoder is asked as it is used: given what came before, and nothing else."""
    model.eval()
    torch.manual_seed(10_000)
    x, y = program.data(500)
    with torch.no_grad():
        if program.shape.causal:
            ends = range(8, program.shape.length, 3)
            logits = torch.stack([model(x[:, : end + 1])[:, -1] for end in ends], 1)
            y = y[:, ends.start :: 3]
        else:
            logits = model(x)
    right = (logits.argmax(-1) == y).float().mean().item()
    return Trained(loss_of(logits, y, "").item(), right)
