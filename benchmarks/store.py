"""Acceptance 8: 200 sites x 10,000 steps at every=1, nothing thinned: under 10 s and 200 MB.

    python benchmarks/store.py [--sites 200] [--steps 10000]

Times what comes beyond training: `write` until all is on disk,
`load`, `columns` (every column once, as rules ask for them) and `judge`. Exits 1 on a miss.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from evenflow.faults import judge
from evenflow.schema import (
    METRICS,
    Channel,
    Parameter,
    Reading,
    Site,
)
from evenflow.store import Writer, load


def names(of: str, tier: str = "") -> list[str]:
    return [m.name for m in METRICS.values() if m.of == of and tier in ("", m.tier)]


CORE = names("site", "core")
#: A healthy deep network's usual values: a rule that finds nothing has still looked everywhere.
USUAL = {
    "rms": 1.0,
    "absmax": 4.0,
    "zeros": 0.01,
    "observed": 64.0,
    "delta": 1e-3,
    "delta_in": 1e-3,
}


def network(sites: int) -> tuple[list[Site], list[Parameter], list[Channel]]:
    """A chain that alternates linear and tanh, each linear with weight and bias."""
    names = [f"MLP.layers.{i}.{part}" for i in range(sites // 2) for part in ("weight", "bias")]
    params = [Parameter(i, name, (256, 256), optimizer=0) for i, name in enumerate(names)]
    made = [
        Site(
            id=i,
            root="MLP",
            path=f"layers.{i // 2}",
            op="tanh" if i % 2 else "linear",
            kind="activation" if i % 2 else "affine",
            shape=(64, 256),
            inputs=(i - 1,) if i else (),
            params=() if i % 2 else tuple(names[i : i + 2]),
        )
        for i in range(sites)
    ]
    channels = [Channel("site", i, metric) for i in range(sites) for metric in CORE]
    channels += [Channel("edge", i, "delta_in", i - 1) for i in range(1, sites)]
    channels += [Channel("param", i, m) for i in range(len(params)) for m in names("param")]
    channels += [Channel("step", 0, metric) for metric in names("step")]
    return made, params, channels


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=200)
    parser.add_argument("--steps", type=int, default=10_000)
    args = parser.parse_args()
    sites, params, channels = network(args.sites)
    layout = tuple(channels)
    dice = np.random.default_rng(0)
    usual = np.array([USUAL.get(channel.metric, 0.0) for channel in channels])
    noise = 1 + 0.1 * dice.standard_normal((64, len(channels)))
    times: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.evenflow")
        began = time.perf_counter()
        writer = Writer(path, {"optimizers": [{"class": "SGD", "lr": 0.1}], "every": 1})
        writer.sites(sites)
        writer.params(params)
        for step in range(args.steps):
            writer.reading(Reading(step, layout, usual * noise[step % 64]))
            writer.curve([step], [1 / (1 + step)])
            if step % 1000 == 999:  # a training is slower than this loop: let the disk keep up
                writer.flush()
        writer.close()
        times["write"] = time.perf_counter() - began
        if writer.error is not None:
            raise writer.error
        size = path.stat().st_size
        began = time.perf_counter()
        run = load(path)
        times["load"] = time.perf_counter() - began
        began = time.perf_counter()
        for channel in run.columns:
            run.columns[channel]
        times["columns"] = time.perf_counter() - began
        began = time.perf_counter()
        findings = judge(run)
        times["judge"] = time.perf_counter() - began
    whole = len(run.steps) == args.steps and not run.events
    total = sum(times.values())
    for what, seconds in times.items():
        print(f"{what:8} {seconds:7.2f} s")
    print(f"{'total':8} {total:7.2f} s   (limit 10 s)")
    print(f"{'size':8} {size / 1e6:7.1f} MB  (limit 200 MB)")
    print(f"{len(channels)} channels, {len(run.steps)} steps kept, {len(findings)} findings")
    return 0 if whole and total < 10 and size < 200e6 else 1


if __name__ == "__main__":
    sys.exit(main())
