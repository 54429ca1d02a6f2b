"""Character-level transformer decoders on Python's licence text (report half)."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .case import Case, healthy, sick
from .data import text
from .loop import Loss, apart, fit_text, seed_all, text_score, windows, written_score

WIDTH, HEADS = 32, 2


class CausalBlock(nn.Module):
    """Masked self-attention and a GELU perceptron, LayerNorm before each."""

    causal = True

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.proj = nn.Linear(WIDTH, WIDTH)
        self.up = nn.Linear(WIDTH, 4 * WIDTH)
        self.down = nn.Linear(4 * WIDTH, WIDTH)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        b, t, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        mixed = self.mix(q, k, v).transpose(1, 2).reshape(b, t, WIDTH)
        x = x + self.drop(self.proj(mixed))
        out: Tensor = x + self.drop(self.down(F.gelu(self.up(self.norm2(x)))))
        return out

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """What each place takes of the others; all are [B, HEADS, T, D]."""
        return F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)


def plain_block() -> nn.Module:
    """Without dropout."""
    return CausalBlock(0.0)


class OpenBlock(CausalBlock):
    """The mask is forgotten: each character sees the next."""

    causal = False


class MaskedBlock(CausalBlock):
    """The same with attention by hand; `strict` masks the diagonal too: row 0 sees nothing."""

    def __init__(self, dropout: float, strict: bool) -> None:
        super().__init__(dropout)
        self.strict = strict

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        t = q.shape[-2]
        hidden = torch.ones(t, t, dtype=torch.bool).triu(0 if self.strict else 1)
        scores = (q @ k.transpose(-2, -1)) / math.sqrt(WIDTH // HEADS)
        return scores.masked_fill(hidden, -torch.inf).softmax(-1) @ v


class NormedBlock(CausalBlock):
    """Queries and keys are normalised head by head before their scores."""

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k = (F.rms_norm(part, part.shape[-1:]) for part in (q, k))
        return super().mix(q, k, v)


class TinyGPT(nn.Module):
    """Token and place embeddings, causal blocks, LayerNorm, head."""

    def __init__(
        self,
        size: int,
        depth: int = 2,
        block: Callable[[], nn.Module] = plain_block,
        width: int = WIDTH,
    ) -> None:
        super().__init__()
        self.tokens = nn.Embedding(size, width)
        self.places = nn.Embedding(64, width)
        self.blocks = nn.ModuleList(block() for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, size)
        for e in (self.tokens, self.places):
            nn.init.normal_(e.weight, std=0.1)

    def forward(self, chars: Tensor) -> Tensor:
        x = self.tokens(chars) + self.places(torch.arange(chars.shape[1]))
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.head(self.norm(x))
        return out


def train(
    seed: int,
    *,
    depth: int = 2,
    block: Callable[[], nn.Module] = plain_block,
    sharpness: float = 1.0,
    optimizer: str = "AdamW",
    lr: float = 3e-3,
    decay: float = 1.0,
    warm: int = 0,
    steps: int = 150,
    clip: float | None = 1.0,
    loss: Loss = F.cross_entropy,
    forgotten: str = "",
    attend: float = 1.0,
    spike: float = 0.0,
) -> float:
    """A character model; minus the held-out loss.

    `sharpness` multiplies query and key weights at the start; `decay` the rate at every step;
    parameters whose names begin with `forgotten` are not given to the optimizer; `attend`
    multiplies the rate of the queries, keys and values; `spike` is added to one coordinate of every
    place.
    """
    seed_all(seed)
    data = text()
    model = TinyGPT(data.size, depth, block)
    with torch.no_grad():
        for b in model.blocks:
            assert isinstance(b, CausalBlock)
            query_and_key = torch.tensor([sharpness, sharpness, 1.0]).repeat_interleave(WIDTH)
            b.qkv.weight.mul_(query_and_key[:, None])
        if spike:
            model.places.weight[:, 5] += spike
    named = {
        n: p for n, p in model.named_parameters() if not (forgotten and n.startswith(forgotten))
    }
    opt = getattr(torch.optim, optimizer)(apart(named, "qkv", lr, attend), lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        opt, lambda i: min(1.0, (i + 1) / (warm + 1)) * decay**i
    )
    fit_text(model, opt, data, steps=steps, clip=clip, schedule=schedule, loss=loss)
    return text_score(model, data)


def train_writer(seed: int, *, block: type[CausalBlock], steps: int = 150) -> float:
    """A character model; minus the held-out loss of the next character, as it writes."""
    seed_all(seed)
    data = text()
    model = TinyGPT(data.size, 2, partial(block, 0.0))
    fit_text(model, torch.optim.AdamW(model.parameters(), 3e-3), data, steps=steps, clip=1.0)
    return written_score(model, data)


def train_half(seed: int, *, scaler: bool, steps: int = 150) -> float:
    """Autocast to float16, with or without a GradScaler; minus the held-out loss.

    The loss is one of many terms (weight 1e-3): a mean over 16 x 32 characters leaves layer
    errors below float16's smallest numbers.
    """
    seed_all(seed)
    data = text()
    model = TinyGPT(data.size)
    opt = torch.optim.AdamW(model.parameters(), 3e-3)
    scale = torch.amp.GradScaler("cpu", enabled=scaler)
    for chars in windows(data, 32, 16, steps):
        opt.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            out = model(chars[:, :-1])
            loss = 1e-4 * F.cross_entropy(out.flatten(0, 1), chars[:, 1:].flatten())
        scale.scale(loss).backward()  # type: ignore[no-untyped-call]
        scale.step(opt)
        scale.update()
    return text_score(model, data)


def softmax_then_nll(out: Tensor, y: Tensor) -> Tensor:
    """The mistake: nll_loss wants log-probabilities, and gets probabilities."""
    return F.nll_loss(out.softmax(-1), y)


_BLOCKS = r"TinyGPT\.blocks"
_sick, _healthy = partial(sick, "decoder"), partial(healthy, "decoder")

CASES: tuple[Case, ...] = (
    _sick(
        "sharp",
        "query and key weights 30 times too large: every query looks at one key",
        partial(train, sharpness=30.0),
        -2.4,
        twin="plain",
        expect="204",
        allow="101 102 302 401 402 403 703",
        where=_BLOCKS,
    ),
    _sick(
        "no-mask",
        "the causal mask is forgotten: each character sees the one it is to predict",
        partial(train_writer, block=OpenBlock),
        -3.0,
        twin="writer",
        expect="809",
        allow="",
        where="scaled_dot_product_attention",
    ),
    _healthy(
        "writer", "two masked blocks, as they write", partial(train_writer, block=CausalBlock), -2.8
    ),
    _healthy("plain", "two blocks, AdamW, clipping", partial(train), -2.6),
    _sick(
        "scores-grow",
        "attention by hand, its layers in a group of their own at 30 times the rate",
        partial(train, block=partial(MaskedBlock, 0.0, False), attend=30.0, steps=200),
        -2.3,
        twin="normed",
        expect="208",
        allow="101 102 201 204 206 302 401 402 403 703",
        where=_BLOCKS,
    ),
    _sick(
        "huge-coordinate",
        "one coordinate of every place's embedding starts at 5000: norms divide all else by it",
        partial(train, spike=5000.0),
        -2.35,
        twin="plain",
        expect="209",
        allow="101 201 205 206 301 401 404",
        where="add",
    ),
    _healthy(
        "normed",
        "queries and keys normalised, the same rates",
        partial(train, block=partial(NormedBlock, 0.0), attend=30.0, steps=200),
        -2.6,
    ),
    _sick(
        "mask",
        "the mask hides the diagonal too: the first row's softmax is 0 / 0",
        partial(train, block=partial(MaskedBlock, 0.0, True)),
        -5.0,
        twin="by-hand",
        expect="103",
        allow="401 402 204",
        where=r"softmax|masked_fill",
    ),
    _healthy(
        "by-hand",
        "attention written by hand",
        partial(train, block=partial(MaskedBlock, 0.0, False)),
        -2.6,
    ),
    _sick(
        "half",
        "float16 without a GradScaler, loss weighted by 1e-4",
        partial(train_half, scaler=False),
        -2.6,
        twin="half-scaled",
        expect="105",
        allow="101 104 301 401 404",
    ),
    _healthy("half-scaled", "float16 with a GradScaler", partial(train_half, scaler=True), -2.6),
    _sick(
        "forgotten-head",
        "the head was replaced after the optimizer had been made",
        partial(train, forgotten="head", depth=4),
        -2.3,
        twin="deep",
        expect="704",
        allow="301 401 404",
        where="head",
    ),
    _healthy("deep", "four blocks, warm-up", partial(train, depth=4, warm=15), -2.6),
    _sick(
        "rate",
        "Adam with a rate of .5, no clipping",
        partial(train, optimizer="Adam", lr=0.5, clip=None),
        -2.9,
        twin="adam",
        expect="302 703",
        allow="101 102 104 201 202 204 205 206 401 402 403",
    ),
    _healthy("adam", "Adam, no clipping", partial(train, optimizer="Adam", clip=None), -2.6),
    _sick(
        "rate-decay",
        "the rate decays by .8 at every batch instead of every epoch",
        partial(train, decay=0.8),
        -2.7,
        twin="plain",
        expect="401",
        allow="404 301",
    ),
    _sick(
        "probabilities-as-logs",
        "softmax before nll_loss",
        partial(train, loss=softmax_then_nll),
        -2.7,
        twin="plain",
        expect="701",
        allow="401 404 102 206 204",
        where=r"nll_loss|softmax|head",
    ),
    _healthy(
        "dropout",
        "dropout, warm-up",
        partial(train, block=partial(CausalBlock, 0.1), warm=15),
        -2.7,
    ),
    _healthy("momentum-free", "RMSprop", partial(train, optimizer="RMSprop", lr=1e-3), -2.7),
)
