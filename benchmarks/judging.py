"""What judging costs by depth: processor seconds of `judge` on one core, for runs of every shape.

    python benchmarks/judging.py [--layers 750 1500 3000] [--samples 100] [--shapes chain stream]

Runs are made, not trained: what a rule looks at is there for each layer, and the sick shapes hold
it up all the way (a rule that stops at the first sick layer would cost little). Prints seconds and
findings, and how cost grew with depth: 1 is linear, 2 quadratic. Exits 1 where 3,000 layers at
100 samples take more than 3 s, or where the last doubling cost more than the power 1.6.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable

import numpy as np

from evenflow.faults import judge
from evenflow.schema import Channel, Parameter, Run, Site

LIMIT = 3.0  # seconds for 3,000 layers at 100 samples
POWER = 1.6  # cost over depth: 1 is linear, 2 quadratic; caches grow cold on the way

HEALTHY = {
    "rms": 1.0,
    "mean": 0.0,
    "absmax": 4.0,
    "zeros": 0.0,
    "nonfinite": 0.0,
    "spread": 0.6,
    "negative": 0.5,
    "delta": 1e-3,
    "delta_zeros": 0.0,
    "delta_nonfinite": 0.0,
    "delta_subnormal": 0.0,
}
GATE = {"saturated": 0.01, "dead": 0.0, "observed": 64.0, "slope": 0.7}
DATA = {
    **{"rms": 1.0, "mean": 0.0, "absmax": 4.0, "zeros": 0.0, "nonfinite": 0.0, "spread": 0.6},
    **{"std": 1.0, "feature_low": 0.8, "feature_high": 1.2, "outlier": 4.0, "integer": 0.0},
}
PARAM = {"grad": 1e-2, "grad_absmax": 1e-3, "grad_zeros": 0.0, "weight": 5.0, "update": 5e-3}
STEP = {"lr": 0.1, "momentum": 0.0, "grad_norm": 0.1, "optimizer": 0.0}


class Net:
    """A run in the making: sites and parameters with constant readings."""

    def __init__(self, samples: int) -> None:
        self.samples = samples
        self.sites: list[Site] = []
        self.params: list[Parameter] = []
        self.columns: dict[Channel, np.ndarray] = {}
        self.data = self.add("", "input", "input", (), DATA)

    def add(
        self, path: str, op: str, kind: str, inputs: tuple[int, ...], readings: dict[str, float],
        *, call: int = 0, weight: str = "",
    ) -> int:  # fmt: skip
        """A site with these readings, and the δ it sends back along each input."""
        id, root = len(self.sites), "" if kind == "loss" or op == "target" else "Net"
        params = (weight, weight[:-6] + "bias") if weight else ()
        if weight and all(p.name != weight for p in self.params[-2:]):
            for name, shape in zip(params, ((64, 64), (64,)), strict=True):
                self.params.append(Parameter(len(self.params), name, shape, optimizer=0))
                for metric, value in PARAM.items():
                    self._set("param", len(self.params) - 1, metric, value)
        shape = () if kind == "loss" else (32, 64)
        self.sites.append(
            Site(id, root, path, op, kind, call=call, shape=shape, inputs=inputs, params=params)
        )
        for metric, value in readings.items():
            self._set("site", id, metric, value)
        for i in inputs:
            if self.sites[i].kind != "input" and kind != "loss":
                self._set("edge", id, "delta_in", 1e-3, i)
        return id

    def _set(self, of: str, id: int, metric: str, value: float, edge: int = -1) -> None:
        self.columns[Channel(of, id, metric, edge)] = np.full(self.samples, value)

    def linear(self, path: str, x: int, call: int = 0) -> int:
        """A layer with weights; the same path is the same layer."""
        weight = f"Net.{path}.weight"
        return self.add(path, "linear", "affine", (x,), HEALTHY, call=call, weight=weight)

    def act(self, path: str, x: int, op: str, call: int = 0, **readings: float) -> int:
        """An activation."""
        return self.add(path, op, "activation", (x,), HEALTHY | GATE | readings, call=call)

    def loss(self, x: int, call: int = 0) -> None:
        """A loss on `x` with a target of its own."""
        target = self.add("", "target", "input", (), DATA | {"integer": 1.0}, call=call)
        self.add("", "cross_entropy", "loss", (x, target), {"rms": 1.0, "nonfinite": 0.0},
                 call=call)  # fmt: skip

    def run(self, fallen: bool, source: str = "measured") -> Run:
        """The run, its loss fallen to a fortieth or flat at the loss of guessing."""
        n = self.samples
        curve = np.full(n, np.log(64.0))
        if fallen:
            curve *= np.exp(-np.arange(n) / (n / 4))
        for metric, value in STEP.items():
            self._set("step", 0, metric, value)
        self.columns[Channel("step", 0, "loss")] = curve
        return Run(
            name="judging",
            meta={"optimizers": [{"class": "SGD", "lr": 0.1, "params": len(self.params)}]},
            sites=tuple(self.sites),
            params=tuple(self.params),
            steps=np.arange(n),
            columns=self.columns,
            curve_steps=np.arange(n),
            curve_loss=curve,
            source=source,
        )


def chain(layers: int, samples: int) -> Run:
    """Linear and tanh in turn, and it learns."""
    net = Net(samples)
    x = net.data
    for i in range(layers):
        x = net.act(f"layers.{i}", net.linear(f"layers.{i}", x), "tanh")
    net.loss(net.linear("head", x))
    return net.run(True)


def saturated(layers: int, samples: int) -> Run:
    """The same, every tanh saturated, every update next to nothing, the gradient fading."""
    net = Net(samples)
    x = net.data
    for i in range(layers):
        x = net.act(f"layers.{i}", net.linear(f"layers.{i}", x), "tanh", saturated=0.95)
    net.loss(net.linear("head", x))
    run = net.run(False)
    fade = 10.0 ** -np.linspace(12, 0, len(net.sites))
    depth = {p.name: fade[s.id] for s in net.sites for p in () or map(_named(net), s.params)}
    for channel, column in run.columns.items():
        if channel.metric in ("delta", "delta_in"):
            column *= fade[channel.id]
        if channel.of == "param" and channel.metric in ("grad", "update"):
            column *= 1e-6 * depth[net.params[channel.id].name]
    return run


def won(layers: int, samples: int) -> Run:
    """The same saturation where the loss is won: is every layer but the head at a standstill?"""
    run = saturated(layers, samples)
    curve = np.log(64.0) * np.exp(-np.arange(samples) / (samples / 8))
    curve += 0.2 * np.log(64.0)
    run.columns[Channel("step", 0, "loss")][:] = curve
    run.curve_loss[:] = curve
    return run


def dead(layers: int, samples: int) -> Run:
    """Linear and ReLU in turn, every unit dead, no gradient anywhere."""
    net = Net(samples)
    x = net.data
    for i in range(layers):
        x = net.act(f"layers.{i}", net.linear(f"layers.{i}", x), "relu", zeros=1.0, dead=1.0)
    net.loss(net.linear("head", x))
    run = net.run(False)
    for channel, column in run.columns.items():
        if channel.metric in ("grad", "grad_absmax", "update", "delta", "delta_in"):
            column *= 0.0
    return run


def stream(layers: int, samples: int) -> Run:
    """Blocks norm, linear, tanh beside a residual stream: each layer feeds all that follow."""
    net = Net(samples)
    x = net.linear("stem", net.data)
    for i in range(layers - 1):
        h = net.add(f"blocks.{i}", "layer_norm", "norm", (x,), HEALTHY)
        h = net.act(f"blocks.{i}", net.linear(f"blocks.{i}", h), "tanh", saturated=0.95)
        x = net.add(f"blocks.{i}", "add", "join", (x, h), HEALTHY)
    net.loss(net.linear("head", x))
    return net.run(False)


def unrolled(layers: int, samples: int) -> Run:
    """Cells of ten steps in time, one on top of the other, a loss and a target at every step."""
    net = Net(samples)
    below = [net.data] * 10
    for i in range(max(1, layers // 10)):
        x, out = below[0], []
        for t in range(10):
            both = net.add(f"cells.{i}", "add", "join", (x, below[t]), HEALTHY, call=t)
            x = net.act(f"cells.{i}", net.linear(f"cells.{i}", both, t), "tanh", t)
            out.append(x)
        below = out
    for t in range(layers // 10):
        net.loss(net.linear("head", below[t % 10], t), t)
    return net.run(False)


def foreseen(layers: int, samples: int) -> Run:
    """A forecast of blocks that start at zero: no gradient comes to their layers, all the same."""
    net = Net(1)
    x = net.linear("stem", net.data)
    for i in range(layers - 1):
        h = net.act(f"blocks.{i}", net.linear(f"blocks.{i}", x), "tanh", delta=0.0)
        net.columns[Channel("site", h - 1, "delta")][:] = 0.0
        x = net.add(f"blocks.{i}", "add", "join", (x, h), HEALTHY)
    net.loss(net.linear("head", x))
    return net.run(False, "predicted")


def _named(net: Net) -> Callable[[str], Parameter]:
    known = {p.name: p for p in net.params}
    return known.__getitem__


SHAPES: dict[str, Callable[[int, int], Run]] = {
    "chain": chain,
    "saturated": saturated,
    "won": won,
    "dead": dead,
    "stream": stream,
    "unrolled": unrolled,
    "foreseen": foreseen,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, nargs="+", default=[750, 1500, 3000])
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    args = parser.parse_args()
    missed = False
    for name in args.shapes:
        spent: list[float] = []
        for layers in args.layers:
            run = SHAPES[name](layers, args.samples)
            gc.collect()
            began = time.process_time()
            found = judge(run)
            spent.append(time.process_time() - began)
            codes = " ".join(f.code for f in found) or "healthy"
            print(f"{name:10} {layers:5d} layers {spent[-1]:7.2f} s   {codes}", flush=True)
            missed |= layers == 3000 and args.samples == 100 and spent[-1] > LIMIT
        if len(spent) > 1:
            doubling = args.layers[-1] / args.layers[-2]
            power = float(np.log(spent[-1] / spent[-2]) / np.log(doubling))
            print(f"{name:10} cost grew with depth to the power {power:.2f}")
            missed |= power > POWER
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
