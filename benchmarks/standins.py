"""Stand-ins for kinds of training that only the report half has: decoders and small regressions.

Other data and other shapes than the zoo's own, so that the search may be looked at on them
(`cure.py --half stand-in`, docs/decisions.md, 50).
"""

from __future__ import annotations

import importlib
from functools import cache, partial
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.case import Case
from zoo.data import Split, Text, characters, split, standard_targets, standardised
from zoo.decoder import TinyGPT
from zoo.loop import fit, fit_text, r2, seed_all, text_score

WIDTH, HEADS = 48, 3


@cache
def topics() -> Text:
    """The first 16,000 characters of Python's help topics."""
    found: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    return characters(" ".join(found[k] for k in sorted(found))[:16000])


@cache
def table(name: str, scaled: bool) -> Split:
    """Wine: alcohol by 12 others; cancer: the worst symmetry by ten means. Targets standardised."""
    datasets: Any = importlib.import_module("sklearn.datasets")
    data, _ = getattr(datasets, f"load_{name}")(return_X_y=True)
    x, y = (data[:, 1:], data[:, :1]) if name == "wine" else (data[:, :10], data[:, 28:29])
    d = standard_targets(split(x, y, torch.float32))
    return standardised(d) if scaled else d


class Block(nn.Module):
    """Masked self-attention with layers of their own for queries, keys and values; ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.up, self.down = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(3 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        b, t, _ = x.shape
        h = self.norm1(x)
        q, k, v = (m(h).view(b, t, HEADS, -1).transpose(1, 2) for m in (self.q, self.k, self.v))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(b, t, WIDTH))
        found: Tensor = x + self.down(F.relu(self.up(self.norm2(x))))
        return found


def read(
    seed: int,
    *,
    sharpness: float = 1.0,
    lr: float = 3e-3,
    optimizer: str = "AdamW",
    clip: float | None = 1.0,
) -> float:
    """A character model; minus the held-out loss."""
    seed_all(seed)
    data = topics()
    model = TinyGPT(data.size, block=Block, width=WIDTH)
    with torch.no_grad():
        for block in model.blocks:
            assert isinstance(block, Block)
            block.q.weight.mul_(sharpness)
            block.k.weight.mul_(sharpness)
    opt = getattr(torch.optim, optimizer)(model.parameters(), lr)
    fit_text(model, opt, data, steps=150, clip=clip)
    return text_score(model, data)


def regress(seed: int, *, name: str, scaled: bool = True, lr: float = 0.02) -> float:
    """Two hidden layers of 24 ReLU units, plain SGD; held-out R2."""
    seed_all(seed)
    d = table(name, scaled)
    sizes = (d.x.shape[1], 24, 24)
    layers = [m for i, o in pairwise(sizes) for m in (nn.Linear(i, o), nn.ReLU())]
    model = nn.Sequential(*layers, nn.Linear(24, 1))
    fit(model, torch.optim.SGD(model.parameters(), lr), d, steps=150, size=32, loss=F.mse_loss)
    return r2(model, d.x_test, d.y_test)


def _case(name: str, about: str, train: Any, twin: str = "") -> Case:
    return Case(f"standin-{name}", "stand-in", about, train, 0.0, twin=twin and f"standin-{twin}")


_CASES = [
    _case("decoder", "AdamW, clipping", read),
    _case("decoder-adam", "Adam, no clipping", partial(read, optimizer="Adam", clip=None)),
    _case("decoder-sharp", "query and key weights 30 times too large",
          partial(read, sharpness=30.0), "decoder"),
    _case("decoder-rate", "Adam with a rate of .5, no clipping",
          partial(read, optimizer="Adam", lr=0.5, clip=None), "decoder-adam"),
]  # fmt: skip
for _name in ("wine", "breast_cancer"):
    _CASES += [
        _case(_name, "standardised, plain SGD", partial(regress, name=_name)),
        _case(f"{_name}-raw", "inputs as they come", partial(regress, name=_name, scaled=False),
              _name),
        _case(f"{_name}-diverges", "SGD with a rate of 1", partial(regress, name=_name, lr=1.0),
              _name),
    ]  # fmt: skip
CASES = {c.name: c for c in _CASES}


def load() -> None:
    """Everything that trainings read, once, before a process forks."""
    topics()
    for name in ("wine", "breast_cancer"):
        table(name, True), table(name, False)
