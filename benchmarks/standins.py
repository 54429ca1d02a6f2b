"""Stand-ins for kinds of training that only the report half has: decoders and small regressions.

Other data and other shapes than the zoo's own, so that the search may be looked at on them
(`cure.py --half stand-in`, docs/decisions.md, 50).
"""

from __future__ import annotations

import importlib
from functools import cache, partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evenflow.zoo.case import Case
from evenflow.zoo.data import Split, Text, standardised
from evenflow.zoo.loop import fit, fit_text, r2, seed_all, text_score

WIDTH, HEADS = 48, 3
LETTERS = "abcdefghijklmnopqrstuvwxyz ,.()-"


@cache
def topics() -> Text:
    """Python's help topics in lower case, rare characters as one; the last fifth is held out."""
    found: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    raw = " ".join(" ".join(found[k] for k in sorted(found))[:16000].lower().split())
    alphabet = sorted({*LETTERS, "\0"})
    index = {c: i for i, c in enumerate(alphabet)}
    ids = torch.tensor([index.get(c, 0) for c in raw])
    cut = len(ids) * 4 // 5
    return Text(ids[:cut], ids[cut:], len(alphabet))


@cache
def table(name: str, scaled: bool) -> Split:
    """Wine: alcohol by 12 others; cancer: the worst symmetry by ten means. Targets standardised."""
    datasets: Any = importlib.import_module("sklearn.datasets")
    data, _ = getattr(datasets, f"load_{name}")(return_X_y=True)
    x, y = (data[:, 1:], data[:, 0]) if name == "wine" else (data[:, :10], data[:, 28])
    order = np.random.RandomState(0).permutation(len(x))
    held = torch.arange(len(x)) % 4 == 3
    xs, ys = torch.tensor(x, dtype=torch.float32)[order], torch.tensor(y)[order, None].float()
    mean, std = ys[~held].mean(), ys[~held].std()
    ys = (ys - mean) / std
    d = Split(xs[~held], ys[~held], xs[held], ys[held])
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


class Decoder(nn.Module):
    """Embeddings, two blocks, LayerNorm, head."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(size, WIDTH), nn.Embedding(64, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(2))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, size)
        for e in (self.tokens, self.places):
            nn.init.normal_(e.weight, std=0.1)

    def forward(self, chars: Tensor) -> Tensor:
        x = self.tokens(chars) + self.places(torch.arange(chars.shape[1]))
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.head(self.norm(x))
        return out


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
    model = Decoder(data.size)
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
