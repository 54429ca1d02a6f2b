"""Build runs by hand: a healthy net by default, then make it as sick as a test needs.

    b = perceptron(5, "relu")                 # 5 hidden layers and a head, healthy, 300 steps
    b.set("layers.2 relu", "dead", 0.9)       # a constant, or an array [T]
    b.set_param("Net.layers.2.weight", "update", 1e-9)
    b.loss(2.3)                               # a flat loss (default falls from 2.3 to 0.05)
    findings = judge(b.run())

Sites are named by id or by "path op" without the root ("layers.2 relu", "input", "target",
"cross_entropy"). Every number is plain and known, so that evidence can be checked exactly.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from evenflow.schema import Channel, Event, Parameter, Run, Site

Values = float | npt.ArrayLike

#: Sampled steps of a run of 300 steps as the default cadence leaves them.
BIRTH = (0, 1, 2, 4, 8, 16, 32, 64, 96, 128, 160, 192, 224, 256, 288)
ACTIVATIONS = ("relu", "sigmoid", "tanh", "gelu", "silu", "leaky_relu", "elu", "selu", "softplus")

HEALTHY: dict[str, float] = {
    "rms": 1.0,
    "mean": 0.0,
    "absmax": 4.0,
    "zeros": 0.0,
    "nonfinite": 0.0,
    "spread": 0.6,
    "delta": 1e-3,
    "delta_zeros": 0.0,
    "delta_nonfinite": 0.0,
    "delta_subnormal": 0.0,
    "negative": 0.5,
}
ACTIVE: dict[str, float] = {"saturated": 0.01, "dead": 0.0, "observed": 64.0, "slope": 0.7}
DATA: dict[str, float] = {
    "std": 1.0,
    "feature_low": 0.8,
    "feature_high": 1.2,
    "outlier": 4.0,
    "integer": 0.0,
}
PARAM: dict[str, float] = {
    "grad": 1e-2,
    "grad_absmax": 1e-3,
    "grad_zeros": 0.0,
    "weight": 5.0,
    "update": 5e-3,
}


class Builder:
    """A run in the making. `steps` are the sampled steps; the loss curve has every step."""

    def __init__(self, steps: npt.ArrayLike = BIRTH, root: str = "Net") -> None:
        self.steps = np.asarray(steps, dtype=np.int64)
        self.root = root
        self.sites: list[Site] = []
        self.params: list[Parameter] = []
        self.columns: dict[Channel, npt.NDArray[np.float64]] = {}
        self.events: list[Event] = []
        self.meta: dict[str, Any] = {
            "optimizers": [{"class": "SGD", "lr": 0.1, "params": 0}],
            "ended": "closed",
        }
        n = int(self.steps[-1]) + 1 if len(self.steps) else 0
        self.curve_steps = np.arange(n)
        self.curve_loss = np.empty(0)
        self.loss(0.05 + 2.25 * np.exp(-np.arange(n) / 40))
        for metric, value in {"lr": 0.1, "momentum": 0.0, "grad_norm": 0.1, "optimizer": 0}.items():
            self.set_step(metric, value)

    # --- parts ----------------------------------------------------------------------------------

    def site(
        self,
        path: str,
        op: str,
        kind: str,
        inputs: tuple[int, ...] = (),
        *,
        shape: tuple[int, ...] = (32, 64),
        params: tuple[str, ...] = (),
        **fields: Any,
    ) -> int:
        """Add a site with healthy readings; its id."""
        id = len(self.sites)
        root = "" if op == "target" or kind == "loss" else self.root
        s = Site(id, root, path, op, kind, shape=shape, inputs=inputs, params=params)
        if kind == "loss":  # as the tape keeps it: what the loss was given
            s = replace(s, takes=tuple(self.sites[i].shape for i in inputs[:2]))
        self.sites.append(replace(s, **fields))
        readings = dict(HEALTHY)
        if kind == "activation":
            readings |= ACTIVE
            readings["saturated"] = 0.0 if op in ("relu", "leaky_relu") else 0.01
            readings["zeros"] = 0.5 if op == "relu" else 0.0
        if kind == "input":
            readings = {m: v for m, v in readings.items() if not m.startswith("delta")} | DATA
        if kind == "loss":
            readings = {"nonfinite": 0.0}
        for metric, value in readings.items():
            self.set(id, metric, value)
        for i in inputs:
            if self.sites[i].kind != "input" and kind != "loss":
                self.set_edge(id, i, "delta_in", HEALTHY["delta"])
        return id

    def input(self, shape: tuple[int, ...] = (32, 64)) -> int:
        """The data."""
        return self.site("", "input", "input", shape=shape)

    def param(self, name: str, shape: tuple[int, ...], **fields: Any) -> str:
        """A parameter of optimizer 0 with healthy readings; its full name."""
        full = f"{self.root}.{name}"
        id = len(self.params)
        self.params.append(Parameter(id, full, shape, **{"optimizer": 0, **fields}))
        for metric, value in PARAM.items():
            self.set_param(full, metric, value)
        return full

    def linear(self, path: str, x: int, out: int = 64, *, bias: bool = True) -> int:
        """A linear layer on site `x`, with its weight and bias."""
        names = [self.param(f"{path}.weight", (out, self.sites[x].shape[-1]))]
        if bias:
            names.append(self.param(f"{path}.bias", (out,)))
        shape = (*self.sites[x].shape[:-1], out)
        return self.site(path, "linear", "affine", (x,), shape=shape, params=tuple(names))

    def act(self, path: str, x: int, op: str = "relu") -> int:
        """An activation on site `x`."""
        return self.site(path, op, "activation", (x,), shape=self.sites[x].shape)

    def loss_on(self, x: int, op: str = "cross_entropy", target_shape: Any = (32,)) -> int:
        """A loss function on prediction `x` and a target of its own."""
        target = self.site("", "target", "input", shape=target_shape)
        self.set(target, "integer", float(op in ("cross_entropy", "nll_loss")))
        return self.site("", op, "loss", (x, target), shape=())

    # --- readings -------------------------------------------------------------------------------

    def id(self, site: int | str) -> int:
        """Id of a site given by id or "path op"."""
        if isinstance(site, int):
            return site
        hits = [s.id for s in self.sites if f"{s.path} {s.op}".strip() == site]
        if len(hits) != 1:
            raise KeyError(f"{site!r} names {len(hits)} sites")
        return hits[0]

    def _column(self, value: Values) -> npt.NDArray[np.float64]:
        return np.broadcast_to(np.asarray(value, np.float64), self.steps.shape).copy()

    def set(self, site: int | str, metric: str, value: Values) -> Builder:
        """A site's readings."""
        self.columns[Channel("site", self.id(site), metric)] = self._column(value)
        return self

    def set_all(self, kind: str, metric: str, value: Values) -> Builder:
        """The same readings for every site of a kind."""
        for s in self.sites:
            if s.kind == kind:
                self.set(s.id, metric, value)
        return self

    def set_edge(self, site: int | str, input: int | str, metric: str, value: Values) -> Builder:
        """An edge's readings, from `site` back to `input`."""
        channel = Channel("edge", self.id(site), metric, self.id(input))
        self.columns[channel] = self._column(value)
        return self

    def set_param(self, name: str, metric: str, value: Values) -> Builder:
        """A parameter's readings, by its full name ("Net.layers.0.weight")."""
        (id,) = [p.id for p in self.params if p.name == name]
        self.columns[Channel("param", id, metric)] = self._column(value)
        return self

    def set_params(self, metric: str, value: Values) -> Builder:
        """The same readings for every parameter."""
        for p in self.params:
            self.set_param(p.name, metric, value)
        return self

    def set_step(self, metric: str, value: Values) -> Builder:
        """A metric of the step."""
        self.columns[Channel("step", 0, metric)] = self._column(value)
        return self

    def loss(self, values: Values) -> Builder:
        """The loss at every step [N]; the sampled rows follow."""
        n = len(self.curve_steps)
        self.curve_loss = np.broadcast_to(np.asarray(values, np.float64), (n,)).copy()
        return self.set_step("loss", self.curve_loss[self.steps] if n else 0.0)

    def optimizer(self, name: str, lr: float = 1e-3) -> Builder:
        """The class and learning rate of optimizer 0."""
        self.meta["optimizers"] = [{"class": name, "lr": lr, "params": len(self.params)}]
        return self.set_step("lr", lr)

    def forget(self, of: str, metric: str) -> Builder:
        """Drop a metric everywhere, as if it had never been measured."""
        self.columns = {c: v for c, v in self.columns.items() if (c.of, c.metric) != (of, metric)}
        return self

    def run(self) -> Run:
        """The run as built so far; a loss function's value is the step's loss unless set."""
        for s in self.sites:
            for metric in ("rms", "absmax") if s.kind == "loss" else ():
                channel = Channel("site", s.id, metric)
                self.columns.setdefault(channel, self.columns[Channel("step", 0, "loss")])
        return Run(
            name="synthetic",
            meta=self.meta,
            sites=tuple(self.sites),
            params=tuple(self.params),
            steps=self.steps,
            columns=dict(self.columns),
            curve_steps=self.curve_steps,
            curve_loss=self.curve_loss,
            events=tuple(self.events),
        )


