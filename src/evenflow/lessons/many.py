"""The same network from several seeds, trained side by side as batched products."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..miniature import Layer


def spirals(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Two spirals of one and a half turns, n points x [n, 2] and classes [n]; noise 0.05.

    After Lang & Witbrock, Learning to tell two spirals apart (1988).
    """
    rng = np.random.default_rng([2, seed])
    k = np.arange(n) % 2
    u = np.sqrt(rng.uniform(0.02, 1, n))
    turn = 3 * np.pi * u + np.pi * k
    x = 1.5 * u * np.stack([np.cos(turn), np.sin(turn)]) + 0.05 * rng.normal(size=(2, n))
    return torch.tensor(x.T, dtype=torch.float32), torch.tensor(k)


def accuracy_of(
    nets: Sequence[Sequence[Layer]],
    f: Callable[[Tensor], Tensor],
    skip: bool,
    lr: float,
    steps: int,
) -> list[float]:
    """Train each network on 200 points of the spirals; its accuracy on 400 others.

    Adam, all points at each step, cross-entropy. `f` follows every layer but the last; with
    `skip`, a layer with as many units as the one before adds its answer to its input.
    """
    weights = [
        (_stack([net[k].W for net in nets]), _stack([net[k].b for net in nets])[:, None])
        for k in range(len(nets[0]))
    ]

    def answer(x: Tensor) -> Tensor:
        h = x.expand(len(nets), *x.shape)
        for w, b in weights[:-1]:
            z = torch.baddbmm(b, h, w.transpose(1, 2))
            h = h + f(z) if skip and z.shape == h.shape else f(z)
        w, b = weights[-1]
        return torch.baddbmm(b, h, w.transpose(1, 2))

    x, y = spirals(200, 0)
    x_test, y_test = spirals(400, 1)
    adam = torch.optim.Adam([p.requires_grad_() for pair in weights for p in pair], lr=lr)
    for _ in range(steps):
        adam.zero_grad()
        z = answer(x).flatten(0, 1)
        # a sum over the networks: none feels the others
        (F.cross_entropy(z, y.repeat(len(nets))) * len(nets)).backward()  # type: ignore[no-untyped-call]
        adam.step()
    with torch.no_grad():
        hit = (answer(x_test).argmax(-1) == y_test).double().mean(1)
    return [float(h) for h in hit]


def _stack(arrays: Sequence[np.ndarray]) -> Tensor:
    return torch.tensor(np.stack(arrays), dtype=torch.float32)
