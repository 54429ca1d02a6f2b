"""Clipping against exploding recurrent networks: it bounds the step, not what the step says.

The norm of all gradients is scaled down to at most 1 (Pascanu et al. 2013, arXiv:1211.5063). The
direction stays, and with it the size of the far steps of time beside the near ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from evenflow.tape.probe import through_time
from zoo.data import Split, digits

from .base import Claim, Row, Rows, decades, percent
from .nets import BATCH, accuracy, batches

STEPS, WIDTH, LIMIT = 16, 64, 1.0
OPTIMIZERS = {
    "SGD": partial(torch.optim.SGD, lr=0.05, momentum=0.9),
    "Adam": partial(torch.optim.Adam, lr=1e-3),
}


class Reader(nn.Module):
    """A digit [B, 64] read in 16 steps of 4 pixels; logits [B, 10] after the last.

    Recurrent weights are orthogonal times `gain`: while units are in the middle of f, the error
    is multiplied by `gain` at every step back.
    """

    def __init__(self, f: str, gain: float, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.memory = nn.RNN(64 // STEPS, WIDTH, nonlinearity=f, batch_first=True)
        self.out = nn.Linear(WIDTH, 10)
        with torch.no_grad():
            nn.init.orthogonal_(self.memory.get_parameter("weight_hh_l0")).mul_(gain)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.out(self.memory(x.view(len(x), STEPS, -1))[0][:, -1])
        return logits


def flow(model: Reader, x: Tensor) -> float:
    """Decades from the last step to the first by the tape's probe; above 0 it explodes."""
    found = through_time(model.memory, x.view(len(x), STEPS, -1))
    return math.nan if found is None else found


def learn(
    model: Reader, data: Split, epochs: int, seed: int, optimizer: str, clip: bool
) -> tuple[float, float]:
    """Accuracy after training, and the largest |gradient| met (before it was clipped)."""
    step, largest = OPTIMIZERS[optimizer](model.parameters()), 0.0
    for rows in batches(len(data.x), epochs, seed):
        step.zero_grad()
        nn.functional.cross_entropy(model(data.x[rows]), data.y[rows]).backward()
        norm = float(nn.utils.clip_grad_norm_(model.parameters(), LIMIT if clip else math.inf))
        if not math.isfinite(norm):  # the weights are lost with this step
            return 0.0, math.inf
        largest = max(largest, norm)
        step.step()
    return accuracy(model, data.x_test, data.y_test), largest


SETTINGS = (
    ("RNN × 1", "tanh", 1.0),
    ("RNN × 2", "tanh", 2.0),
    ("RNN × 4", "tanh", 4.0),
    ("ReLU RNN × 1", "relu", 1.0),
    ("ReLU RNN × 2", "relu", 2.0),
    ("ReLU RNN × 4", "relu", 4.0),
    ("RNN × 0.3", "tanh", 0.3),
)


def measure(seeds: Sequence[int], quick: bool) -> Rows:
    data, rows = digits(), Rows()
    epochs = 2 if quick else 15
    settings = [SETTINGS[i] for i in (3, 5)] if quick else SETTINGS
    for name, f, gain in settings:
        for optimizer in ("SGD",) if quick else OPTIMIZERS:
            for clip in (False, True):
                nets = [Reader(f, gain, seed) for seed in seeds]
                figures = {"decades through time": [flow(net, data.x[:BATCH]) for net in nets]}
                found = [
                    learn(net, data, epochs, seed, optimizer, clip)
                    for net, seed in zip(nets, seeds, strict=True)
                ]
                figures["largest |∂E/∂w|"] = [f[1] for f in found]
                figures["accuracy"] = [f[0] for f in found]
                rows.append(Row(f"{name}, {optimizer}{', clipped' * clip}", figures))
    return rows


def tell(rows: Rows) -> str:
    def both(name: str, optimizer: str = "SGD") -> str:
        plain, clipped = (
            percent(rows(f"{name}, {optimizer}{word}", "accuracy")) for word in ("", ", clipped")
        )
        return f"{plain} → {clipped}"

    def far(name: str) -> str:
        return decades(rows(f"{name}, SGD", "decades through time"))

    return (
        f"It keeps a step from being thrown away, and that can be enough: under SGD recurrent "
        f"weights of gain 2 {both('RNN × 2')} (tanh), {both('ReLU RNN × 2')} (ReLU); of gain 4 "
        f"{both('RNN × 4')} and {both('ReLU RNN × 4')}; a start of gain 1 reaches "
        f"{both('RNN × 1')} and {both('ReLU RNN × 1')}. The decades through time stay "
        f"({far('ReLU RNN × 4')} at gain 4, ReLU): it is no cure of the start. Adam, whose steps "
        f"do not grow with the gradient, has little of it ({both('ReLU RNN × 2', 'Adam')} at gain "
        f"2, {both('ReLU RNN × 4', 'Adam')} at gain 4)."
    )


def holds(rows: Rows) -> bool:
    wild = "ReLU RNN × 4, SGD"
    return (
        rows(wild, "decades through time") > 3
        and rows(wild, "largest |∂E/∂w|") > 100
        and rows(f"{wild}, clipped", "accuracy") >= rows(wild, "accuracy")
        and rows(f"{wild}, clipped", "accuracy") < rows("ReLU RNN × 1, SGD, clipped", "accuracy")
    )


CLAIM = Claim(
    "clipping-exploding-rnn",
    "Gradient clipping cures exploding recurrent networks.",
    "depends",
    "RNN of width 64 on digits in 16 steps of 4 pixels, clipped at norm 1, 15 epochs, "
    "SGD .05 with momentum .9, Adam 1e-3",
    measure,
    tell,
    holds,
    source="Pascanu et al. 2013, arXiv:1211.5063",
)
