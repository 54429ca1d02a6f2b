"""Is the cost that a run claims the one that a bare twin shows?

    python benchmarks/claimed.py                     all workloads and ways, about five minutes
    python benchmarks/claimed.py --only rnn --rounds 9

Each training runs bare and watched by turns, in one process, from the same start. *Shown*: what
the watched one, its closing included, takes beyond the bare one of its round; median, in processor
and in wall time. *Claimed*: what the run's summary says ("Cost of watching"), median. They are to
differ by less than a fifth where 5 % or more are shown, else by less than a hundredth of the
training's time; exit code 1 if they do not. Processor time decides: machines are busy.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.report.layers import cost


class Last(nn.Module):
    """The head of a recurrent network: its last output."""

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body, self.head = body, head

    def forward(self, x: Tensor) -> Tensor:
        out = self.body(x)
        return self.head((out[0] if isinstance(out, tuple) else out)[:, -1])


class Unrolled(nn.Module):
    """A recurrent cell, step by step."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(16, 64)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), 64)
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
        return h[:, None]


def perceptron(width: int, depth: int) -> nn.Module:
    layers = [m for _ in range(depth) for m in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def transformer() -> nn.Module:
    layer = nn.TransformerEncoderLayer(64, 4, 256, dropout=0.0, batch_first=True, norm_first=True)
    return Last(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(64, 10))


def convnet() -> nn.Module:
    def block(a: int, b: int) -> list[nn.Module]:
        return [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2)]

    body = [*block(3, 16), *block(16, 32), *block(32, 32)]
    return nn.Sequential(*body, nn.Flatten(), nn.Linear(32 * 4, 10))


class Workload(NamedTuple):
    """A model, what it is given, and how many steps a training has, by way of watching."""

    make: Callable[[], nn.Module]
    data: tuple[int, ...]
    steps: int
    sampled: int


WORKLOADS = {
    "tiny": Workload(lambda: perceptron(16, 2), (16, 16), 1500, 200),
    "small": Workload(lambda: perceptron(128, 4), (64, 128), 600, 100),
    "perceptron": Workload(lambda: perceptron(512, 6), (128, 512), 150, 50),
    "transformer": Workload(transformer, (16, 32, 64), 200, 50),
    "convnet": Workload(convnet, (32, 3, 16, 16), 200, 50),
    "rnn": Workload(lambda: Last(nn.LSTM(32, 64, batch_first=True), nn.Linear(64, 10)),
                    (32, 32, 32), 300, 60),
    "unrolled": Workload(lambda: Last(Unrolled(), nn.Linear(64, 10)), (32, 16, 16), 150, 40),
}  # fmt: skip
WAYS = ("every", "alarm", "quiet", "none")


class Took(NamedTuple):
    """Seconds of a training: processor and wall."""

    processor: float
    wall: float


def training(workload: Workload, steps: int, watch: Any, alarm: bool) -> Took:
    """Train; with a watch, alarmed or not, until it is closed."""
    torch.manual_seed(0)
    model = workload.make()
    x, y = torch.randn(workload.data), torch.randint(0, 10, (workload.data[0],))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    gc.collect()
    start = time.process_time(), time.perf_counter()
    for step in range(steps):
        if alarm and watch is not None and step >= 24:
            watch._conductor.cadence.alert()
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    if watch is not None:
        watch.close()
    return Took(time.process_time() - start[0], time.perf_counter() - start[1])


def twins(name: str, way: str, rounds: int) -> tuple[float, float, float, float]:
    """Milliseconds of a bare step; shares of the bare time: claimed, and shown in processor and in
    wall time."""
    workload = WORKLOADS[name]
    steps = workload.sampled if way == "every" else workload.steps
    if way == "alarm":
        steps = 24 + 3 * 32
    claimed, shown, walls, bare = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for i in range(rounds + 1):
            took: dict[bool, Took] = {}
            for on in (True, False) if i % 2 else (False, True):
                watch = None
                if on:
                    every = {"every": 1, "none": 0}.get(way, "auto")
                    watch = evenflow.watch(run=Path(folder) / f"{i}.evenflow", every=every)
                took[on] = training(workload, steps, watch, way == "alarm")
            if not i:
                continue  # what is loaded at the first time
            run = evenflow.load(Path(folder) / f"{i}.evenflow")
            claimed.append(cost(run) or 0.0)
            shown.append(took[True].processor / took[False].processor - 1)
            walls.append(took[True].wall / took[False].wall - 1)
            bare.append(1000 * took[False].processor / steps)
    return tuple(map(statistics.median, (bare, claimed, shown, walls)))  # type: ignore[return-value]


def honest(claimed: float, shown: float) -> bool:
    """Within a fifth where 5 % or more are shown, else within one point."""
    return abs(claimed - shown) <= (shown / 5 if shown >= 0.05 else 0.01)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=WORKLOADS, action="append")
    parser.add_argument("--way", choices=WAYS, action="append")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'':12} {'way':6} {'step':>8} {'claimed':>8} {'shown':>7} {'(wall)':>7} {'ratio':>6}")
    good = True
    for name in args.only or WORKLOADS:
        for way in args.way or WAYS:
            ms, claimed, shown, wall = twins(name, way, args.rounds)
            good &= (fine := honest(claimed, shown))
            ratio = claimed / shown if shown > 0 else float("nan")
            print(f"{name:12} {way:6} {ms:6.2f}ms {claimed:8.1%} {shown:7.1%} {wall:7.1%} "
                  f"{ratio:6.2f} {'' if fine else '<-'}", flush=True)  # fmt: skip
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
