"""When may EF401 say that a standing loss will not move? Slow starts, and labels of no meaning.

    python benchmarks/plateaus.py [--seeds 2] [--only REGEX]

Networks that stand still and set off later (small or deep starts, parity, a bit to be kept in
mind) beside ones whose labels were shuffled apart from their inputs, never those of the zoo. One
row a run and prefix that rule EF401 calls flat: what it says there, what it goes by, and where the
loss ends. A warning or an error of a run that ends far below its start is a false alarm.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

import evenflow
from evenflow.faults.ef401_plateau import Plateau, _promised, _way, _whole
from evenflow.faults.view import View
from evenflow.schema import Run

PREFIXES = (60, 100, 200, 300, 600, 1000)
SEED = 100  # as the calibration half has them

Batches = Callable[[], tuple[Tensor, Tensor]]
Optimizer = Callable[[nn.Module], torch.optim.Optimizer]


def digits(shuffled: bool = False, batch: int = 64) -> Batches:
    """Pixels and classes; shuffled: classes that do not belong to them."""
    x, y = load_digits(return_X_y=True)
    pixels, classes = torch.tensor(x / 16 - 0.3, dtype=torch.float32), torch.tensor(y)
    if shuffled:
        classes = classes[torch.randperm(len(classes))]

    def draw() -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(pixels), (batch,))
        return pixels[rows], classes[rows]

    return draw


def parity(bits: int) -> Batches:
    """Whether an even number of the bits is -1: nothing to see before the features are there."""

    def draw() -> tuple[Tensor, Tensor]:
        x = torch.randint(0, 2, (64, bits)).float() * 2 - 1
        return x, (x.prod(1) > 0).long()

    return draw


def first_of(length: int) -> Batches:
    """The sign of a sequence's first number, asked for at its end."""

    def draw() -> tuple[Tensor, Tensor]:
        x = torch.randn(64, length, 2)
        return x, (x[:, 0, 0] > 0).long()

    return draw


def mlp(depth: int, act: type[nn.Module], inputs: int = 64, out: int = 10, start: float = 1.0):
    """Linear layers of 64, their default weights times `start`."""
    sizes = [inputs, *[64] * depth]
    layers = [m for a, b in itertools.pairwise(sizes) for m in (nn.Linear(a, b), act())]
    model = nn.Sequential(*layers, nn.Linear(64, out))
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(start)
    return model


class Recurrent(nn.Module):
    """A fused recurrent layer and a head on its last state."""

    def __init__(self, cell: Callable[..., nn.Module], inputs: int, out: int) -> None:
        super().__init__()
        self.cell = cell(inputs, 32, batch_first=True)
        self.head = nn.Linear(32, out)
        self.inputs = inputs

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(x.reshape(len(x), -1, self.inputs))[0][:, -1])


def sgd(rate: float, momentum: float = 0.0) -> Optimizer:
    return lambda m: torch.optim.SGD(m.parameters(), rate, momentum=momentum)


def adam(rate: float) -> Optimizer:
    return lambda m: torch.optim.Adam(m.parameters(), rate)


def rows(cell: Callable[..., nn.Module]) -> nn.Module:
    return Recurrent(cell, 8, 10)


#: Name: model, data, optimizer, steps. "apart" has labels shuffled apart from the inputs.
RUNS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Batches], Optimizer, int]] = {
    "apart relu sgd": (lambda: mlp(2, nn.ReLU), lambda: digits(True), sgd(0.1), 300),
    "apart relu adam": (lambda: mlp(2, nn.ReLU), lambda: digits(True), adam(1e-3), 300),
    "apart tanh momentum": (lambda: mlp(3, nn.Tanh), lambda: digits(True), sgd(0.03, 0.9), 300),
    "apart lstm": (lambda: rows(nn.LSTM), lambda: digits(True), adam(3e-3), 300),
    "apart gru": (lambda: rows(nn.GRU), lambda: digits(True), adam(1e-3), 300),
    "apart rnn": (lambda: rows(nn.RNN), lambda: digits(True), adam(3e-3), 300),
    "sigmoid 2": (lambda: mlp(2, nn.Sigmoid), digits, sgd(0.3), 800),
    "sigmoid 4": (lambda: mlp(4, nn.Sigmoid), digits, adam(1e-3), 800),
    "tanh, small": (lambda: mlp(4, nn.Tanh, start=0.5), digits, sgd(0.1), 1500),
    "tanh, low rate": (lambda: mlp(4, nn.Tanh), digits, sgd(0.005), 1500),
    "relu, low rate": (lambda: mlp(4, nn.ReLU), digits, sgd(0.02), 1500),
    "parity 4": (lambda: mlp(2, nn.Tanh, 4, 2), lambda: parity(4), sgd(0.05), 3000),
    "parity 5": (lambda: mlp(2, nn.Tanh, 5, 2), lambda: parity(5), adam(1e-3), 1500),
    "keep a bit, lstm": (lambda: Recurrent(nn.LSTM, 2, 2), lambda: first_of(12), adam(1e-3), 1500),
    "keep a bit, gru": (lambda: Recurrent(nn.GRU, 2, 2), lambda: first_of(16), adam(1e-3), 1500),
    "keep a bit, rnn": (lambda: Recurrent(nn.RNN, 2, 2), lambda: first_of(12), adam(1e-3), 1000),
}


def record(name: str, seed: int) -> Run:
    """The run, sampled every tenth step."""
    make, data, optimizer, steps = RUNS[name]
    torch.manual_seed(seed)
    model, draw = make(), data()
    stepper = optimizer(model)
    with tempfile.TemporaryDirectory() as folder:
        with evenflow.watch(run=Path(folder) / "run.evenflow", every=10):
            for _ in range(steps):
                x, y = draw()
                stepper.zero_grad()
                F.cross_entropy(model(x), y).backward()
                stepper.step()
        return evenflow.load(Path(folder) / "run.evenflow")


def until(run: Run, step: int) -> Run:
    """The run as it was before that step."""
    kept, drawn = run.steps < step, run.curve_steps < step
    return dataclasses.replace(
        run,
        steps=run.steps[kept],
        columns={c: v[kept] for c, v in run.columns.items()},
        curve_steps=run.curve_steps[drawn],
        curve_loss=run.curve_loss[drawn],
    )


def verdicts(run: Run) -> Iterator[str]:
    """What EF401 says of each prefix, and the figures it went by."""
    for step in (p for p in PREFIXES if p <= len(run.curve_loss)):
        view = View(until(run, step))
        for f in Plateau().check(view):
            scale = f.evidence.get("guessing_loss", float("nan"))
            yield (
                f"{step:5} {f.severity.name:8} promised {_promised(view) / scale:7.2f}  "
                f"way {_way(view):5.2f}  whole {_whole(view)}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for name in (n for n in RUNS if re.search(asked.only, n)):
        for seed in range(SEED, SEED + asked.seeds):
            run = record(name, seed)
            end = float(np.median(run.curve_loss[-30:]))
            print(f"{name} (seed {seed}): {run.curve_loss[0]:.2f} -> {end:.2f}", flush=True)
            for line in verdicts(run):
                print("   ", line, flush=True)


if __name__ == "__main__":
    main()
