"""Transformer encoders that read a digit as eight rows (calibration half)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, healthy, sick
from .data import digits
from .loop import accuracy, apart, fit, seed_all

WIDTH = 32


class Block(nn.Module):
    """x + attention(x), then x + mlp(x), each with a LayerNorm before it or none at all."""

    def __init__(self, norm: bool, scale: float) -> None:
        super().__init__()
        make: Callable[[], nn.Module] = partial(nn.LayerNorm, WIDTH) if norm else nn.Identity
        self.norm1, self.norm2 = make(), make()
        self.attn = nn.MultiheadAttention(WIDTH, 4, batch_first=True)
        self.up = nn.Linear(WIDTH, 2 * WIDTH)
        self.down = nn.Linear(2 * WIDTH, WIDTH)
        with torch.no_grad():
            for w in (self.attn.out_proj.weight, self.up.weight, self.down.weight):
                w.mul_(scale)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm1(x)
        x = x + self.attn(h, h, h, need_weights=False)[0]
        out: Tensor = x + self.down(F.gelu(self.up(self.norm2(x))))
        return out


class RowTransformer(nn.Module):
    """Rows are embedded, a stack of blocks mixes them, their mean is classified."""

    def __init__(self, depth: int, norm: bool = True, scale: float = 1.0) -> None:
        super().__init__()
        self.embed = nn.Linear(8, WIDTH)
        self.place = nn.Parameter(0.1 * torch.randn(8, WIDTH))
        self.blocks = nn.Sequential(*(Block(norm, scale) for _ in range(depth)))
        self.norm = nn.LayerNorm(WIDTH) if norm else nn.Identity()
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x.view(len(x), 8, 8)) + self.place
        out: Tensor = self.head(self.norm(self.blocks(tokens)).mean(1))
        return out


class StockEncoder(nn.Module):
    """torch's own `nn.TransformerEncoder` between an embedding and a head over all rows."""

    def __init__(self, norm_first: bool, dropout: float) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            WIDTH, 4, 64, dropout, batch_first=True, norm_first=norm_first
        )
        self.embed = nn.Linear(8, WIDTH)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8 * WIDTH, 10)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.encoder(self.embed(x.view(len(x), 8, 8))).flatten(1))
        return out


