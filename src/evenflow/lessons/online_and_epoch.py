"""Online training takes a step after every example, epoch training one step for all of them, down
the mean of their gradients. Four things follow; each is seen here on one neuron.

## Noise
Each example wants its own weights. Online, the weight is pulled about by every one and never
settles: it hovers around the best weight, the wider the larger η. (For inputs of size 1 and
examples drawn at random the spread is sqrt(η / (2 - η)) times the noise; taking each example once
in every epoch, as here, makes it smaller.) The mean over an epoch has a resting place, the
least squares solution.

## Outliers
Online, one wild example of 64 moves the weight by η δ x; in an epoch by a sixty-fourth of that.
But the epoch feels it every time: its resting place is moved for good, while online training
has forgotten it some examples later, and ends wherever the order of the last epoch leaves it.

## Leaving a local minimum
The error of a single tanh neuron may have several minima. Most have one: the six examples here were
searched for among random ones, and beside them stands how often random examples have two. The mean
gradient vanishes in each minimum,
but the gradients of single examples do not, and they can carry the weight over the hill. It is
a matter of η: online steps that are too small stay as well, and epoch steps that are large
enough leap out too. (An online epoch makes n steps, so its η is to be set beside n times η.)

## A plateau, crossed with momentum
Where a sigmoid is saturated the gradient is small and always points the same way. The updates
Δw = -η ∂E/∂w + α Δw_last then add up like a geometric series, up to 1 / (1 - α) times as much
while the plateau lasts.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch

from .. import miniature as m
from ..lang import _
from .base import Lesson, Plot, Result, Series, Table, curve, joined
from .reading import Net, both_ways, squared_step, unit

SEEDS = 20
ONE = np.ones((1, 1))
#: Six examples whose error has a poor minimum at w = -0.0276 and a good one at w = -3.71, with a
#: hill between them at w = -0.25 (found by trying random ones).
X6 = np.array([[-0.2, 0.2, -1.7, -1.9, -0.6, -5.4]])
T6 = np.array([[0.5, -0.8, 0.8, 0.8, 0.8, -0.5]])
POOR, HILL = -0.0276, -0.25
RATES = (0.05, 0.1, 0.2, 0.3, 0.6, 1.2)


def walk(
    layers: list[m.Layer], x: m.Floats, t: m.Floats, eta: float, epochs: int,
    batch: int | None = None, rng: np.random.Generator | None = None, alpha: float = 0.0,
) -> Iterator[float]:  # fmt: skip
    """The weight before the first step and after each; the bias stays at 0."""
    last = None
    yield layers[0].W.item()
    for _epoch in range(epochs):
        for rows in m.batches(x.shape[1], batch, rng):
            slope = m.backpropagate(layers, x[:, rows], t[:, rows])[1]
            held = [slope[0]._replace(b=np.zeros(1))]
            layers, last = m.update(layers, held, last, eta, alpha)
            yield layers[0].W.item()


def line(seed: int, outlier: bool = False) -> tuple[m.Floats, m.Floats]:
    """64 examples of t = x + noise of deviation 1, |x| = 1; perhaps one target is 50 off."""
    rng = np.random.default_rng([64, seed])
    x = rng.choice([-1.0, 1.0], (1, 64))
    t = x + rng.normal(size=(1, 64))
    if outlier:
        t[0, 0] += 50 * x[0, 0]
    return x, t


def least_squares(x: m.Floats, t: m.Floats) -> float:
    return float(np.sum(x * t) / np.sum(x * x))


def noise(eta: float, batch: int | None) -> tuple[float, float]:
    """Mean over the seeds: spread of w over the last epochs, and its distance from the best."""
    found = []
    for seed in range(SEEDS):
        x, t = line(seed)
        path = [*walk(unit(0.0), x, t, eta, 200 if batch is None else 8, batch, _rng(seed))]
        late = np.array(path[-256:] if batch else path[-20:])
        found.append((late.std(), abs(late.mean() - least_squares(x, t))))
    return float(np.mean([f[0] for f in found])), float(np.mean([f[1] for f in found]))


def left(eta: float) -> int:
    """Of the seeds, how many got online from the poor minimum past the hill in 60 epochs."""
    ends = [[*walk(unit(POOR, "tanh"), X6, T6, eta, 60, 1, _rng(s))][-1] for s in range(SEEDS)]
    return sum(end < HILL - 1 for end in ends)


def leaves(eta: float) -> bool:
    """Does it by epochs, whose steps depend on no order? One run tells."""
    return [*walk(unit(POOR, "tanh"), X6, T6, eta, 60)][-1] < HILL - 1


def minima(x: m.Floats, t: m.Floats) -> int:
    """How many minima the error of a tanh neuron has over w from -8 to 8."""
    w = np.linspace(-8, 8, 1601)
    error = ((np.tanh(w[:, None] * x) - t) ** 2).sum(axis=1)
    inner = error[1:-1]
    return int(((inner < error[:-2]) & (inner < error[2:])).sum())


def random_neurons(count: int = 1000) -> int:
    """Of random sets of six examples, how many have more than one minimum."""
    dice = np.random.default_rng(6)
    pairs = ((dice.normal(0, 2, (1, 6)), dice.uniform(-1, 1, (1, 6))) for _ in range(count))
    return sum(minima(x, t) > 1 for x, t in pairs)


def plateau(alpha: float) -> Iterator[float]:
    """The weight with η = 1 from deep in saturation, where it is to fall to 0."""
    return walk(unit(6.0, "sigmoid"), ONE, 0 * ONE, 1.0, 3000, alpha=alpha)


def taped(eta: float, alpha: float, steps: int) -> list[tuple[float, float]]:
    """(|∂E/∂w|, |Δw|) of the plateau's first steps as the tape reads them."""
    net = Net(unit(6.0, "sigmoid"))
    net.get_parameter("W1.bias").requires_grad_(False)
    sgd = torch.optim.SGD([net.get_parameter("W1.weight")], lr=eta, momentum=alpha)
    read = [squared_step(net, ONE, 0 * ONE, sgd) for _ in range(steps)]
    return [(s.param("W1.weight", "grad"), s.param("W1.weight", "update")) for s in read]


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng([1, seed])


