"""Plain networks on digits: built, read by the project's own tape, trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import mean

import torch
from torch import Tensor, nn

from evenflow.forecast.onepass import measure
from evenflow.schema import Channel
from zoo.data import Split

BATCH = 64
#: Adam's rate of THEORY §5.
RATE = 3e-4
Make = Callable[[], nn.Module]


@dataclass(frozen=True, slots=True)
class Plan:
    """A plain network: depth x [Linear, norm, activation, dropout], then a Linear to 10.

    `init` is "default" (torch's), "xavier", "he", "lecun" or "orthogonal"; all but the
    first have biases `bias`. `gain` multiplies the weights of the hidden layers.
    """

    depth: int
    width: int
    activation: Make
    init: str = "default"
    norm: str = "none"
    dropout: Make = nn.Identity
    gain: float = 1.0
    bias: float = 0.0

    def build(self, seed: int, n_in: int = 64, n_out: int = 10) -> nn.Sequential:
        """The network with its weights drawn from `seed`."""
        torch.manual_seed(seed)
        parts: list[nn.Module] = []
        for i in range(self.depth):
            linear = nn.Linear(self.width if i else n_in, self.width)
            start_(linear, self.init, self.gain, self.bias)
            parts.append(linear)
            if self.norm != "none":
                kind = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}[self.norm]
                parts.append(kind(self.width))
            parts.append(self.activation())
            dropout = self.dropout()
            if not isinstance(dropout, nn.Identity):
                parts.append(dropout)
        head = nn.Linear(self.width, n_out)
        start_(head, self.init, 1.0, 0.0)
        return nn.Sequential(*parts, head)


def start_(linear: nn.Linear, init: str, gain: float, bias: float) -> None:
    """Draw the weights of one layer; "default" with gain 1 and bias 0 leaves torch's."""
    fan_in = linear.weight.shape[1]
    if init == "xavier":
        nn.init.xavier_normal_(linear.weight)
    elif init == "orthogonal":
        nn.init.orthogonal_(linear.weight)
    elif init in ("he", "lecun"):
        nn.init.normal_(linear.weight, std=math.sqrt((2 if init == "he" else 1) / fan_in))
    elif init != "default":
        raise ValueError(f"init {init!r} is none of default, xavier, orthogonal, he, lecun")
    with torch.no_grad():
        linear.weight.mul_(gain)
    if init != "default" or bias:
        nn.init.constant_(linear.bias, bias)


@dataclass(frozen=True, slots=True)
class Sight:
    """What one pass under the tape shows (`evenflow.forecast`, a random cotangent).

    Attributes:
        decades: log10 of rms δ at the first layer with weights over rms δ at the last hidden
            one: below 0 it vanishes on its way back, above 0 it explodes.
        spread: 1 - c at the last hidden activation: 0 where all inputs look alike.
        saturated: share of saturated elements, mean over the activations; NaN where the
            activation has no asymptote.
        first_saturated: the same of the first activation.
        dead: share of units off for the whole batch, mean over the activations.
    """

    decades: float
    spread: float
    saturated: float
    first_saturated: float
    dead: float


def see(model: nn.Module, x: Tensor, kind: str = "affine") -> Sight:
    """Read a model of weights and activations on x [B, n] in training mode."""
    was, state = model.training, {k: v.clone() for k, v in model.state_dict().items()}
    found = measure(model.train(), (x,), {}, accumulate=False)
    model.load_state_dict(state)  # running statistics of a norm
    model.train(was)
    layers = [s.id for s in found.sites if s.kind == kind]
    acts = [s.id for s in found.sites if s.kind == "activation"]

    def taken(metric: str) -> list[float]:
        channels = [Channel("site", i, metric) for i in acts]
        return [found.readings[c] for c in channels if c in found.readings]

    shares = taken("saturated")
    dead, spread = taken("dead"), taken("spread")
    first, last = found.log10_delta[layers[0]], found.log10_delta[layers[-2]]
    return Sight(
        first - last,
        spread[-1] if spread else math.nan,
        mean(shares) if shares else math.nan,
        shares[0] if shares else math.nan,
        mean(dead) if dead else math.nan,
    )


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Share of right answers in evaluation mode; 0 where an output is not finite."""
    model.eval()
    with torch.no_grad():
        out = model(x)
    model.train()
    return float((out.argmax(1) == y).float().mean()) if out.isfinite().all() else 0.0


def train(
    model: nn.Module,
    data: Split,
    epochs: int,
    seed: int,
    rate: float = RATE,
    loss: Callable[[Tensor, Tensor], Tensor] = nn.functional.cross_entropy,
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
    clip: float | None = None,
) -> float:
    """Train with mini-batches of 64 in an order drawn from `seed`; accuracy on held-out data."""
    step = optimizer(model.parameters(), lr=rate)
    torch.set_flush_denormal(True)  # what has vanished is slow to compute with, no more than that
    try:
        for rows in batches(len(data.x), epochs, seed):
            step.zero_grad()
            loss(model(data.x[rows]), data.y[rows]).backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            step.step()
    finally:
        torch.set_flush_denormal(False)
    return accuracy(model, data.x_test, data.y_test)


def batches(n: int, epochs: int, seed: int) -> Iterable[Tensor]:
    """Rows of each full mini-batch, shuffled anew for each epoch."""
    order = torch.Generator().manual_seed(1000 + seed)
    for _ in range(epochs):
        yield from (b for b in torch.randperm(n, generator=order).split(BATCH) if len(b) == BATCH)


def table(sights: list[Sight], *names: str) -> dict[str, list[float]]:
    """The named readings, a number a seed, under the words the tables use."""
    words = {
        "decades": "δ decades",
        "spread": "1−c",
        "saturated": "saturated",
        "first_saturated": "saturated, first layer",
        "dead": "dead units",
    }
    return {words[name]: [getattr(s, name) for s in sights] for name in names}