class RowPool(nn.Module):
    """Where the rows stand is pooled, each weighed by what is in it: a softmax along `dim`."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.embed, self.score = nn.Linear(8, WIDTH), nn.Linear(WIDTH, 1)
        self.place = nn.Parameter(torch.randn(8, WIDTH))
        self.head, self.dim = nn.Linear(WIDTH, 10), dim

    def forward(self, x: Tensor) -> Tensor:
        h = F.gelu(self.embed(x.view(len(x), 8, 8)) + self.place)
        w = F.softmax(self.score(h), self.dim)
        out: Tensor = self.head(F.gelu((w * self.place).sum(1)))
        return out


def train(
    seed: int,
    *,
    depth: int = 2,
    norm: bool = True,
    scale: float = 1.0,
    sharpness: float = 1.0,
    lr: float = 2e-3,
    decay: float = 1.0,
    steps: int = 150,
    clip: float | None = None,
    held: str = "",
    attend: float = 1.0,
    spike: float = 0.0,
) -> float:
    """A row transformer on digits; held-out accuracy.

    `sharpness` multiplies the query and key weights at the start, `decay` the rate at every
    step; parameters whose names begin with `held` are forgotten when the optimizer is made, and
    `attend` multiplies the rate of the queries, keys and values; `spike` is what one bias of the
    first block starts at.
    """
    seed_all(seed)
    data = digits()
    model = RowTransformer(depth, norm, scale)
    with torch.no_grad():
        for block in model.blocks:
            assert isinstance(block, Block)
            query_and_key = torch.tensor([sharpness, sharpness, 1.0]).repeat_interleave(WIDTH)
            block.attn.in_proj_weight.mul_(query_and_key[:, None])
            if spike and block is model.blocks[0]:
                block.down.bias[5] = spike
    named = {n: p for n, p in model.named_parameters() if not held or not n.startswith(held)}
    opt = torch.optim.Adam(apart(named, "in_proj", lr, attend), lr)
    schedule = torch.optim.lr_scheduler.ExponentialLR(opt, decay)
    fit(model, opt, data, steps=steps, clip=clip, schedule=schedule)
    return accuracy(model, data.x_test, data.y_test)


def train_stock(
    seed: int, *, norm_first: bool = True, dropout: float = 0.0, warm: int = 0, steps: int = 150
) -> float:
    """torch's own encoder on digits, AdamW, with `warm` steps of warm-up; held-out accuracy."""
    seed_all(seed)
    data = digits()
    model = StockEncoder(norm_first, dropout)
    opt = torch.optim.AdamW(model.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(opt, lambda i: min(1.0, (i + 1) / (warm + 1)))
    fit(model, opt, data, steps=steps, clip=1.0, schedule=schedule)
    return accuracy(model, data.x_test, data.y_test)


def train_pool(seed: int, *, dim: int = 1, steps: int = 150) -> float:
    """Pooling by attention on digits; held-out accuracy, a sample at a time."""
    seed_all(seed)
    data = digits()
    model = RowPool(dim)
    fit(model, torch.optim.Adam(model.parameters(), 5e-3), data, steps=steps)
    return accuracy(model, data.x_test, data.y_test)


_BLOCKS = r"RowTransformer\.blocks"
_sick, _healthy = partial(sick, "encoder"), partial(healthy, "encoder")

CASES: tuple[Case, ...] = (
    _sick(
        "sharp",
        "query and key weights 30 times too large: every query looks at one key",
        partial(train, sharpness=30.0),
        0.9,
        twin="plain",
        expect="204",
        allow="101 102 201 302 703 402 403 401",
        where=r"attn",
    ),
    _healthy("plain", "two blocks, LayerNorm first, Adam", partial(train), 0.9),
    _sick(
        "scores-grow",
        "queries and keys in a group of their own, at 30 times the rate",
        partial(train, attend=30.0),
        0.92,
        twin="plain",
        expect="208",
        allow="101 102 201 204 302 703 402 403 401",
        where=r"attn",
    ),
    _sick(
        "huge-coordinate",
        "one bias of the first block starts at 50000: norms divide all else by it",
        partial(train, spike=50000.0, depth=4),
        0.9,
        twin="four",
        expect="209",
        allow="101 201 205 206 301 401 404",
        where=_BLOCKS,
    ),
    _healthy(
        "attends-faster",
        "queries and keys in a group of their own, at 4 times the rate",
        partial(train, attend=4.0),
        0.88,
    ),
    _sick(
        "no-norm",
        "eight blocks without LayerNorm, branch weights 4 times too large",
        partial(train, depth=8, norm=False, scale=4.0, steps=100),
        0.8,
        twin="deep",
        expect="206",
        allow="102 204 201 202 205 302 402 403 703 103 401",
        where=_BLOCKS,
    ),
    _healthy("deep", "eight blocks, LayerNorm first", partial(train, depth=8, steps=100), 0.85),
    _sick(
        "rate",
        "Adam with a rate of .3",
        partial(train, lr=0.3),
        0.6,
        twin="plain",
        expect="302 703",
        allow="101 102 104 201 202 204 205 206 402 403 401 404",
    ),
    _sick(
        "rate-decay",
        "the rate decays by .8 at every batch instead of every epoch",
        partial(train, decay=0.8),
        0.7,
        twin="plain",
        expect="401",
        allow="404 301",
    ),
    _sick(
        "forgotten-blocks",
        "the optimizer was given the embedding and the head, not the blocks",
        partial(train, held="blocks", depth=4),
        0.9,
        twin="four",
        expect="704",
        allow="301 401 404",
        where=_BLOCKS,
    ),
    _healthy("four", "four blocks, gradients clipped", partial(train, depth=4, clip=1.0), 0.9),
    _sick(
        "softmax-of-one",
        "the softmax of scores [N, T, 1] goes along the last axis: every weight is 1",
        partial(train_pool, dim=-1),
        0.4,
        twin="pool",
        expect="804",
        allow="104 205 301 401 404",
        where="softmax",
    ),
    _sick(
        "softmax-of-samples",
        "the softmax of scores [N, T, 1] goes along the samples of the batch",
        partial(train_pool, dim=0),
        0.4,
        twin="pool",
        expect="804",
        allow="205 301 401 404",
        where="softmax",
    ),
    _healthy("pool", "pooling by attention", partial(train_pool), 0.55),
    _healthy("stock", "nn.TransformerEncoder, norm first, AdamW", partial(train_stock), 0.9),
    _healthy(
        "stock-warm",
        "nn.TransformerEncoder, norm last, dropout, AdamW with warm-up",
        partial(train_stock, norm_first=False, dropout=0.1, warm=20),
        0.9,
    ),
)
