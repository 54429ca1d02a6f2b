"""What it costs a step to know which lines of the script run it: pairs of steps, medians.

    python -m benchmarks.lines              about two minutes
    python -m benchmarks.lines --rounds 50  to see that it runs

Two steps of one training take turns, one of which asks for lines and one does not (the question is
replaced by nothing), in an order drawn anew for each pair; what is told is the median of the pairs'
ratios and its 95 % bootstrap interval. *asked*: a sample in which every site is asked, as the first
eight of a run are; *known*: any later sample; *unsampled*: a step of which no sample is taken.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.monitor.optimizers import OptimizerRegistry
from evenflow.tape import SiteRegistry

Step = Callable[[], None]


class Transformer(nn.Module):
    """Two encoder layers of 32, sequences of 16."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(32, 32)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(32, 2, 64, dropout=0.0, batch_first=True) for _ in range(2)
        )
        self.head = nn.Linear(32, 32)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x)
        for layer in self.layers:
            h = layer(h)
        return self.head(h)


def perceptron() -> tuple[nn.Module, Tensor, Tensor]:
    """Twenty layers of 64."""
    layers = [m for _ in range(19) for m in (nn.Linear(64, 64), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(64, 10)), torch.randn(64, 64), torch.randint(10, (64,))


def transformer() -> tuple[nn.Module, Tensor, Tensor]:
    x = torch.randint(32, (8, 16))
    return Transformer(), x, x.flatten()


NETWORKS = {"perceptron": perceptron, "transformer": transformer}


def training(name: str) -> Step:
    torch.manual_seed(0)
    model, x, y = NETWORKS[name]()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x).flatten(0, -2), y).backward()
        optimizer.step()

    return step


class Asking:
    """Lines are asked for, or not."""

    def __init__(self) -> None:
        self._ran, self._runs = SiteRegistry.ran, OptimizerRegistry.runs

    def turn(self, on: bool) -> None:
        def nothing(self: Any, index: int) -> None: ...

        SiteRegistry.ran = self._ran if on else nothing  # type: ignore[method-assign]
        OptimizerRegistry.runs = self._runs if on else nothing  # type: ignore[method-assign]


def ratios(name: str, kind: str, full: bool, rounds: int) -> list[float]:
    """Of a step with lines to one without."""
    step, asking, rng, out = training(name), Asking(), random.Random(0), list[float]()
    with tempfile.TemporaryDirectory() as folder:
        every = 0 if kind == "unsampled" else 1
        with evenflow.watch(run=Path(folder) / "run.evenflow", every=every) as watch:
            conductor: Any = watch._conductor
            conductor.cadence.full = lambda step, samples: full
            for _ in range(20):
                step()
            for _ in range(rounds):
                took = {}
                for on in rng.sample((True, False), 2):
                    asking.turn(on)
                    if kind == "asked":
                        conductor.recorder.registry._asked.clear()
                    start = perf_counter()
                    step()
                    took[on] = perf_counter() - start
                out.append(took[True] / took[False])
            asking.turn(True)
    return out


def interval(values: list[float], draws: int = 2000) -> tuple[float, float]:
    """95 % of the median, by bootstrap."""
    rng = random.Random(0)
    medians = sorted(statistics.median(rng.choices(values, k=len(values))) for _ in range(draws))
    return medians[int(0.025 * draws)], medians[int(0.975 * draws)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=600)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    print("| network | step | ratio | 95 % of the median |\n|---|---|---|---|")
    kinds = [("asked", False), ("asked", True), ("known", False), ("known", True)]
    for name in NETWORKS:
        for kind, full in [*kinds, ("unsampled", False)]:
            found = ratios(name, kind, full, rounds)
            low, high = interval(found)
            said = kind if kind == "unsampled" else f"{'full' if full else 'core'}, {kind}"
            print(f"| {name} | {said} | {statistics.median(found):.4f} | {low:.4f} – {high:.4f} |")


if __name__ == "__main__":
    main()
