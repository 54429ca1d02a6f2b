"""The book of real trainings: what each must be told, and how it is recorded."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.schema import Run

Train = Callable[[bool], Any]


@dataclass(frozen=True)
class Entry:
    """One training, sick (`train(True)`) and healthy (`train(False)`).

    Attributes:
        code: of the finding that the sick one must have and its twin must not have as more than
            info; "" where both are trained for what is *not* said of them.
        severity, cause: of that finding as its rule yields it, before causes are linked; "" = any.
        how: options of the watch.
        foreseen: `train` returns a network and its input, or a forecast, for a preflight.
    """

    name: str
    code: str
    train: Train
    severity: str = ""
    cause: str | None = None
    how: Mapping[str, Any] = field(default_factory=dict)
    foreseen: bool = False

    @property
    def part(self) -> str:
        """The file that has it."""
        return self.train.__module__.split(".")[-1]

    def record(self, sick: bool, path: Path) -> Run:
        """Train under a watch, or foresee; the same at every call."""
        torch.manual_seed(0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if self.foreseen:
                made = self.train(sick)
                kept = made if not isinstance(made, tuple) else foresee(*made)
                return kept.run
            with evenflow.watch(run=path, **{"every": "auto", **self.how}) as watch:
                try:
                    self.train(sick)
                except evenflow.NonFiniteError:
                    pass
        return evenflow.load(watch.path)


BOOK: dict[str, Entry] = {}


def foresee(net: nn.Module, x: Any, **how: Any) -> Any:
    """What is foreseen of a network, without the advice that would try other starts."""
    return evenflow.preflight(net, x, advise=False, **how)


def real(
    code: str = "", severity: str = "", cause: str | None = None, **how: Any
) -> Callable[[Train], Train]:
    """Write a training into the book."""

    def enter(train: Train) -> Train:
        name = train.__name__
        assert name not in BOOK, name
        BOOK[name] = Entry(name, code, train, severity, cause, how)
        return train

    return enter


def birth(code: str = "", severity: str = "", cause: str | None = None) -> Callable[[Train], Train]:
    """Write a network at birth into the book."""

    def enter(train: Train) -> Train:
        name = train.__name__
        assert name not in BOOK, name
        BOOK[name] = Entry(name, code, train, severity, cause, {}, foreseen=True)
        return train

    return enter


# --- what the trainings are made of ---------------------------------------------------------------


def mlp(
    *widths: int, act: Callable[[], nn.Module] = nn.Tanh, gain: float = 1.0, end: Any = None
) -> nn.Sequential:
    """Layers of these widths; all weights times `gain`."""
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b), act()]
    net = nn.Sequential(*layers[:-1], *([end] if end is not None else []))
    with torch.no_grad():
        for m in net.modules():
            if isinstance(m, nn.Linear):
                m.weight.mul_(gain)
    return net


def regression(n: int = 32) -> tuple[Tensor, Tensor]:
    """x [n, 4] and y [n, 1], a smooth function of it."""
    x = torch.randn(n, 4)
    return x, (x[:, :1] - x[:, 1:2] * x[:, 2:3]) / 2


def classes(n: int = 32) -> tuple[Tensor, Tensor]:
    """x [n, 8] and which of its first four is largest."""
    x = torch.randn(n, 8)
    return x, x[:, :4].argmax(1)


def step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """One update."""
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def adam(net: nn.Module | Iterable[Any], rate: float = 1e-2, **more: Any) -> torch.optim.Optimizer:
    """Adam over a network, or over these parameters."""
    params = net.parameters() if isinstance(net, nn.Module) else net
    return torch.optim.Adam(params, rate, **more)


def sgd(net: nn.Module, rate: float = 1e-1, **more: Any) -> torch.optim.Optimizer:
    """Gradient descent over a network."""
    return torch.optim.SGD(net.parameters(), rate, **more)


def fit(
    net: nn.Module,
    batch: Callable[[], tuple[Tensor, Tensor]],
    loss: Callable[[Tensor, Tensor], Tensor] = F.mse_loss,
    optimizer: torch.optim.Optimizer | None = None,
    steps: int = 60,
    after: Callable[[int], Any] = lambda i: None,
) -> None:
    """The plain loop."""
    optimizer = optimizer or adam(net)
    for i in range(steps):
        x, y = batch()
        step(optimizer, loss(net(x), y))
        after(i)
