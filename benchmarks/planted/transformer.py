"""A transformer whose every part can be miswired: B samples, T places, D width, H heads.

The faults stand in `Wiring`, whose defaults are the sound network. All blocks are wired alike: of
three blocks a middle one that does nothing is made good by the others, and costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DEPTH = 2


@dataclass(frozen=True)
class Wiring:
    """How a network is wired; the defaults are sound. Fields name what may be wrong."""

    scale: float | None = None  # of attention's logits; None: 1/sqrt(D/H)
    mask: str = "sound"
    softmax_dim: int = -1
    score_dropout: float = 0.0  # before the softmax
    tied_heads: bool = False
    cut: str = ""  # what is detached: "q", "k", "v", "attn", "mlp", "block"
    heads_mixed: bool = False  # reshaped without the transpose back
    skip_attn: float = 1.0  # factor of the residual path around attention
    skip_mlp: float = 1.0
    branch: float = 1.0  # factor of both branches
    norm_eps: float = 1e-5
    norm: Callable[[int], nn.Module] | None = None  # in place of LayerNorm
    activation: Callable[[Tensor], Tensor] = F.gelu
    mlp_dropout: float = 0.0
    places: str = "sound"
    pool: str = "mean"
    head_dropout: float = 0.0


class NormOverTime(nn.Module):
    """LayerNorm over the wrong axis: T instead of D."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return (x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-5) * self.gain


class Attention(nn.Module):
    """Self-attention with four projections of its own."""

    def __init__(self, width: int, heads: int, causal: bool, wiring: Wiring) -> None:
        super().__init__()
        self.q, self.k = nn.Linear(width, width), nn.Linear(width, width)
        self.v, self.o = nn.Linear(width, width), nn.Linear(width, width)
        self.heads, self.causal, self.wiring = heads, causal, wiring

    def _hidden(self, length: int) -> Tensor | None:
        """True where a query may not look; [T, T]."""
        ones = torch.ones(length, length, dtype=torch.bool)
        sound = ones.triu(1) if self.causal else ~ones
        kind = self.wiring.mask
        if kind == "zeroed":
            return None
        if kind == "inverted":
            return ones.tril(-1) if self.causal else ones & ~torch.eye(length, dtype=torch.bool)
        if kind == "leaky":  # every fifth future key is open
            return sound & (torch.arange(length) % 5 != 0)
        if kind == "blind":  # half of the keys that should be open are hidden
            return sound | ((torch.arange(length) % 2 == 0) & ~torch.eye(length, dtype=torch.bool))
        if kind == "itself":  # each place sees itself alone
            return ~torch.eye(length, dtype=torch.bool)
        return sound

    def forward(self, x: Tensor) -> Tensor:
        b, t, width = x.shape
        w = self.wiring
        q, k, v = (
            p(x).view(b, t, self.heads, -1).transpose(1, 2) for p in (self.q, self.k, self.v)
        )
        if w.tied_heads:
            q, k, v = (part[:, :1].expand_as(part) for part in (q, k, v))
        q, k, v = (p.detach() if w.cut == n else p for n, p in zip("qkv", (q, k, v), strict=True))
        scale = w.scale if w.scale is not None else (width // self.heads) ** -0.5
        logits = (q @ k.transpose(-2, -1)) * scale
        if w.score_dropout:
            logits = F.dropout(logits, w.score_dropout, self.training)
        hidden = self._hidden(t)
        if hidden is not None:
            logits = logits.masked_fill(hidden, -1e9)
        mixed = logits.softmax(w.softmax_dim) @ v
        if not w.heads_mixed:
            mixed = mixed.transpose(1, 2)
        out: Tensor = self.o(mixed.reshape(b, t, width))
        return out.detach() if w.cut == "attn" else out


class Block(nn.Module):
    """x + attention(norm x), then x + mlp(norm x)."""

    def __init__(self, width: int, heads: int, causal: bool, wiring: Wiring) -> None:
        super().__init__()
        make = wiring.norm or (lambda d: nn.LayerNorm(d, wiring.norm_eps))
        self.norm1, self.norm2 = make(width), make(width)
        self.attn = Attention(width, heads, causal, wiring)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.wiring = wiring

    def forward(self, x: Tensor) -> Tensor:
        w = self.wiring
        if w.cut == "block":
            x = x.detach()
        x = w.skip_attn * x + w.branch * self.attn(self.norm1(x))
        h = w.activation(self.up(self.norm2(x)))
        if w.mlp_dropout:
            h = F.dropout(h, w.mlp_dropout, self.training)
        h = self.down(h)
        return w.skip_mlp * x + w.branch * (h.detach() if w.cut == "mlp" else h)


@dataclass(frozen=True)
class Shape:
    """Of a network."""

    vocabulary: int
    length: int
    classes: int
    causal: bool
    width: int = 32
    heads: int = 4
    wiring: Wiring = field(default_factory=Wiring)


class Transformer(nn.Module):
    """Tokens and places, blocks, and a head at every place (causal) or over their mean."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape, w = shape, shape.wiring
        self.tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.places = nn.Embedding(shape.length + 1, shape.width)
        for table in (self.tokens, self.places):
            nn.init.normal_(table.weight, std=0.3)
        self.blocks = nn.ModuleList(
            Block(shape.width, shape.heads, shape.causal, w) for _ in range(DEPTH)
        )
        self.norm, self.head = nn.LayerNorm(shape.width), nn.Linear(shape.width, shape.classes)

    def forward(self, ids: Tensor) -> Tensor:
        w = self.shape.wiring
        x = self.tokens(ids)
        at = torch.arange(ids.shape[1])
        if w.places == "shifted":  # another start in every batch
            at = (at + torch.randint(ids.shape[1], ())) % ids.shape[1]
        if w.places == "one":
            at = torch.zeros_like(at)
        if w.places != "none":
            x = x + self.places(at)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        if not self.shape.causal:
            x = x.mean(1) if w.pool == "mean" else x[:, -1]
        out: Tensor = self.head(F.dropout(x, w.head_dropout, self.training))
        return out
