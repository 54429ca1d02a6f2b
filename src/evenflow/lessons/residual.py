"""Twenty hidden layers of 16 tanh units, started as PyTorch starts them, uniform in ±1/√n. One
network is plain, h_k = f(z_k); the other residual, h_k = h_{k-1} + f(z_k). Nothing else differs,
not even the weights they start with.

## Backward through a plain layer

    δ at h_{k-1} = Wᵀ (f'(z_k) ⊙ δ at h_k)

Its gain is about 1/√3 here (the weights' variance is 1/(3n)) and less where tanh bends. Twenty
such factors make a product of decades.

## Backward through a residual block

    δ at h_{k-1} = δ at h_k + Wᵀ (f'(z_k) ⊙ δ at h_k)

The first term has the factor 1, whatever the layer does: the error has a road of its own. Where
the two terms are not related, their squares add up: gain² = 1 + (gain of the branch)². So the
residual network does not lose its gradient; if anything it gains a little at each block.

## What the tape adds
h_{k-1} is a fork: the error comes back to it from two sides. Each side's signed share of the
whole, ⟨δ_side, δ⟩ / |δ|², is read there; the two shares add up to 1.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .. import miniature as m
from ..lang import _
from .base import Lesson, Plot, Result, Table, curve
from .many import accuracy_of, spirals
from .reading import Net, Step, array, both_ways, columns, read_step

DEPTH, WIDTH, SEEDS, LR, STEPS = 20, 16, 10, 0.01, 100


class Skipping(Net):
    """h_k = h_{k-1} + f(z_k) wherever both have as many units."""

    def forward(self, x: Tensor) -> Tensor:
        for w, f in zip(self.steps[::2], self.steps[1::2], strict=True):
            out = self.get_submodule(f)(self.get_submodule(w)(x))
            x = x + out if out.shape == x.shape else out
        return x


def network(seed: int) -> list[m.Layer]:
    sizes = [2, *[WIDTH] * DEPTH, 2]
    return m.network(sizes, [*["tanh"] * DEPTH, "identity"], np.random.default_rng([20, seed]))


def data() -> tuple[m.Floats, m.Floats]:
    """The spirals as the miniature wants them: x [2, 200], one column a sample, t one-hot."""
    x, y = spirals(200, 0)
    return array(x).T, np.eye(2)[:, y.numpy()]


def at_birth(kind: type[Net], seed: int) -> Step:
    x, t = data()
    net = kind(network(seed))
    return read_step(net, lambda: F.cross_entropy(net(columns(x)), columns(t)))


def profile(step: Step) -> list[float]:
    """|δ| (rms) at z_1 .. z_20, as the tape read it."""
    return [step.site(f"W{k}", "delta") for k in range(1, DEPTH + 1)]


def block_gains(step: Step, layers: list[m.Layer], skip: bool) -> list[tuple[float, float]]:
    """(gain of the whole block, gain of its branch) for blocks 2 .. 20."""
    found = []
    for k in range(2, DEPTH + 1):
        arrives = step.delta[f"f{k}"]
        branch = layers[k - 1].W.T @ step.delta[f"W{k}"]
        whole = branch + arrives if skip else branch
        size = np.linalg.norm(arrives)
        found.append((float(np.linalg.norm(whole) / size), float(np.linalg.norm(branch) / size)))
    return found


def skip_shares(step: Step) -> list[float]:
    """The road's share of the error at each fork, as the tape read it."""
    ops = {s.id: s.op for s in step.sites}
    return [v for c, v in step.numbers.items() if c.metric == "share" and ops[c.id] == "add"]


def fall(step: Step) -> float:
    """Decades from z_20 to z_1."""
    sizes = profile(step)
    return math.log10(sizes[0] / sizes[-1])


def _header() -> tuple[str, ...]:
    gain = _("decades δ_1/δ_20"), _("gain a layer")
    return (_("network"), *gain, _("accuracy"), _("least"), _("most"))


def run() -> Result:
    layers, (x, t) = network(0), data()
    plain, skipping = at_birth(Net, 0), at_birth(Skipping, 0)
    lost = {
        kind: [fall(first), *(fall(at_birth(kind, seed)) for seed in range(1, SEEDS))]
        for kind, first in ((Net, plain), (Skipping, skipping))
    }
    gains = block_gains(skipping, layers, True)
    shares = skip_shares(skipping)
    nets = [network(seed) for seed in range(SEEDS)]
    scores = {skip: accuracy_of(nets, torch.tanh, skip, LR, STEPS) for skip in (False, True)}
    mean = {
        "plain": float(np.mean([g for g, _ in block_gains(plain, layers, False)])),
        "residual": float(np.mean([g for g, _ in gains])),
        "branch": float(np.mean([b for _, b in gains])),
        "predicted": float(np.mean([math.hypot(1, b) for _, b in gains])),
    }
    rows = []
    for name, kind in (("plain", Net), ("residual", Skipping)):
        found = scores[kind is Skipping]
        middle = float(np.median(found))
        rows.append(
            (_(name), float(np.median(lost[kind])), mean[name], middle, min(found), max(found))
        )
    at = range(1, DEPTH + 1)
    curves = curve(_("plain"), profile(plain), at), curve(_("residual"), profile(skipping), at)
    return Result(
        (
            Table(
                _(
                    "At birth, and after {steps} steps of Adam ({seeds} seeds; the gain a layer is "
                    "seed 0's mean)"
                ).format(steps=STEPS, seeds=SEEDS),
                _header(),
                tuple(rows),
            ),
            Plot(
                _("The layer error at birth, seed 0"), _("layer"), _("rms of δ"), curves, log_y=True
            ),
            _(
                "In the residual network the branches' mean gain is {branch:.3f}; if road and "
                "branch were unrelated a block's would be {predicted:.3f}, and it is "
                "{residual:.3f}. At the forks the road carries {low:.0%} to {high:.0%} of the "
                "error."
            ).format(**mean, low=min(shares), high=max(shares)),
        ),
        {
            "decades, plain": rows[0][1],
            "decades, residual": rows[1][1],
            "decades, plain, seed 0": lost[Net][0],
            "decades, residual, seed 0": lost[Skipping][0],
            **{f"gain, {name}": mean[name] for name in ("plain", "residual", "predicted")},
            "road's share, last block": shares[0],
            "accuracy, best plain": max(scores[False]),
            "accuracy, worst residual": min(scores[True]),
        },
        both_ways(plain, layers, x, t, m.cross_entropy),
    )


LESSON = Lesson(
    "residual",
    "A plain network and a residual one",
    __doc__,
    run,
    SEEDS,
    question=("Could a residual block make a gradient vanish?"),
    answer=(
        "Hardly by itself: the road has the factor 1. Only if the branch sends back "
        "nearly minus the error, so that the two cancel; then the branch's share is "
        "negative."
    ),
    see=("EF101", "EF102"),
)
