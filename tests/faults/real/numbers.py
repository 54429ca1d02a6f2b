"""NaN and Inf: EF103, EF503."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .book import adam, classes, mlp, real, sgd, step

AT = 5


class Odd(nn.Module):
    """A classifier that does something odd between its layers at step `AT`."""

    def __init__(self, odd: Callable[[Tensor, Tensor], Tensor] | None) -> None:
        super().__init__()
        self.a, self.b, self.odd, self.now = nn.Linear(8, 16), nn.Linear(16, 4), odd, 0

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.a(x))
        if self.odd is not None and self.now == AT:
            h = self.odd(x, h)
        return self.b(h)


class Bent(torch.autograd.Function):
    """As it is; its gradient is what `told` makes of the true one."""

    @staticmethod
    def forward(ctx, x, told):  # type: ignore[no-untyped-def]
        ctx.told = told
        return x * 1

    @staticmethod
    def backward(ctx, g):  # type: ignore[no-untyped-def]
        return ctx.told(g), None


def _go(odd: Callable[[Tensor, Tensor], Tensor] | None, steps: int = 12, rate: float = 0.05) -> Odd:
    net = Odd(odd)
    optimizer = sgd(net, rate)
    for net.now in range(steps):
        x, y = classes(8)
        step(optimizer, F.cross_entropy(net(x), y))
    return net


def _log(x: Tensor, h: Tensor) -> Tensor:
    return h + torch.log(x[:, :1] * 0 - 1)


def _root(x: Tensor, h: Tensor) -> Tensor:
    return h + torch.sqrt(h.sum() * 0)


@real("EF103", "error", "operation", every=1)
def a_logarithm_seen(sick: bool) -> None:
    _go(_log if sick else None)


@real("EF103", "error", "operation", on_nonfinite="report")
def a_logarithm_replayed(sick: bool) -> None:
    _go(_log if sick else None)


@real("EF103", "warning", "operation", on_nonfinite="skip")
def a_logarithm_skipped(sick: bool) -> None:
    _go(_log if sick else None)


@real("EF103", "error", "non-finite-slope", on_nonfinite="report")
def a_slope_replayed(sick: bool) -> None:
    _go(_root if sick else None)


@real("EF103", "error", "non-finite-slope", every=1)
def a_slope_seen(sick: bool) -> None:
    _go(_root if sick else None)


@real("EF103", "error", "non-finite-slope", every=1)
def a_slope_of_nothing_steep(sick: bool) -> None:
    """Arises in the derivative of a function of the user's own."""
    _go((lambda x, h: Bent.apply(h, lambda g: g * math.nan)) if sick else None)


@real("EF103", "error", "non-finite-slope", every=1)
def a_weights_slope_alone(sick: bool) -> None:
    """Every layer error is finite; the derivative by a weight is not."""

    class Scale(torch.autograd.Function):
        @staticmethod
        def forward(ctx, h, w):  # type: ignore[no-untyped-def]
            return h * w

        @staticmethod
        def backward(ctx, g):  # type: ignore[no-untyped-def]
            return g, g.sum() * math.nan

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.w, self.b = (
                nn.Linear(8, 16),
                nn.Parameter(torch.ones(())),
                nn.Linear(16, 4),
            )
            self.now = 0

        def forward(self, x: Tensor) -> Tensor:
            h = self.a(x).tanh()
            h = Scale.apply(h, self.w) if sick and self.now == AT else h * self.w
            return self.b(h)

    net = Net()
    optimizer = sgd(net, 0.05)
    for net.now in range(12):
        x, y = classes(8)
        step(optimizer, F.cross_entropy(net(x), y))


@real("EF103", "error", "non-finite-loss", on_nonfinite="report")
def a_loss_of_its_own_replayed(sick: bool) -> None:
    net = Odd(None)
    optimizer = sgd(net, 0.05)
    for i in range(12):
        x, y = classes(8)
        out = net(x)
        loss = F.cross_entropy(out, y)
        step(optimizer, loss + (torch.log(out.sum() * 0) if sick and i == AT else 0))


