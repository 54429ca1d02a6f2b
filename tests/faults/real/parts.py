"""Attention, experts and latents: EF207, EF208, EF209, EF211."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .book import adam, classes, fit, real, step
from .layers import sequences


class Attends(nn.Module):
    """Attention over a sequence, by torch's function or by hand with dropout."""

    def __init__(self, by_hand: bool) -> None:
        super().__init__()
        self.embed, self.qkv, self.head = nn.Linear(4, 32), nn.Linear(32, 96), nn.Linear(32, 4)
        self.by_hand = by_hand

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x)
        q, k, v = self.qkv(h).chunk(3, -1)
        if self.by_hand:
            p = F.dropout((q @ k.transpose(-2, -1) / 32**0.5).softmax(-1), 0.1)
            return self.head((h + p @ v).mean(1))
        return self.head((h + F.scaled_dot_product_attention(q, k, v)).mean(1))


def _attends(sick: bool, by_hand: bool) -> None:
    net = Attends(by_hand)
    others = [*net.embed.parameters(), *net.head.parameters()]
    rate = 0.1 if sick else 1e-3
    groups = [{"params": others}, {"params": net.qkv.parameters(), "lr": rate}]
    fit(net, sequences, F.cross_entropy, adam(groups, 1e-3), steps=260)


@real("EF208", "warning", "")
def scores_that_grow(sick: bool) -> None:
    _attends(sick, False)


@real("EF208", "warning", "")
def scores_by_hand_that_grow(sick: bool) -> None:
    _attends(sick, True)


class Experts(nn.Module):
    """One expert of several works on each sample."""

    def __init__(
        self, slants: int, experts: int = 4, by: float = 12.0, gated: bool = False
    ) -> None:
        super().__init__()
        self.gated = gated
        self.embed, self.router = nn.Linear(8, 16), nn.Linear(16, experts)
        self.experts = nn.ModuleList(nn.Linear(16, 16) for _ in range(experts))
        self.head = nn.Linear(16, 4)
        with torch.no_grad():
            self.router.bias[:slants] += by

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x)
        y = torch.stack([e(h) for e in self.experts], 1)
        if self.gated:  # by sigmoids, and mixed by a product of matrices
            p = self.router(h).sigmoid()
            mask = torch.zeros_like(p).scatter(1, p.topk(1, -1).indices, 1.0)
            return self.head(h + torch.einsum("be,bed->bd", mask * p, y))
        weight, index = self.router(h).softmax(-1).max(-1)
        return self.head(h + weight[:, None] * y[torch.arange(len(x)), index])


def many() -> tuple[Tensor, Tensor]:
    return classes(128)


@real("EF211", "", "")
def a_router_with_a_favourite(sick: bool) -> None:
    fit(Experts(int(sick)), many, F.cross_entropy)


@real("EF211", "", "")
def a_router_with_three_favourites(sick: bool) -> None:
    fit(Experts(3 if sick else 16, 16), many, F.cross_entropy)


@real("EF211", "", "")
def a_router_by_sigmoids_with_a_favourite(sick: bool) -> None:
    fit(Experts(int(sick), by=4.0, gated=True), many, F.cross_entropy)


@real("EF211", "error", "")
def a_favourite_in_a_net_that_learns_nothing(sick: bool) -> None:
    def batch() -> tuple[Tensor, Tensor]:
        x, y = many()
        return x, y[torch.randperm(len(y))] if sick else y

    fit(Experts(int(sick)), batch, F.cross_entropy)


@real("EF211", "", "identical-rows")
def a_router_whose_rows_are_alike(sick: bool) -> None:
    net = Experts(int(sick))
    if sick:
        nn.init.zeros_(net.router.weight)
    fit(net, many, F.cross_entropy)


class Coder(nn.Module):
    """To latents, of vectors or of maps, and back."""

    def __init__(self, maps: bool) -> None:
        super().__init__()
        self.encode = nn.Conv2d(1, 8, 1) if maps else nn.Linear(8, 8)
        self.decode = nn.Conv2d(4, 1, 1) if maps else nn.Linear(4, 8)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_var = self.encode(x).chunk(2, 1)
        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var)
        return self.decode(z), kl.flatten(1).sum(1).mean()


def _coder(sick: bool, maps: bool) -> None:
    net = Coder(maps)
    optimizer, turn = adam(net), torch.randn(4, 8)
    for _ in range(260):
        x = torch.randn(32, 1, 3, 3) if maps else torch.randn(32, 4) @ turn
        out, kl = net(x)
        error = (out - x).square().flatten(1).sum(1).mean()
        step(optimizer, error + (300.0 if sick else 0.1) * kl)


@real("EF207", "warning", "")
def latents_of_no_use(sick: bool) -> None:
    _coder(sick, False)


@real("EF207", "warning", "")
def maps_of_latents_of_no_use(sick: bool) -> None:
    _coder(sick, True)


class Stream(nn.Module):
    """Two blocks beside a skip, one coordinate of which is huge."""

    def __init__(self, spike: float, normed: bool, half: bool = False) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(8, 64), nn.Linear(64, 4)
        self.first, self.second = nn.Linear(64, 64), nn.Linear(64, 64)
        self.norm = nn.LayerNorm(64) if normed else nn.Identity()
        self.half_stream = half
        with torch.no_grad():
            self.first.bias[3] += spike
            if not normed:  # nobody reads it
                self.second.weight[:, 3] = 0.0
                self.head.weight[:, 3] = 0.0

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x)
        h = h + self.first(h)
        if self.half_stream:
            h = h.half() + h.half()
            h = h.float()
        h = h + self.second(self.norm(h).tanh())
        return self.head(self.norm(h))


@real("EF209", "warning", "")
def a_norm_drowned_by_one_coordinate(sick: bool) -> None:
    fit(Stream(20000.0 if sick else 0.0, True), classes, F.cross_entropy, steps=80)


@real("EF209", "info", "usual")
def one_huge_coordinate_that_nobody_reads(sick: bool) -> None:
    net = Stream(2000.0 if sick else 0.0, False)
    for w in (net.second, net.head):
        w.weight.register_hook(lambda g: torch.cat([g[:, :3], 0 * g[:, 3:4], g[:, 4:]], 1))
    fit(net, classes, F.cross_entropy, adam(net, 1e-3))


@real("EF209", "warning", "")
def one_huge_coordinate_in_half_precision(sick: bool) -> None:
    net = Stream(5000.0 if sick else 0.0, False, half=True)
    for w in (net.second, net.head):
        w.weight.register_hook(lambda g: torch.cat([g[:, :3], 0 * g[:, 3:4], g[:, 4:]], 1))
    fit(net, classes, F.cross_entropy, adam(net, 1e-3))
