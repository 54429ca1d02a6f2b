"""One training step as the tape reads it, and a torch twin of a network of the miniature."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .. import activations
from ..miniature import Floats, Layer, Loss, forward, gradients, layer_errors, squared
from ..schema import Channel, Parameter, Site
from ..tape import Recorder, Update

#: Most elements of one array that `both_ways` lists.
SHOWN = 64


#: How the modules call the number that `miniature.FAMILIES` have.
NUMBERS = {
    "sigmoid": "slope", "leaky_relu": "negative_slope", "prelu": "init", "elu": "alpha",
    "swish": "beta",
}  # fmt: skip


def activation(name: str) -> nn.Module:
    """Torch's module of a function that the miniature knows, in float64."""
    own = {"identity": nn.Identity, "softsign": nn.Softsign}
    head, _, inside = name.rstrip(")").partition("(")
    if not inside:
        return own[name]() if name in own else activations.get(name)
    number = float(inside.rpartition("=")[2])
    made = activations.get(head, **{NUMBERS[head]: number}).double()
    for parameter in made.parameters():  # was float32
        nn.init.constant_(parameter, number)
    return made


def unit(w: float, f: str = "identity", b: float = 0.0) -> list[Layer]:
    """A network of one unit, y = f(w x + b)."""
    return [Layer(np.array([[w]]), np.array([b]), f)]


class Net(nn.Module):
    """The network of `layers` in torch, float64; module names are W1, f1, W2, f2, ..."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__()
        self.steps = [name for i in range(len(layers)) for name in (f"W{i + 1}", f"f{i + 1}")]
        for i, layer in enumerate(layers, 1):
            linear = nn.Linear(layer.W.shape[1], layer.W.shape[0], dtype=torch.float64)
            self.add_module(f"W{i}", linear)
            self.add_module(f"f{i}", activation(layer.f))
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(layer.W))
                linear.bias.copy_(torch.from_numpy(layer.b))

    def forward(self, x: Tensor) -> Tensor:
        """x [B, n_0] -> y [B, n_L]."""
        for name in self.steps:
            x = self.get_submodule(name)(x)
        return x


def array(t: Tensor) -> Floats:
    """A copy as float64."""
    return t.detach().double().numpy().copy()


def columns(a: Floats) -> Tensor:
    """The miniature's columns [n, B] as torch's rows [B, n]."""
    return torch.from_numpy(np.ascontiguousarray(a.T))


def half_squared(y: Tensor, t: Tensor) -> Tensor:
    """The miniature's `squared`: mean over the samples of ½ |y - t|²."""
    return (y - t).square().sum() / (2 * len(y))


@dataclass(frozen=True)
class Step:
    """One step as it was read.

    Attributes:
        sites, params: what the tape saw.
        numbers: the tape's readings, as in `evenflow.schema`.
        out, delta: by module path, its output and the layer error there, [n, B] as in the
            miniature: whole and with signs, where the tape keeps their rms only.
        grad: by name of parameter, ∂E/∂ parameter.
    """

    sites: tuple[Site, ...]
    params: tuple[Parameter, ...]
    numbers: Mapping[Channel, float]
    out: Mapping[str, Floats]
    delta: Mapping[str, Floats]
    grad: Mapping[str, Floats]

    def site(self, path: str, metric: str) -> float:
        """The tape's reading of what the module at `path` computed."""
        found = [s.id for s in self.sites if s.path == path and s.kind not in ("input", "loss")]
        return self.numbers[Channel("site", found[-1], metric)]

    def param(self, name: str, metric: str) -> float:
        """The tape's reading of a parameter ("W1.weight")."""
        found = [p.id for p in self.params if p.name.split(".", 1)[1] == name]
        return self.numbers[Channel("param", found[0], metric)]


def read_step(
    model: nn.Module,
    error: Callable[[], Tensor],
    optimizer: torch.optim.Optimizer | None = None,
) -> Step:
    """Read one step: `error()` runs the model and gives E; the optimizer, if any, then steps."""
    outputs: dict[str, Tensor] = {}

    def keep(path: str, module: nn.Module, args: Any, out: Any) -> None:
        if isinstance(out, Tensor) and out.requires_grad:
            out.retain_grad()
            outputs[path] = out

    def fail(e: Exception, where: str) -> None:
        raise e

    model.zero_grad()
    handles = [
        m.register_forward_hook(partial(keep, path))
        for path, m in model.named_modules()
        if not list(m.children())
    ]
    recorder = Recorder(fail, model)
    recorder.arm(full=True)
    try:
        value = error()
        recorder.before_backward([value], 1.0)
        value.backward()  # type: ignore[no-untyped-call]
        recorder.after_backward()
        update = Update(recorder, list(model.parameters()))
        update.gradients()
        if optimizer is not None:
            optimizer.step()
        update.applied()
        scalars = recorder.release()
    finally:
        recorder.disarm()
        for handle in handles:
            handle.remove()
    reading = scalars.finish(0).reading({})
    registry = recorder.registry
    return Step(
        tuple(registry.sites),
        tuple(registry.params),
        dict(zip(reading.channels, reading.values.tolist(), strict=True)),
        {path: array(t).T for path, t in outputs.items()},
        {path: array(t.grad).T for path, t in outputs.items() if t.grad is not None},
        {name: array(p.grad) for name, p in model.named_parameters() if p.grad is not None},
    )


def squared_step(
    net: Net, x: Floats, t: Floats, optimizer: torch.optim.Optimizer | None = None
) -> Step:
    """One step down the squared error of these columns."""
    return read_step(net, lambda: half_squared(net(columns(x)), columns(t)), optimizer)


def both_ways(
    step: Step,
    layers: Sequence[Layer],
    x: Floats,
    t: Floats,
    loss: Loss = squared,
    told: str = "{}",
) -> dict[str, tuple[float, float]]:
    """What the tape read of a `Net` beside what the miniature computes, number by number.

    `layers` as they were before the step; x [n_0, B] and t [n_L, B] as it saw them; `told` is how
    each number is named.
    """
    seen = forward(layers, x)
    errors = layer_errors(layers, seen, loss(seen.a[-1], t)[1])
    same: dict[str, tuple[float, float]] = {}

    def each(name: str, one: Floats, two: Floats) -> None:
        few = -(-two.size // SHOWN)  # of large ones, elements evenly apart
        for at in list(np.ndindex(two.shape))[::few]:
            same[name + str([i + 1 for i in at])] = (float(one[at]), float(two[at]))

    for k, (z, a, d) in enumerate(zip(seen.z, seen.a[1:], errors, strict=True), 1):
        each(f"z{k}", step.out[f"W{k}"], z)
        each(f"a{k}", step.out[f"f{k}"], a)
        each(f"δ{k}", step.delta[f"W{k}"], d)
        for path, what, value in ((f"W{k}", "rms", z), (f"f{k}", "rms", a), (f"W{k}", "delta", d)):
            if any(s.path == path for s in step.sites):
                same[f"{what} at {path}"] = (step.site(path, what), rms(value))
    for k, g in enumerate(gradients(errors, seen), 1):
        for name, value in (("weight", g.W), ("bias", g.b)):
            if f"W{k}.{name}" not in step.grad:
                continue  # held fixed
            each(f"∂E/∂{name} {k}", step.grad[f"W{k}.{name}"], value)
            size = float(np.linalg.norm(value))
            same[f"|∂E/∂{name} {k}|"] = (step.param(f"W{k}.{name}", "grad"), size)
    return {told.format(name): pair for name, pair in same.items()}


def rms(a: Floats) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(a * a)))
