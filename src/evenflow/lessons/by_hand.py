"""Back-propagation step by step, each number found twice: by the miniature, and by autograd."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import miniature as m
from .net_file import LOSSES, NetFile, meet, plain_layers


@dataclass(frozen=True, slots=True)
class HandStep:
    """One update.

    Attributes:
        step, epoch: from 1; samples: which, from 1.
        before, after: the layers.
        x, t: of these samples.
        seen: z and a of each layer; loss, loss_after: E of these samples before and after.
        slope: ∂E/∂y; errors: δ_1 .. δ_L, the last is E_o, those before are E_h.
        gradients, moves: ∂E/∂w and Δw.
    """

    step: int
    epoch: int
    samples: tuple[int, ...]
    before: list[m.Layer]
    after: list[m.Layer]
    x: m.Floats
    t: m.Floats
    seen: m.Forward
    loss: float
    loss_after: float
    slope: m.Floats
    errors: list[m.Floats]
    gradients: list[m.Gradient]
    moves: list[m.Gradient]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types; a sample a row, as in the file."""

        def pairs(parts: list[m.Gradient]) -> list[dict[str, Any]]:
            return [{"W": p.W.tolist(), "b": p.b.tolist()} for p in parts]

        return {
            "step": self.step,
            "epoch": self.epoch,
            "samples": list(self.samples),
            "forward": [
                {"z": z.T.tolist(), "a": a.T.tolist()}
                for z, a in zip(self.seen.z, self.seen.a[1:], strict=True)
            ],
            "loss": self.loss,
            "dE_dy": self.slope.T.tolist(),
            "output_error": self.errors[-1].T.tolist(),
            "hidden_errors": [d.T.tolist() for d in self.errors[:-1]],
            "gradients": pairs(self.gradients),
            "updates": pairs(self.moves),
            "layers": plain_layers(self.after),
            "loss_after": self.loss_after,
        }


def walk(net: NetFile) -> Iterator[HandStep]:
    """Update after update, without end; ValueError where sizes do not meet."""
    layers: list[m.Layer] = list(net.layers)
    meet(layers)
    m.fits(layers, net.x, net.t)
    loss, last = LOSSES[net.loss], None
    step = epoch = 0
    while True:
        epoch += 1
        for rows in m.batches(net.x.shape[1], net.batch, None):
            step += 1
            x, t = net.x[:, rows], net.t[:, rows]
            seen = m.forward(layers, x)
            error, slope = loss(seen.a[-1], t)
            errors = m.layer_errors(layers, seen, slope)
            found = m.gradients(errors, seen)
            new, last = m.update(layers, found, last, net.eta, net.alpha)
            yield HandStep(
                step, epoch, tuple(int(i) + 1 for i in rows), layers, new, x, t, seen, error,
                loss(m.forward(new, x).a[-1], t)[0], slope, errors, found, last,
            )  # fmt: skip
            layers = new


@dataclass(frozen=True, slots=True)
class Walked:
    """A training by hand.

    Attributes:
        told: its first updates in full.
        errors: E over all samples before it, and after each epoch (or at the end, without `stop`).
        updates, layers: how many there were, and what they led to.
        why: it ended: "steps", or the rule of `Stop` that held.
        apart: the largest difference of E and gradients from what autograd finds in the updates
            that are told, relative where they are above 1.
    """

    told: list[HandStep]
    errors: list[float]
    updates: int
    layers: list[m.Layer]
    why: str
    apart: float

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types (schema 1)."""
        return {
            "schema": 1,
            "steps": [s.as_dict() for s in self.told],
            "errors": self.errors,
            "updates": self.updates,
            "layers": plain_layers(self.layers),
            "why": self.why,
            "apart": self.apart,
        }


def walked(net: NetFile) -> Walked:
    """`net.steps` updates in full; on, without telling them, until `net.stop` holds.

    ValueError where sizes do not meet. What grows without end is told as infinite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return _walked(net)


def _walked(net: NetFile) -> Walked:
    loss, told, errors = LOSSES[net.loss], list[HandStep](), list[float]()
    layers, best, since, updates, epoch = list(net.layers), float("inf"), 0, 0, 0
    meet(layers)
    whole, slope = m.backpropagate(layers, net.x, net.t, loss)
    errors.append(whole)
    why = "" if net.stop is None else net.stop.why(0, whole, 0, slope)
    for each in walk(net):
        if why or (net.stop is None and updates >= net.steps):
            break
        if net.stop is not None and each.epoch > epoch + 1:  # an epoch has ended
            epoch += 1
            whole, slope = m.backpropagate(layers, net.x, net.t, loss)
            errors.append(whole)
            best, since = (whole, 0) if whole < best else (best, since + 1)
            why = net.stop.why(epoch, whole, since, slope)
            if why:
                break
        if updates < net.steps:
            told.append(each)
        layers, updates = each.after, updates + 1
    if net.stop is None:
        errors.append(m.backpropagate(layers, net.x, net.t, loss)[0])
    worst = max((apart(each, net.loss) for each in told), default=0.0)
    return Walked(told, errors, updates, layers, why or "steps", worst)


def apart(step: HandStep, loss: str) -> float:
    """The largest difference between E and gradients found here and by autograd in float64."""
    import torch

    from .reading import activation

    leaves = [
        [torch.from_numpy(np.array(p)).requires_grad_() for p in (n.W, n.b)] for n in step.before
    ]
    y = torch.from_numpy(np.ascontiguousarray(step.x))
    for (weight, bias), layer in zip(leaves, step.before, strict=True):
        y = activation(layer.f)(weight @ y + bias[:, None])
    wanted = torch.from_numpy(np.ascontiguousarray(step.t))
    if loss == "cross-entropy":
        whole = torch.nn.functional.cross_entropy(y.T, wanted.T)
    else:
        whole = (y - wanted).square().sum() / y.shape[1] * (0.5 if loss == "squared" else 1.0)
    flat = [leaf for pair in leaves for leaf in pair]
    theirs = [g.numpy() for g in torch.autograd.grad(whole, flat)]
    ours = [part for pair in step.gradients for part in pair]
    pairs = [*zip(theirs, ours, strict=True), (np.array(whole.item()), np.array(step.loss))]
    return max(float(np.max(np.abs(a - b) / np.maximum(1, np.abs(b)))) for a, b in pairs)