def _noise() -> Result:
    hover = [
        (eta, *noise(eta, 1), np.sqrt(eta / (2 - eta)), *noise(eta, None)) for eta in (0.2, 0.05)
    ]
    heads = (
        _("online, spread"), _("off the best"), _("drawn at random"), _("epoch, spread"), _("off")
    )  # fmt: skip
    x, t = line(0)
    paths = {_("online"): walk(unit(0.0), x, t, 0.2, 3, 1, _rng(0)),
             _("epoch"): walk(unit(0.0), x, t, 0.2, 192)}  # fmt: skip
    table = Table(
        _("Noise: how w hovers at the end"),
        ("η", *heads),
        tuple(hover),
    )
    numbers = {
        "spread, online 0.2": hover[0][1],
        "spread, online 0.05": hover[1][1],
        "spread, epoch 0.2": hover[0][4],
        "off, epoch 0.2": hover[0][5],
    }
    return Result((table, Plot(_("Noise, η = 0.2"), _("steps"), "w", _steps(paths))), numbers)


def _outlier() -> Result:
    x, t = line(0, outlier=True)
    kicks, ends = [], []
    for seed in range(SEEDS):
        online = [*walk(unit(0.0), x, t, 0.05, 8, 1, _rng(seed))]
        kicks.append(np.abs(np.diff(online)).max())
        ends.append(online[-1])
    epoch = [*walk(unit(0.0), x, t, 0.05, 300)]
    kick, largest = float(np.median(kicks)), float(np.abs(np.diff(epoch)).max())
    table = Table(
        _(
            "One outlier of 64, η = 0.05; without it the best w is {before:.3f}, with it "
            "{after:.3f}"
        ).format(before=least_squares(*line(0)), after=least_squares(x, t)),
        ("", _("largest single step"), _("w at the end, least"), _("most")),
        (
            (_("online"), kick, min(ends), max(ends)),
            (_("epoch"), largest, epoch[-1], epoch[-1]),
        ),
    )
    numbers = {
        "outlier step, online": kick,
        "outlier step, epoch": largest,
        "outlier end, epoch": epoch[-1],
    }
    return Result((table,), numbers)