def perceptron(
    depth: int = 3,
    act: str = "relu",
    *,
    width: int = 64,
    out: int = 10,
    loss: str = "cross_entropy",
    steps: npt.ArrayLike = BIRTH,
) -> Builder:
    """A healthy classifier: `depth` hidden layers "layers.0" ..., then "head" and a loss."""
    b = Builder(steps)
    x = b.input((32, width))
    for i in range(depth):
        x = b.linear(f"layers.{i}", x, width)
        if act:
            x = b.act(f"layers.{i}", x, act)
    x = b.linear("head", x, out)
    b.loss_on(x, loss, (32,) if loss in ("cross_entropy", "nll_loss") else (32, out))
    return b


def decay(b: Builder, per_layer: float, metric: str = "delta") -> Builder:
    """Let delta and weight gradients change by `per_layer` decades a layer, from head to data.

    Updates follow the gradients (as plain gradient descent at rate 0.1 gives them).
    """
    layers = [s for s in b.sites if s.kind == "affine"]
    for back, s in enumerate(reversed(layers)):
        factor = 10.0 ** (per_layer * back)
        b.set(s.id, metric, HEALTHY["delta"] * factor)
        for name in s.params:
            grad = PARAM["grad"] * factor
            b.set_param(name, "grad", grad)
            b.set_param(name, "update", 0.1 * grad)
    return b


def steps_until(last: int, every: int = 1) -> npt.NDArray[np.int64]:
    """Sampled steps 0, every, ... up to `last`."""
    return np.arange(0, last + 1, every)
