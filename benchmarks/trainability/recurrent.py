"""Which recurrent nets learn, and what their start shows through time: calibrates `through_time`.

    python benchmarks/trainability/recurrent.py            the kept table and its score
    python benchmarks/trainability/recurrent.py --train    train anew first (about 10 minutes)

One recurrent layer of 64 units reads a scikit-learn digit as 8, 16 or 32 steps; its last output, or
the mean of all, goes to a linear head. Recurrent weights are PyTorch's times a gain; 300 steps of
64 digits with Adam at the best of three rates. 16 steps calibrate, 8 and 32 report. Learns:
accuracy of .8 or more; fails: .5 or less.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

import evenflow
from evenflow.faults import View
from evenflow.faults.through_time import ThroughTime

TABLE = Path(__file__).with_name("recurrent.csv")
RATES = (1e-2, 1e-3, 2e-4)
PLAIN, GATED = (0.1, 0.3, 1, 2, 3, 4, 5, 6, 10), (0.1, 0.3, 1, 2, 3, 4, 6, 10, 20)
FIELDS = ("kind", "steps", "reads", "gain", "accuracy", "size", "chaos", "gained", "lost", "strain")


def nets() -> Iterator[tuple[str, int, str, float]]:
    """Kind, time steps, what is read, gain."""
    for kind in ("relu", "tanh", "lstm", "gru"):
        for steps in (8, 16, 32):
            for reads in ("last", "mean"):
                gated = kind in ("lstm", "gru")
                if (gated and (reads == "mean" or steps == 8)) or (reads == "mean" and steps != 16):
                    continue
                yield from ((kind, steps, reads, float(g)) for g in (GATED if gated else PLAIN))


class Net(nn.Module):
    """[B, 64] pixels -> [B, 10]."""

    def __init__(self, kind: str, steps: int, reads: str, gain: float) -> None:
        super().__init__()
        make = {"lstm": nn.LSTM, "gru": nn.GRU}.get(kind, nn.RNN)
        more = {"nonlinearity": kind} if make is nn.RNN else {}
        self.rnn = make(64 // steps, 64, batch_first=True, **more)
        self.head, self.steps, self.reads = nn.Linear(64, 10), steps, reads
        with torch.no_grad():
            self.rnn.weight_hh_l0.mul_(gain)

    def forward(self, x: Tensor) -> Tensor:
        y = self.rnn(x.view(len(x), self.steps, -1))[0]
        return self.head(y[:, -1] if self.reads == "last" else y.mean(1))


def digits() -> tuple[Tensor, Tensor]:
    """[1797, 64] standardised pixels, labels; shuffled once."""
    pixels, labels = load_digits(return_X_y=True)
    x = torch.tensor(pixels / 16.0, dtype=torch.float32)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1))
    return ((x - x.mean()) / x.std())[order], torch.tensor(labels)[order]


def accuracy(net: tuple[str, int, str, float], rate: float) -> float:
    """On 397 digits that were not trained on."""
    x, y = digits()
    torch.manual_seed(0)
    model = Net(*net)
    optimizer = torch.optim.Adam(model.parameters(), rate)
    draw = torch.Generator().manual_seed(0)
    for _ in range(300):
        ids = torch.randint(0, 1400, (64,), generator=draw)
        optimizer.zero_grad()
        F.cross_entropy(model(x[ids]), y[ids]).backward()
        optimizer.step()
    with torch.no_grad():
        return float((model(x[1400:]).argmax(1) == y[1400:]).float().mean())


def row(net: tuple[str, int, str, float], best: float) -> dict[str, object]:
    """One line of the table: what was foreseen beside the best accuracy."""
    torch.manual_seed(0)
    found = evenflow.preflight(Net(*net), digits()[0][:64], advise=False)
    (c,) = ThroughTime(View(found.run)).chains
    values = (*net, best, c.size, c.chaos, c.gained, c.lost, c.strain)
    return {k: f"{v:.3f}" if type(v) is float else v for k, v in zip(FIELDS, values, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", action="store_true", help="train all nets anew")
    if parser.parse_args().train:
        rows = [row(n, max(accuracy(n, r) for r in RATES)) for n in nets()]
        with TABLE.open("w", newline="") as file:
            out = csv.DictWriter(file, FIELDS)
            out.writeheader()
            out.writerows(rows)
    with TABLE.open() as file:
        kept = list(csv.DictReader(file))
    for half, told in (("calibration", True), ("report", False)):
        own = [r for r in kept if (r["steps"] == "16") == told]
        learn = [float(r["strain"]) for r in own if float(r["accuracy"]) >= 0.8]
        fail = [float(r["strain"]) for r in own if float(r["accuracy"]) <= 0.5]
        pairs = [(a < b) + (a == b) / 2 for a in learn for b in fail]
        print(
            f"{half}: {len(learn)} learn, {len(fail)} fail, AUC {sum(pairs) / len(pairs):.4f}, "
            f"{sum(s >= 1 for s in learn)} that learn called sick, "
            f"{sum(s < 1 for s in fail)} that fail not called sick"
        )


if __name__ == "__main__":
    main()
