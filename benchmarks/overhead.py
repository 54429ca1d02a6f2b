"""What watching costs: ratios against the bare loop, interleaved in one run, medians.

    python benchmarks/overhead.py                 all workloads, eager, about half an hour
    python benchmarks/overhead.py --compiled      the same under torch.compile
    python benchmarks/overhead.py --quick         fewer and shorter blocks, to see that it runs
    OVERHEAD_SCALE=0.5 python benchmarks/overhead.py    with half of each batch
    python benchmarks/overhead.py --steps         single steps only, a network of 3,000 sites too

*Total*: blocks of 500 steps with the watch on (every="auto", sampled steps included, after step
256) against blocks without it, dealt out in turns of 5 steps (a virtual machine changes its pace
from second to second); the ratio of each pair, their median, and the upper end of its 95 %
bootstrap interval. *One step*: single steps taking turns: bare, sampled with core readings, sampled
with all readings, and a histogram hook as wandb.watch has it (one host sync a parameter). *Memory*:
how far the peak of watched steps lies above that of bare ones, how large the parameters are, and
how far above bare the peak is when watched and eager.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.monitor import hooks

Step = Callable[..., None]
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class Perceptron(nn.Sequential):
    """Eight layers of 640."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for _ in range(8):
            layers += [nn.Linear(640, 640), nn.ReLU()]
        super().__init__(*layers, nn.Linear(640, 10))


class Residual(nn.Module):
    """Four residual blocks of 32 channels on 16 x 16, with BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
                nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32),
            )
            for _ in range(4)
        )  # fmt: skip
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = F.relu(x + block(x))
        return self.head(x.mean((2, 3)))


class Transformer(nn.Module):
    """Three encoder layers of 128, four heads, sequences of 64."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(64, 128)
        layer = nn.TransformerEncoderLayer(
            128, 4, 512, dropout=0.0, batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.head = nn.Linear(128, 64)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.embed(x)))


class Deep(nn.Sequential):
    """1,500 layers of 16 with ReLU: 3,000 sites, so small that a step is nearly all Python."""

    def __init__(self) -> None:
        layers = [m for _ in range(1500) for m in (nn.Linear(16, 16), nn.ReLU())]
        super().__init__(*layers)
        for layer in layers[::2]:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # type: ignore[arg-type]


class Recurrent(nn.Module):
    """A two-layer LSTM of 128 over 48 steps."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.LSTM(32, 128, 2, batch_first=True), nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x)[0][:, -1])


#: Factor of every batch. A sampled step costs some milliseconds, whatever the batch; unscaled, a
#: bare step takes about 50 on one thread (of a server in 2026).
SCALE = float(os.environ.get("OVERHEAD_SCALE", 1 if DEVICE == "cpu" else 8))


def batch(n: int) -> int:
    """So many samples, for a workload of n."""
    return max(2, round(n * SCALE))


def workload(name: str, compiled: bool) -> tuple[nn.Module, Step]:
    """A model and one training step of it."""
    torch.manual_seed(0)
    model: nn.Module
    if name == "perceptron":
        model, x = Perceptron(), torch.randn(batch(192), 640)
    elif name == "cnn":
        model, x = Residual(), torch.randn(batch(32), 3, 16, 16)
    elif name == "transformer":
        model, x = Transformer(), torch.randint(0, 64, (batch(12), 64))
    elif name == "deep":
        model, x = Deep(), torch.randn(8, 16)
    else:
        model, x = Recurrent(), torch.randn(batch(48), 48, 32)
    model, x = model.to(DEVICE), x.to(DEVICE)
    y = x if name == "transformer" else torch.randint(0, 10, (len(x),), device=DEVICE)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    call: Any = torch.compile(model) if compiled else model

    def step(call: Any = call) -> None:
        optimizer.zero_grad()
        out = call(x)
        F.cross_entropy(out.flatten(0, -2), y.flatten()).backward()
        optimizer.step()

    return model, step


TURN = 5
WORKLOADS = ("perceptron", "cnn", "transformer", "lstm")


def timed(step: Step, n: int) -> float:
    """Seconds for n steps."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    start = perf_counter()
    for _ in range(n):
        step()
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return perf_counter() - start


