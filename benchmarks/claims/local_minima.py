"""Full-batch against online training: which sticks in a poor minimum more often?

Two populations. *Neurons*: a tanh neuron without bias and six random examples, kept where the
error has a poor minimum besides its best one; each is started in every poor minimum's own place.
*XOR*: two sigmoid units and one, from random weights. As many epochs are given to all. Online,
the rate is that of one example; η of the epoch is the same, or as many times larger as there are
examples, which goes the same way in an epoch (`× n`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .base import Claim, Row, Rows, percent

GRID = np.linspace(-8, 8, 801)
N = 6
NEURON_RATES = (0.05, 0.2, 0.5, 1.0, 2.0)
XOR_RATES = (0.2, 0.5, 1.0, 2.0, 5.0)
KINDS = ("online", "epoch", "epoch × n")


def errors(w: np.ndarray, x: np.ndarray, t: np.ndarray) -> np.ndarray:
    """E of each neuron p at w [P, K] on x, t [P, N]: [P, K]."""
    y = np.tanh(w[:, :, None] * x[:, None, :])
    return np.asarray(((y - t[:, None, :]) ** 2).mean(-1) / 2)


def neurons(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x [P, N], t [P, N] and the start w [P]: a local minimum at least 5 % above the best."""
    rng = np.random.default_rng([7, seed])
    found: list[tuple[np.ndarray, np.ndarray, float]] = []
    while len(found) < count:
        x = rng.normal(size=(500, N)) * 2
        t = rng.uniform(-1, 1, size=(500, N))
        e = errors(np.broadcast_to(GRID, (500, len(GRID))), x, t)
        low = (e[:, 1:-1] < e[:, :-2]) & (e[:, 1:-1] < e[:, 2:])
        for p, i in zip(*np.nonzero(low), strict=True):
            if e[p, i + 1] > 1.05 * e[p].min() and len(found) < count:
                found.append((x[p], t[p], float(GRID[i + 1])))
    x, t, w = (np.array(part) for part in zip(*found, strict=True))
    return x, t, w


def pull(w: np.ndarray, x: np.ndarray, t: np.ndarray) -> np.ndarray:
    """∂E/∂w of each neuron [P], the mean over the examples given [P, K]."""
    y = np.tanh(w[:, None] * x)
    return np.asarray(((y - t) * (1 - y * y) * x).mean(1))


def stuck_neurons(eta: float, kind: str, seed: int, count: int, epochs: int) -> float:
    """Share still in a poor place after training and settling: E above 1.05 times the best."""
    x, t, w = neurons(count, seed)
    rng = np.random.default_rng([8, seed])
    for _ in range(epochs):
        if kind == "online":
            for i in np.argsort(rng.random((count, N)), axis=1).T:
                rows = np.arange(count), i
                w = w - eta * pull(w, x[rows][:, None], t[rows][:, None])
        else:
            w = w - eta * (N if kind == "epoch × n" else 1) * pull(w, x, t)
    for _ in range(300):  # to the bottom of where it is, so that no noise is judged
        w = w - 0.05 * pull(w, x, t)
    best = errors(np.broadcast_to(GRID, (count, len(GRID))), x, t).min(1)
    return float((errors(w[:, None], x, t)[:, 0] > 1.05 * best).mean())


def xor(parts: Sequence[Tensor], x: Tensor) -> Tensor:
    """y [S, K] of S networks 2-2-1 on x [S, K, 2]."""
    w1, b1, w2, b2 = parts
    hidden = torch.sigmoid(torch.einsum("shi,ski->skh", w1, x) + b1[:, None])
    return torch.sigmoid(torch.einsum("sh,skh->sk", w2, hidden) + b2[:, None])


def stuck_xor(eta: float, kind: str, seed: int, count: int, epochs: int) -> float:
    """Share of `count` random starts that do not tell all four cases after training."""
    torch.manual_seed(seed)
    parts = [torch.empty(count, *s).uniform_(-1, 1) for s in ((2, 2), (2,), (2,), ())]
    parts = [p.requires_grad_() for p in parts]
    x = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]).expand(count, 4, 2)
    t = torch.tensor([0.0, 1, 1, 0]).expand(count, 4)
    every = torch.arange(count)[:, None]
    for _ in range(epochs):
        order = torch.rand(count, 4).argsort(1)
        for rows in order.split(1 if kind == "online" else 4, 1):
            miss = xor(parts, x[every, rows]) - t[every, rows]
            slopes = torch.autograd.grad((miss**2).mean(1).sum() / 2, parts)
            rate = eta * (4 if kind == "epoch × n" else 1)
            with torch.no_grad():
                for p, slope in zip(parts, slopes, strict=True):
                    p -= rate * slope
    with torch.no_grad():
        return float(((xor(parts, x) - t).abs() > 0.5).any(1).float().mean())


def measure(seeds: Sequence[int], quick: bool) -> Rows:
    rows = Rows()
    for name, rates, stuck, count, epochs in (
        ("neuron", NEURON_RATES, stuck_neurons, 50 if quick else 200, 60 if quick else 200),
        ("XOR", XOR_RATES, stuck_xor, 20 if quick else 100, 100 if quick else 2000),
    ):
        if quick and name == "XOR":
            continue
        for kind in KINDS:
            by_rate = {e: [stuck(e, kind, s, count, epochs) for s in seeds] for e in rates}
            figures = {f"stuck, η no. {i}": by_rate[e] for i, e in enumerate(rates, 1)}
            rows.append(Row(f"{name}, {kind}", figures))
    return rows


def least(rows: Rows, setting: str) -> float:
    """Stuck at the rate that suits it best."""
    row = next(r for r in rows if r.setting == setting)
    return min(row.median(figure) for figure in row.figures)


def tell(rows: Rows) -> str:
    def at(name: str, i: int) -> str:
        return ", ".join(percent(rows(f"{name}, {kind}", f"stuck, η no. {i}")) for kind in KINDS)

    def best(name: str) -> str:
        return ", ".join(percent(least(rows, f"{name}, {kind}")) for kind in KINDS)

    return (
        f"Only if both are given the same η, so that an epoch of n examples makes a step where "
        f"online training makes n. Stuck online, by epochs, and by epochs with n times η: XOR from "
        f"random starts with η = 1 {at('XOR', 3)}; at the best of five η {best('XOR')}. Neurons "
        f"started in a poor minimum with η = .5 {at('neuron', 3)}, at the best η "
        f"{best('neuron')}: hardly any leave it, whichever way they train."
    )


def holds(rows: Rows) -> bool:
    def more(name: str, i: int) -> bool:
        figure = f"stuck, η no. {i}"
        return rows(f"{name}, epoch", figure) > rows(f"{name}, online", figure)

    if not more("neuron", 3) or not more("neuron", 4):
        return False
    if not any(row.setting.startswith("XOR") for row in rows):  # in the reduced form
        return True
    return more("XOR", 3) and least(rows, "XOR, epoch × n") <= least(rows, "XOR, online") + 0.03


CLAIM = Claim(
    "full-batch-local-minima",
    "Full-batch training sticks in local minima more often than online training.",
    "true only if",
    "200 tanh neurons with two minima, η = "
    + ", ".join(f"{e:g}" for e in NEURON_RATES)
    + ", 200 epochs; 100 starts of a 2-2-1 sigmoid network on XOR, η = "
    + ", ".join(f"{e:g}" for e in XOR_RATES)
    + ", 2000 epochs (η no. 1 to 5)",
    measure,
    tell,
    holds,
    source="LeCun et al. 1998, Efficient BackProp, section 4.1",
)