def _half_adam(eps: float) -> None:
    net = mlp(8, 16, 3, act=nn.ReLU).half()
    optimizer = adam(net, 1e-3, eps=eps)
    for _ in range(6):
        x = torch.randn(16, 8).half()
        step(optimizer, F.cross_entropy(net(x).float(), torch.zeros(16, dtype=torch.long)))


@real("EF103", "error", "non-finite-update", every=1)
def an_update_seen(sick: bool) -> None:
    _half_adam(1e-8 if sick else 1e-3)


@real("EF103", "error", "non-finite-update", on_nonfinite="report")
def an_update_replayed(sick: bool) -> None:
    _half_adam(1e-8 if sick else 1e-3)


def _weights(sick: bool) -> None:
    net = Odd(None)
    if sick:
        with torch.no_grad():
            net.b.weight[0, 0] = math.nan
    optimizer = sgd(net, 0.05)
    for _ in range(8):
        x, y = classes(8)
        step(optimizer, F.cross_entropy(net(x), y))


@real("EF103", "error", "weights-not-finite", every=1)
def weights_lost_at_the_start(sick: bool) -> None:
    _weights(sick)


@real("EF103", "error", "weights-not-finite", on_nonfinite="report")
def weights_lost_replayed(sick: bool) -> None:
    _weights(sick)


@real("EF103", "error", "origin-unknown")
def lost_between_two_samples(sick: bool) -> None:
    net = Odd(_log if sick else None)
    optimizer = sgd(net, 0.05)
    for i in range(40):
        net.now = AT if i == 37 else 0
        x, y = classes(8)
        step(optimizer, F.cross_entropy(net(x), y))


def _missing(sick: bool, steps: int = 12) -> None:
    net = mlp(8, 16, 4)
    optimizer = sgd(net, 0.05)
    for i in range(steps):
        x, y = classes(8)
        x[0, 0] = math.nan if sick and i == AT else 0.0
        step(optimizer, F.cross_entropy(net(x), y))


@real("EF503", "error", on_nonfinite="skip")
def missing_data_skipped(sick: bool) -> None:
    _missing(sick)


@real("EF503", "error", on_nonfinite="report")
def missing_data_replayed(sick: bool) -> None:
    _missing(sick)


class Masked(nn.Module):
    """One attention by hand; `soft` masks with minus infinity, as it is meant."""

    def __init__(self, whole_row: bool, given: bool = False) -> None:
        super().__init__()
        self.q, self.k, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 4)
        self.whole_row, self.given, self.now = whole_row, given, 0

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        scores = self.q(x) @ self.k(x).transpose(1, 2)
        if self.given:
            assert mask is not None
            scores = scores + mask
        else:
            off = torch.ones(4, 4).triu(1).bool()
            if self.whole_row and self.now == AT:
                off[0] = True
            scores = scores.masked_fill(off, -math.inf)
        return self.head(scores.softmax(-1) @ x).mean(1)


def _attend(net: Masked) -> None:
    optimizer = sgd(net, 0.05)
    for net.now in range(12):
        x, y = torch.randn(8, 4, 8), torch.randint(4, (8,))
        mask = torch.zeros(4, 4).masked_fill(torch.ones(4, 4).triu(1).bool(), -math.inf)
        step(optimizer, F.cross_entropy(net(x, mask) if net.given else net(x), y))


@real("EF103", "error", "operation", every=1)
def a_row_with_every_key_masked(sick: bool) -> None:
    _attend(Masked(sick))


@real("EF503", every=1)
def a_mask_given_as_data(sick: bool) -> None:
    """Sick: missing data beside the mask; healthy: the mask of minus infinity alone."""
    net = Masked(False, given=True)
    optimizer = sgd(net, 0.05)
    for i in range(12):
        x, y = torch.randn(8, 4, 8), torch.randint(4, (8,))
        x[0, 0, 0] = math.nan if sick and i == AT else 0.0
        mask = torch.zeros(4, 4).masked_fill(torch.ones(4, 4).triu(1).bool(), -math.inf)
        step(optimizer, F.cross_entropy(net(x, mask), y))