class Switch:
    """A watch whose hooks can be taken off for the bare blocks between."""

    def __init__(self, folder: str, every: str | int) -> None:
        self.watch = evenflow.watch(run=Path(folder) / "run.evenflow", every=every)
        self.conductor: Any = self.watch._conductor
        self.on, self.armed = True, False

    def turn(self, on: bool) -> None:
        if on == self.on:
            return
        self.on = on
        if on:
            self.conductor._clock.turn(self.conductor.step)
            hooks.listen(self.conductor)
            if self.armed:
                self.conductor._coming.arm(self.conductor.step)
        else:
            # A sample that is due waits for the next turn: a bare step must be bare.
            self.armed = self.conductor.recorder.recording
            self.conductor.recorder.disarm()
            hooks.remove()


def total(name: str, compiled: bool, pairs: int, block: int) -> dict[str, float]:
    """Median ratio of watched to bare blocks and the upper end of its 95 % interval."""
    _, step = workload(name, compiled)
    timed(step, 5)
    with tempfile.TemporaryDirectory() as folder:
        switch = Switch(folder, "auto")
        timed(step, 300)  # past birth
        ratios, walls = [], []
        for i in range(pairs):
            # A block's steps are dealt out in turns, so that the machine's drift meets both.
            took = {True: 0.0, False: 0.0}
            for turn in range(math.ceil(block / TURN)):
                for on in (True, False) if turn % 2 else (False, True):
                    switch.turn(on)
                    took[on] += timed(step, TURN)
            ratios.append(took[True] / took[False])
            walls.append(took[False] / (math.ceil(block / TURN) * TURN))
            print(f"    {name}: block {i + 1} of {pairs}: {ratios[-1]:.4f}", file=sys.stderr)
        switch.turn(True)
        samples, steps = switch.conductor._coming.samples, switch.conductor.step
        alerts = 64 - switch.conductor.cadence._alerts_left
        if alerts:
            print(f"    {name}: {alerts} samples were taken on an alert", file=sys.stderr)
        switch.watch.close()
    return {
        "ms": 1000 * statistics.median(walls),
        "ratio": statistics.median(ratios),
        "upper": upper(ratios),
        "samples_per_1000": 1000 * (samples - 17) / max(1, steps - 257),
    }


def upper(values: list[float], draws: int = 4000) -> float:
    """Upper end of the 95 % bootstrap interval of the median."""
    rng = random.Random(0)
    medians = sorted(statistics.median(rng.choices(values, k=len(values))) for _ in range(draws))
    return medians[int(0.975 * draws)]


def one_step(name: str, compiled: bool, rounds: int) -> dict[str, float]:
    """Median step time, as a ratio of the bare step, of each way to look at a step."""
    model, step = workload(name, compiled)
    timed(step, 10)
    took: dict[str, list[float]] = {"bare": [], "core": [], "all": [], "histograms": []}
    with tempfile.TemporaryDirectory() as folder:
        switch = Switch(folder, 1)
        full: dict[str, bool] = {"core": False, "all": True}
        for all_readings in full.values():  # the first of each meets every site
            switch.turn(True)
            switch.conductor.cadence.full = lambda step, samples, d=all_readings: d
            switch.conductor._coming.arm(switch.conductor.step)
            timed(step, 3)
        for _ in range(rounds):
            for way in took:
                switch.turn(way in full)
                handles: list[Any] = []
                if way in full:
                    # As in a training, where what listens was put on long before: one step goes
                    # by unsampled, since replacing methods empties Python's caches; it arms ours.
                    switch.conductor.cadence.full = lambda step, samples, d=full[way]: d
                    switch.conductor.recorder.disarm()
                    timed(step, 1)
                    assert switch.conductor.recorder.recording
                elif way == "histograms":
                    handles = [p.register_hook(_histogram) for p in model.parameters()]
                took[way].append(timed(step, 1))
                for h in handles:
                    h.remove()
                switch.turn(False)
                timed(step, 1)
        switch.turn(True)
        sites = len(switch.conductor.recorder.registry.sites)
        switch.watch.close()
    took_s = {way: statistics.median(t) for way, t in took.items()}
    bare = took_s.pop("bare")
    return {
        **{way: t / bare for way, t in took_s.items()},
        "bare_ms": 1000 * bare,
        "sites": sites,
        "site_us": 1e6 * (took_s["core"] - bare) / sites,
    }


