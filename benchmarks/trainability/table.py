"""Train each network of the list and write down which learn: `table.csv`, the truth.

    python benchmarks/trainability/table.py [--networks 400] [--seconds 150]

Adam at three learning rates, 25 epochs at most, batch 64; the accuracy is that of the best rate
on 500 digits held out, at the end (or at the first epoch that reached 88 %: it learns). Rows that
are there are left alone, so the run may be cut off and taken up again at any time; `--seconds`
ends it after the network under way. Denormals are flushed: they only slow down what has vanished.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from pathlib import Path

import torch
from generated import BATCH, Spec, build, digits, specs
from torch import Tensor, nn

TABLE = Path(__file__).with_name("table.csv")
FIELDS = ("index", "depth", "activation", "init", "norm", "skip", "accuracy", "rate", "seconds")
RATES = (1e-3, 3e-4, 3e-3)
EPOCHS = 25
SURE = 0.88


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Share of right answers, in evaluation mode."""
    model.eval()
    with torch.no_grad():
        out = model(x)
    model.train()
    return float((out.argmax(1) == y).float().mean()) if out.isfinite().all() else 0.0


def train(spec: Spec, rate: float, data: tuple[Tensor, Tensor, Tensor, Tensor]) -> float:
    """Accuracy on the test part after training the spec's network at one rate."""
    x, y, x_test, y_test = data
    model = build(spec)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, foreach=True)
    order = torch.Generator().manual_seed(1)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x), generator=order).split(BATCH):
            if len(batch) < BATCH:
                continue
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
            loss.backward()
            optimizer.step()
        if not math.isfinite(loss.item()):
            return 0.0
        reached = accuracy(model, x_test, y_test)
        if reached >= SURE:
            return reached
    return reached


def main() -> None:
    """Add the rows that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=400)
    parser.add_argument("--first", type=int, default=0, help="leave out those before")
    parser.add_argument("--seconds", type=float, default=math.inf)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    data = digits()
    begun = time.monotonic()
    there: set[int] = set()
    if TABLE.exists():
        with TABLE.open() as file:
            there = {int(row["index"]) for row in csv.DictReader(file)}
    else:
        TABLE.write_text(",".join(FIELDS) + "\n")
    for spec in specs(asked.networks)[asked.first :]:
        if spec.index in there:
            continue
        if time.monotonic() - begun > asked.seconds:
            return
        start = time.perf_counter()
        best, at = -1.0, 0.0
        for rate in RATES:
            reached = train(spec, rate, data)
            if reached > best:
                best, at = reached, rate
            if best >= SURE:
                break
        took = time.perf_counter() - start
        with TABLE.open("a") as file:
            file.write(
                f"{spec.index},{spec.depth},{spec.activation},{spec.init},{spec.norm},"
                f"{int(spec.skip)},{best:.3f},{at:g},{took:.1f}\n"
            )


if __name__ == "__main__":
    main()
