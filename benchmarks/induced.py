"""Small networks whose loss is made to spike: by the rate, by rounding, by logits, by the data."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: From here on what spikes the loss grows; a spike must come by the last step.
ONSET, STEPS = 150, 420


class Tiny(nn.Module):
    """One attention over T places and a perceptron, residual, LayerNorm first: a decoder."""

    def __init__(self, vocabulary: int = 12, width: int = 32) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(24, width)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.qk, self.v = nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 64), nn.Linear(64, width)
        self.head = nn.Linear(width, vocabulary)
        self.rounded: Callable[[Tensor], Tensor] = lambda x: x

    def forward(self, ids: Tensor) -> Tensor:
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
        q, k = self.qk(self.norm1(x)).chunk(2, -1)
        x = x + F.scaled_dot_product_attention(q, k, self.v(self.norm1(x)), is_causal=True)
        x = self.rounded(x + self.down(F.gelu(self.up(self.norm2(x)))))
        out: Tensor = self.head(self.norm3(x))
        return out


class Plain(nn.Module):
    """A perceptron on a table of ten columns, four classes."""

    def __init__(self, norm: bool = False) -> None:
        super().__init__()
        self.up, self.mid, self.head = nn.Linear(10, 48), nn.Linear(48, 48), nn.Linear(48, 4)
        self.norm = nn.LayerNorm(48) if norm else nn.Identity()
        self.rounded: Callable[[Tensor], Tensor] = lambda x: x

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(F.relu(self.up(x)))
        out: Tensor = self.head(self.rounded(F.relu(self.mid(h))))
        return out


def words(n: int) -> tuple[Tensor, Tensor]:
    """Each token is the one before it, one or two on as that is even or odd; some are random."""
    x = torch.randint(12, (n, 17))
    for t in range(1, 17):
        told = (x[:, t - 1] + 1 + x[:, t - 1] % 2) % 12
        x[:, t] = torch.where(torch.rand(n) < 0.9, told, x[:, t])
    return x[:, :-1], x[:, 1:]


def rows(n: int) -> tuple[Tensor, Tensor]:
    """Four classes by the signs of two products, one in twenty at random."""
    x = torch.randn(n, 10)
    y = 2 * (x[:, 0] * x[:, 1] > 0).long() + (x[:, 2] * x[:, 3] > 0).long()
    return x, torch.where(torch.rand(n) < 0.05, torch.randint(4, (n,)), y)


@dataclass(frozen=True)
class Kind:
    """One way to a spike, or to none."""

    name: str
    family: str  # rate, precision, logits, data, calm
    net: Callable[[], nn.Module] = Tiny
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.AdamW
    lr: float = 3e-3
    grow: Callable[[int, nn.Module, torch.optim.Optimizer], None] = lambda *_: None
    spoil: Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]] = lambda _, x, y: (x, y)


def ramp(per_step: float) -> Callable[[int, nn.Module, torch.optim.Optimizer], None]:
    """The rate grows by that factor in each step after the onset."""

    def grow(step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        if step >= ONSET:
            for group in optimizer.param_groups:
                group["lr"] *= per_step

    return grow


def swell(names: str, per_step: float) -> Callable[[int, nn.Module, torch.optim.Optimizer], None]:
    """Weights grow by that factor in each step after the onset."""

    def grow(step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        if step >= ONSET:
            with torch.no_grad():
                for name, p in model.named_parameters():
                    if re.search(names, name):
                        p.mul_(per_step)

    return grow


def rounding(least: float) -> Callable[[int, nn.Module, torch.optim.Optimizer], None]:
    """The hidden state is kept to ever fewer steps of a fixed grid, as a too small format does."""

    def grow(step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        grid = least * 1.04 ** max(0, step - ONSET)
        if step >= ONSET:
            model.rounded = lambda x: x + ((x / grid).round() * grid - x).detach()

    return grow


def overflow(largest: float) -> Callable[[int, nn.Module, torch.optim.Optimizer], None]:
    """The hidden state wraps to zero past a limit that falls, as a small format's range does."""

    def grow(step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        limit = largest * 0.97 ** max(0, step - ONSET)
        if step >= ONSET:
            model.rounded = lambda x: x * (x.abs() < limit)

    return grow


def warm_up(until: int) -> Callable[[int, nn.Module, torch.optim.Optimizer], None]:
    """The rate rises from next to nothing to its own, as it should."""

    def grow(step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        for group in optimizer.param_groups:
            full = group.setdefault("full", group["lr"])
            group["lr"] = full * min(1.0, (step + 1) / until)

    return grow


def second_moment(step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Adam's squares fade faster than they are refilled, as rounded ones do in 8 bits."""
    if step >= ONSET:
        for state in optimizer.state.values():
            state["exp_avg_sq"].mul_(0.8)


def bad_labels(step: int, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Two batches with other labels."""
    return (x, (y + 1) % (int(y.max()) + 1)) if 300 <= step < 302 else (x, y)


def bad_inputs(step: int, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Two batches of huge inputs."""
    return (x * 50, y) if 300 <= step < 302 else (x, y)


def bad_tokens(step: int, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Three batches of noise."""
    return (x, torch.randint_like(y, int(y.max()) + 1)) if 300 <= step < 303 else (x, y)


def _calm(name: str, net: Callable[[], nn.Module], make: object, lr: float) -> Kind:
    return Kind(name, "calm", net, make, lr)  # type: ignore[arg-type]


def normed() -> nn.Module:
    """A perceptron with a LayerNorm."""
    return Plain(True)


def momentum(params: object, lr: float) -> torch.optim.Optimizer:
    """SGD with momentum .9."""
    return torch.optim.SGD(params, lr=lr, momentum=0.9)  # type: ignore[arg-type]


SGD, ADAM = torch.optim.SGD, torch.optim.AdamW
KINDS: tuple[Kind, ...] = (
    Kind("ramp-adam", "rate", grow=ramp(1.03)),
    Kind("ramp-adam-slow", "rate", grow=ramp(1.02)),
    Kind("ramp-sgd", "rate", Plain, SGD, 0.1, ramp(1.03)),
    Kind("ramp-momentum", "rate", normed, momentum, 0.02, ramp(1.03)),
    Kind("ramp-rows", "rate", Plain, ADAM, 3e-3, ramp(1.04)),
    Kind("grid", "precision", grow=rounding(0.1)),
    Kind("grid-rows", "precision", Plain, ADAM, 3e-3, rounding(0.1)),
    Kind("range", "precision", grow=overflow(20.0)),
    Kind("range-rows", "precision", Plain, ADAM, 3e-3, overflow(20.0)),
    Kind("squares-fade", "precision", grow=second_moment),
    Kind("attention-logits", "logits", grow=swell("qk|v", 1.05)),
    Kind("head-logits", "logits", grow=swell("head", 1.05)),
    Kind("residual", "logits", grow=swell("down|v", 1.06)),
    Kind("hidden-rows", "logits", Plain, ADAM, 3e-3, swell("mid|head", 1.03)),
    Kind("bad-labels", "data", spoil=bad_labels),
    Kind("bad-inputs", "data", Plain, ADAM, 3e-3, spoil=bad_inputs),
    Kind("bad-tokens", "data", spoil=bad_tokens),
    _calm("calm-adam", Tiny, ADAM, 3e-3),
    _calm("calm-adam-fast", Tiny, ADAM, 1e-2),
    _calm("calm-adam-slow", Tiny, ADAM, 1e-3),
    _calm("calm-sgd-words", Tiny, momentum, 0.1),
    _calm("calm-rows", Plain, ADAM, 3e-3),
    _calm("calm-rows-fast", Plain, ADAM, 1e-2),
    _calm("calm-sgd", Plain, SGD, 0.1),
    _calm("calm-momentum", Plain, momentum, 0.05),
    _calm("calm-normed", normed, ADAM, 3e-3),
    _calm("calm-normed-sgd", normed, momentum, 0.05),
    Kind("calm-warm-up", "calm", grow=warm_up(300)),
    Kind("calm-warm-up-rows", "calm", Plain, SGD, 0.2, warm_up(250)),
)