def steps_only(rounds: int, compiled: bool) -> None:
    """Print what a sampled step costs, by workload."""
    print(
        f"{'':12} {'step':>8} {'core':>6} {'all':>6} {'sites':>6} {'core beyond bare':>17} a site"
    )
    for name in (*WORKLOADS, "deep"):
        s = one_step(name, compiled, rounds)
        beyond = s["bare_ms"] * (s["core"] - 1)
        print(f"{name:12} {s['bare_ms']:6.1f}ms {s['core']:6.2f} {s['all']:6.2f} {s['sites']:6.0f} "
              f"{beyond:9.1f}ms {s['site_us']:4.0f} us", flush=True)  # fmt: skip


def _histogram(grad: Tensor) -> None:
    """As wandb.watch: a histogram of 64 bins on the host, per gradient."""
    flat = grad.detach().float().flatten()
    low, high = flat.min().item(), flat.max().item()
    torch.histc(flat.cpu(), 64, low, max(high, low + 1e-12)).tolist()


def peaks(name: str, compiled: bool) -> dict[str, float]:
    """Peak MB of 40 steps each: "bare", "watched", and "eager", watched without the compiler."""
    command = [sys.executable, __file__, "--peak", name, *(["--compiled"] if compiled else [])]
    # Blocks of 64 kB and more go back to the system when freed: what is counted is in use.
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(1 << 16)}
    out = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    return json.loads(out.stdout.splitlines()[-1])


def _peaks_here(name: str, compiled: bool) -> dict[str, float]:
    model, step = workload(name, compiled)
    timed(step, 10)
    ways = {"watched": step, "eager": lambda: step(model)}

    def watched(run: Step) -> float:
        with tempfile.TemporaryDirectory() as folder:
            watch = evenflow.watch(run=Path(folder) / "p.evenflow")
            high = _peak(run)
            watch.close()
        return high

    watched(ways["eager"])  # code is loaded, and the store's
    return {"bare": _peak(step), **{way: watched(run) for way, run in ways.items()}}


def _peak(step: Step) -> float:
    """Peak MB while 40 steps run: of the allocator (CUDA), else of the process (Linux)."""
    if DEVICE == "cuda":
        torch.cuda.reset_peak_memory_stats()
        timed(step, 40)
        return torch.cuda.max_memory_allocated() / 2**20
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark is what is in use now
    timed(step, 40)
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--steps", action="store_true")
    parser.add_argument("--only", choices=WORKLOADS)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--block", type=int, default=500)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", help="write the figures as JSON")
    parser.add_argument("--peak", choices=WORKLOADS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.peak:
        print(json.dumps(_peaks_here(args.peak, args.compiled)))
        return 0
    pairs, block, rounds = (3, 60, 6) if args.quick else (args.pairs, args.block, 50)
    kind = "compiled" if args.compiled else "eager"
    print(f"{DEVICE}, {args.threads} threads, {kind}, torch {torch.__version__}")
    if args.steps:
        steps_only(rounds, args.compiled)
        return 0
    print(f"{'':12} {'step':>8} {'total':>7} {'upper':>7} {'samples':>8} {'core':>6} {'all':>6} "
          f"{'a site':>7} {'histog.':>7} {'memory':>8} {'params':>7} {'eager':>8}")  # fmt: skip
    figures, good = {}, True
    for name in [args.only] if args.only else WORKLOADS:
        steps = one_step(name, args.compiled, rounds)
        whole = total(name, args.compiled, pairs, block)
        high = peaks(name, args.compiled)
        more = high["watched"] - high["bare"]
        model = workload(name, False)[0]
        params = sum(p.numel() * p.element_size() for p in model.parameters()) / 2**20
        figures[name] = {**whole, **steps, **high, "params_mb": params}
        good &= whole["ratio"] <= 1.01 and whole["upper"] <= 1.03
        # Both to a megabyte: pages are counted in batches.
        good &= high["watched"] <= high["eager"] + 1 if args.compiled else more <= params + 1
        good &= args.compiled or (steps["core"] <= 1.35 and steps["all"] <= 2)
        print(f"{name:12} {whole['ms']:6.1f}ms {whole['ratio']:7.4f} {whole['upper']:7.4f} "
              f"{whole['samples_per_1000']:6.1f}/k {steps['core']:6.2f} {steps['all']:6.2f} "
              f"{steps['site_us']:5.0f}us {steps['histograms']:7.2f} {more:+6.1f}MB "
              f"{params:5.1f}MB {high['eager'] - high['bare']:+6.1f}MB", flush=True)  # fmt: skip
    if args.out:
        Path(args.out).write_text(json.dumps(figures, indent=1))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