def _escape() -> Result:
    poor_one = unit(POOR, "tanh")
    poor = squared_step(Net(poor_one), X6, T6)
    mean = poor.grad["W1.weight"].item()
    single = [m.backpropagate(poor_one, X6[:, [i]], T6[:, [i]])[1][0].W.item() for i in range(6)]
    escapes = [(eta, left(eta), leaves(eta)) for eta in RATES]
    several = random_neurons()
    grid = np.linspace(-5, 0.5, 111)
    bowl = curve("E", [m.backpropagate(unit(w, "tanh"), X6, T6)[0] for w in grid], grid)
    paths = {_("online"): walk(poor_one, X6, T6, 0.2, 60, 1, _rng(0)),
             _("epoch"): walk(poor_one, X6, T6, 0.2, 360)}  # fmt: skip
    parts = (
        Plot(_("An error with two minima: a tanh neuron and six examples"), "w", "E", (bowl,)),
        _(
            "In the poor minimum, w = {w}, the mean gradient is {mean:.1e}; those of the six "
            "examples reach from {low:.2f} to {high:.2f}."
        ).format(w=POOR, mean=mean, low=min(single), high=max(single)),
        _(
            "Of 1000 random sets of six examples {several} have more than one minimum; the others "
            "have nothing to be caught in."
        ).format(several=several),
        Table(
            _(
                "From the poor minimum past the hill within 60 epochs; epochs know no order, so "
                "there one run tells"
            ),
            ("η", _("online, of {seeds} seeds").format(seeds=SEEDS), _("epoch")),
            tuple((eta, a, _fate(b)) for eta, a, b in escapes),
        ),
        _(
            "η = 0.1 online and η = 0.6 by epochs make as much way in an epoch of six examples: "
            "the one left in {left} of {seeds} seeds, the other {fate}."
        ).format(left=escapes[1][1], seeds=SEEDS, fate=_fate(escapes[4][2])),
        Plot(_("From the poor minimum, η = 0.2"), _("steps"), "w", _steps(paths)),
    )
    numbers = {
        **{f"left, online {e:g}": float(a) for e, a, _ in escapes},
        **{f"left, epoch {e:g}": float(b) for e, _, b in escapes},
        "random sets with more than one minimum": float(several),
        "∂E/∂w in the poor minimum": mean,
        **{f"∂E/∂w of example {i} there": v for i, v in enumerate(single, 1)},
    }
    return Result(parts, numbers, both_ways(poor, poor_one, X6, T6))


def _fate(left: bool) -> str:
    return _("leaves") if left else _("stays")


def _plateau() -> Result:
    took = {a: next(n for n, w in enumerate(plateau(a)) if w <= 0) for a in (0.0, 0.5, 0.9)}
    same: dict[str, tuple[float, float]] = {}
    for alpha in (0.0, 0.9):
        steps = pairwise(plateau(alpha))
        for i, ((_gradient, moved), (before, after)) in enumerate(
            zip(taped(1.0, alpha, 5), steps, strict=False)
        ):
            same[f"|Δw|, α = {alpha}, step {i}"] = (moved, abs(after - before))
    table = Table(
        _("A plateau: steps with η = 1 from z = 6 down to y = ½"),
        ("α", _("steps"), _("times faster"), "1 / (1 - α)"),
        tuple((a, n, took[0.0] / n, 1 / (1 - a)) for a, n in took.items()),
    )
    return Result((table,), {f"plateau, α = {a:g}": float(n) for a, n in took.items()}, same)


def run() -> Result:
    return joined(_noise(), _outlier(), _escape(), _plateau())


def _steps(paths: dict[str, Iterator[float]]) -> tuple[Series, ...]:
    return tuple(curve(name, path) for name, path in paths.items())


LESSON = Lesson(
    "online-and-epoch",
    "Online against epoch training",
    __doc__,
    run,
    SEEDS,
    question=(
        "An online epoch of six examples with η = 0.1 and an epoch step with η = 0.6: "
        "which goes farther down a straight slope?"
    ),
    answer=(
        "They go the same way: six steps of 0.1 g, or one of 0.6 g. They differ where "
        "the slope bends within the epoch, and where examples disagree."
    ),
    see=("EF402", "EF505"),
)