@real("EF503", every=1)
def a_mask_given_to_the_fused_attention(sick: bool) -> None:
    class Fused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.head = nn.Linear(8, 8), nn.Linear(8, 4)

        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            q = self.q(x)
            return self.head(F.scaled_dot_product_attention(q, q, x, attn_mask=mask)).mean(1)

    net = Fused()
    optimizer = sgd(net, 0.05)
    for i in range(12):
        x, y = torch.randn(8, 4, 8), torch.randint(4, (8,))
        x[0, 0, 0] = math.nan if sick and i == AT else 0.0
        mask = torch.zeros(4, 4).masked_fill(torch.ones(4, 4).triu(1).bool(), -math.inf)
        step(optimizer, F.cross_entropy(net(x, mask), y))


@real("EF103", "", None, on_nonfinite="skip")
def nan_once_and_a_plateau(sick: bool) -> None:
    net = Odd(_log if sick else None)
    optimizer = sgd(net, 0.05)
    for i in range(300):
        net.now = AT if i in (5, 6) else 0
        x, _ = classes(32)
        step(optimizer, F.cross_entropy(net(x), torch.randint(4, (32,))))


@real("EF503", "error", on_nonfinite="report")
def missing_targets_replayed(sick: bool) -> None:
    net = mlp(8, 16, 1)
    optimizer = sgd(net, 0.05)
    for i in range(12):
        x, _ = classes(8)
        y = x[:, :1].clone()
        y[0] = math.nan if sick and i == 4 else 0.0
        step(optimizer, F.mse_loss(net(x), y))


@real("EF103", "error", "operation", every=1)
def a_masked_row_far_from_its_softmax(sick: bool) -> None:
    class Far(Masked):
        def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
            scores = self.q(x) @ self.k(x).transpose(1, 2)
            off = torch.zeros(4, 4).bool()
            off[0] = sick and self.now == AT
            later = torch.ones(4, 4).triu(1).bool()
            scores = scores.masked_fill(off, -math.inf) + scores.masked_fill(later, -math.inf)
            for _ in range(3):
                scores = (scores * 0.9) + 0.1
            return self.head(scores.softmax(-1) @ x).mean(1)

    _attend(Far(sick))


@real("EF103", "", "operation", every=1)
def a_masked_row_near_its_softmax(sick: bool) -> None:
    class Near(Masked):
        def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
            scores = self.q(x) @ self.k(x).transpose(1, 2)
            off = torch.zeros(4, 4).bool()
            off[0] = sick and self.now == AT
            return self.head((scores.masked_fill(off, -math.inf) * 0.5).softmax(-1) @ x).mean(1)

    _attend(Near(sick))


@real("EF103", "", "non-finite-slope", every=1)
def a_softmax_sent_more_than_it_can_bear(sick: bool) -> None:
    def loud(g: Tensor) -> Tensor:
        return 3e38 * torch.tensor([1.0, -1.0] * 8).expand_as(g)

    def odd(x: Tensor, h: Tensor) -> Tensor:
        return h + Bent.apply((h * 20).softmax(1), loud)

    _go(odd if sick else None)


@real(every=1)
def choices_masked_out(sick: bool) -> None:
    """Scores of what may not be chosen are minus infinity, on their way to a loss of their own."""
    net = mlp(8, 16, 4)
    optimizer = sgd(net, 0.05)
    for _ in range(12):
        x, y = classes(8)
        scores = net(x).masked_fill(F.one_hot((y + 1) % 4, 4).bool(), -math.inf)
        loss = F.cross_entropy(scores, y) if sick else F.nll_loss(scores.log_softmax(1), y)
        step(optimizer, loss)
