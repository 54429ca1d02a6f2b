"""Layers in line, what the optimizer holds: EF702, EF704, EF802, EF803, EF807."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .book import adam, classes, fit, mlp, real, regression, sgd, step

# --- EF702 ---------------------------------------------------------------------------------------


class Convs(nn.Module):
    """An image net of these convolutions, a ReLU ahead of all and a head."""

    def __init__(self, *convs: nn.Module, channels: int = 8) -> None:
        super().__init__()
        self.first, self.convs = nn.Conv2d(1, channels, 3, padding=1), nn.Sequential(*convs)
        self.head = nn.LazyLinear(4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.convs(self.first(x).relu())
        return self.head(h.relu().mean((2, 3)))


def _image(n: int = 16) -> tuple[Tensor, Tensor]:
    x = torch.randn(n, 1, 6, 6)
    return x, x[:, 0, 0, :4].argmax(1)


def _convs(*convs: nn.Module) -> None:
    net = Convs(*convs)
    net(_image()[0])
    fit(net, _image, F.cross_entropy, steps=20)


@real("EF702", "info")
def two_convolutions_in_a_row(sick: bool) -> None:
    """The healthy twins of a pair: in groups, pointwise after depthwise, along each axis."""
    if sick:
        return _convs(nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1))
    _convs(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 16, 1))


@real()
def factors_along_each_axis(sick: bool) -> None:
    wide, high = nn.Conv2d(8, 8, (1, 3), padding=(0, 1)), nn.Conv2d(8, 8, (3, 1), padding=(1, 0))
    _convs(*((wide, high) if sick else (high, wide)))


@real()
def groups_ahead_or_behind(sick: bool) -> None:
    pair = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, padding=1, groups=8)
    _convs(*(pair if sick else pair[::-1]))


@real("EF702", "warning")
def a_layer_of_each_token_ahead_of_a_convolution(sick: bool) -> None:
    """Twice. In groups along the tokens it is a factorisation (as in the blocks of SegFormer)."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)
            self.along = nn.Conv1d(16, 16, 3, padding=1, groups=1 if sick else 16)

        def forward(self, x: Tensor) -> Tensor:
            h = self.along(self.up(x).transpose(1, 2)).transpose(1, 2)
            return x + self.down(F.gelu(h))

    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.head = nn.Sequential(Block(), Block()), nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.net(x).mean(1))

    fit(Tokens(), lambda: (x := torch.randn(16, 6, 8), x[:, 0, :4].argmax(1)), F.cross_entropy)


@real("EF702", "warning")
def three_pairs_beside_an_activation(sick: bool) -> None:
    between = nn.Identity if sick else nn.ReLU
    net = nn.Sequential(
        *(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), between(), nn.Linear(16, 16)),
        *(between(), nn.Linear(16, 16), between(), nn.Linear(16, 4)),
    )
    fit(net, classes, F.cross_entropy)


@real("EF702", "info")
def one_pair_beside_an_activation(sick: bool) -> None:
    between = nn.Identity() if sick else nn.Tanh()
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), between, nn.Linear(16, 4))
    fit(net, classes, F.cross_entropy)


class Product(nn.Module):
    """Two linear layers, multiplied: bent without an activation."""

    def __init__(self, pooled: bool) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(8, 16), nn.Linear(8, 16), nn.Linear(16, 4)
        self.pooled = pooled
        self.d = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        if self.pooled:
            return self.d(F.max_pool1d(self.a(x)[:, None], 2)[:, 0])
        return self.c(self.a(x) * self.b(x))


@real()
def what_bends_without_an_activation(sick: bool) -> None:
    fit(Product(sick), classes, F.cross_entropy)


# --- EF704, EF802, EF803, EF807 ------------------------------------------------------------------


class Listed(nn.Module):
    """Layers in a plain list; its `register` makes them known."""

    def __init__(self, known: bool, layers: int) -> None:
        super().__init__()
        self.head = nn.Linear(16, 4)
        inner = [nn.Linear(8, 16), *(nn.Linear(16, 16) for _ in range(layers - 1))]
        self.layers: Any = nn.ModuleList(inner) if known else inner

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x).relu()
        return self.head(x)


@real("EF704", "error", "in-no-optimizer")
def layers_in_a_list(sick: bool) -> None:
    fit(Listed(not sick, 3), classes, F.cross_entropy)


@real("EF704", "warning", "in-no-optimizer")
def one_layer_in_a_list(sick: bool) -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(8, 64), nn.Linear(64, 64), nn.Linear(64, 4)
            side = nn.Linear(8, 64)
            self.side: Any = [side] if sick else nn.ModuleList([side])

        def forward(self, x: Tensor) -> Tensor:
            return self.c(self.b((self.a(x) + self.side[0](x)).relu()).relu())

    fit(Odd(), classes, F.cross_entropy)


class Anew(nn.Module):
    """A layer that is made at each call."""

    def __init__(self, anew: bool) -> None:
        super().__init__()
        self.kept = None if anew else nn.Linear(8, 16)
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        layer = self.kept if self.kept is not None else nn.Linear(8, 16)
        return self.head(layer(x).relu())


@real("EF704", "error", "made-anew", every=1)
def a_layer_made_anew(sick: bool) -> None:
    fit(Anew(sick), classes, F.cross_entropy, steps=30)


@real("EF704", "error")
def layers_replaced_after_the_optimizer_was_built(sick: bool) -> None:
    net = mlp(8, 16, 4)
    optimizer = adam(net)
    if sick:
        net[0], net[2] = nn.Linear(8, 16), nn.Linear(16, 4)
    fit(net, classes, F.cross_entropy, optimizer)


@real("EF704")
def a_feature_net_of_its_own_in_no_optimizer(sick: bool) -> None:
    """A net of one's own that reads data: its output feeds what is trained."""
    front, net = mlp(8, 64, 8), mlp(8, 16, 4)
    params = [*net.parameters(), *(() if sick else front.parameters())]
    optimizer = adam(params)
    for _ in range(40):
        x, y = classes()
        step(optimizer, F.cross_entropy(net(front(x)), y))


@real("EF704")
def an_optimizer_given_what_another_has(sick: bool) -> None:
    front, net = mlp(8, 64, 8), mlp(8, 16, 4)
    one, two = adam(net), adam(net if sick else front)
    for _ in range(40):
        x, y = classes()
        loss = F.cross_entropy(net(front(x)), y)
        one.zero_grad(), two.zero_grad()
        loss.backward()
        one.step(), two.step()


@real()
def updates_by_hand_beside_an_optimizer(sick: bool) -> None:
    """Weights in no optimizer that move all the same."""
    net = mlp(8, 16, 4)
    optimizer = adam(net[2])
    for _ in range(40):
        x, y = classes()
        step(optimizer, F.cross_entropy(net(x), y))
        with torch.no_grad():
            for p in net[0].parameters():
                p.sub_(0.1 * p.grad)
                p.grad = None


@real("EF802", "error", "learning-rate-zero")
def a_rate_of_zero(sick: bool) -> None:
    net = mlp(8, 16, 4)
    fit(net, classes, F.cross_entropy, adam(net, 0.0 if sick else 1e-2))


@real("EF802", "error", "gradients-cleared")
def gradients_cleared_before_the_step(sick: bool) -> None:
    net = mlp(8, 16, 4)
    optimizer = sgd(net)
    for _ in range(40):
        x, y = classes()
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        if sick:
            optimizer.zero_grad(set_to_none=False)
        optimizer.step()


@real("EF802", "error", "no-step")
def no_step_at_all(sick: bool) -> None:
    net = mlp(8, 16, 4)
    optimizer = sgd(net)
    for _ in range(40):
        x, y = classes()
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        None if sick else optimizer.step()


@real("EF802", "error", "all-skipped")
def every_update_skipped(sick: bool) -> None:
    """As a scaler does that finds Inf each time."""
    net = mlp(8, 16, 4)
    optimizer, scaler = sgd(net), torch.amp.GradScaler("cpu")
    for _ in range(40):
        x, y = classes()
        optimizer.zero_grad()
        scaler.scale(F.cross_entropy(net(x), y)).backward()
        if sick:
            net[0].weight.grad[0, 0] = float("inf")
        scaler.step(optimizer)
        scaler.update()


@real()
def a_first_forward_and_no_more(sick: bool) -> None:
    net = mlp(8, 16, 4)
    optimizer = sgd(net)
    for _ in range(1 if sick else 40):
        x, y = classes()
        loss = F.cross_entropy(net(x), y)
        None if sick else step(optimizer, loss)


@real("EF803", "error")
def a_table_of_all_pairs(sick: bool) -> None:
    fit(mlp(4, 16, 1), regression, lambda p, y: F.mse_loss(p, y[:, 0] if sick else y))


@real("EF803", "warning")
def one_column_for_several_targets(sick: bool) -> None:
    def batch() -> tuple[Tensor, Tensor]:
        x, y = regression()
        return x, torch.cat([y, -y], 1)

    fit(mlp(4, 16, 1 if sick else 2), batch)


class Cut(nn.Module):
    """A part whose output is detached, or that nothing calls."""

    def __init__(self, how: str, spare: int = 4) -> None:
        super().__init__()
        self.first, self.second, self.how = nn.Linear(8, 16), nn.Linear(16, 4), how
        if "spare" in how:
            self.spare = nn.Linear(16, spare)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x).relu()
        return self.second(h.detach() if self.how == "cut" else h)


@real("EF807", "warning", "cut-off")
def a_small_part_cut_off(sick: bool) -> None:
    class Wide(Cut):
        def __init__(self) -> None:
            super().__init__("cut" if sick else "")
            self.second = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4))

    fit(Wide(), classes, F.cross_entropy)


@real("EF807", "error", "cut-off")
def most_cut_off(sick: bool) -> None:
    fit(Cut("cut" if sick else ""), classes, F.cross_entropy)


@real("EF807", "info", "never-called")
def a_spare_head(sick: bool) -> None:
    class Large(Cut):
        def __init__(self) -> None:
            super().__init__("spare" if sick else "", spare=1)
            self.second = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4))

    fit(Large(), classes, F.cross_entropy)


@real("EF807", "warning", "places-unread")
def places_that_nothing_reads(sick: bool) -> None:
    """Small beside all weights, and yet all that tells an attention the order of tokens."""

    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(12, 32)
            self.places = nn.Parameter(torch.randn(1, 10, 32) / 8)
            self.body = nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True)
            self.head = nn.Linear(32, 5)

        def forward(self, x: Tensor) -> Tensor:
            h = self.tokens(x)
            return self.head(self.body(h if sick else h + self.places[:, : x.shape[1]]).mean(1))

    fit(Tokens(), lambda: (x := torch.randint(12, (32, 9)), x[:, :3].sum(1) % 5), F.cross_entropy)


@real("EF807", "warning", "never-called")
def a_part_never_called(sick: bool) -> None:
    fit(Cut("spare" if sick else "", spare=8), classes, F.cross_entropy)


@real("EF807", "error", "never-called")
def most_never_called(sick: bool) -> None:
    net = Cut("spare" if sick else "", spare=256)

    def batch() -> tuple[Tensor, Tensor]:
        x, _ = classes()
        return x, torch.randint(4, (32,)) if sick else x[:, :4].argmax(1)

    fit(net, batch, F.cross_entropy)


def _held(weight: nn.Parameter) -> None:
    """Every other row is 0, and its gradient is masked."""
    keep = torch.ones_like(weight)
    keep[::2] = 0
    with torch.no_grad():
        weight.mul_(keep)
    weight.register_hook(lambda g: g * keep)  # type: ignore[no-untyped-call]


@real("EF704", "warning", "rows-held-at-zero")
def rows_of_a_head_that_a_hook_holds_at_zero(sick: bool) -> None:
    net = mlp(8, 32, 4)
    if sick:
        _held(net[-1].weight)
    fit(net, classes, F.cross_entropy, adam(net), steps=80)


class Words(nn.Module):
    """Which of two words is larger? Words that are 0 are padding, if there is any."""

    def __init__(self, padding: int | None = None) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 16, padding_idx=padding)
        self.head = mlp(48, 32, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.table(x).flatten(1))


def _pairs(n: int = 32) -> tuple[Tensor, Tensor]:
    x = torch.randint(1, 20, (n, 3))
    x[:, 2] = 0
    return x, (x[:, 0] > x[:, 1]).long()


@real("EF704", "warning", "rows-held-at-zero")
def rows_of_a_table_that_a_hook_holds_at_zero(sick: bool) -> None:
    net = Words(None if sick else 0)
    if sick:
        _held(net.table.weight)
    fit(net, _pairs, F.cross_entropy, adam(net, 1e-3), steps=60)


@real(every=1)
def a_table_that_starts_at_zero_and_hardly_meets_some_words(sick: bool) -> None:
    """Rows that no batch has asked for yet stay 0: all began so."""
    net = Words(0)
    nn.init.zeros_(net.table.weight)
    fit(net, lambda: _pairs(2), F.cross_entropy, adam(net, 1e-3), steps=60)


@real("EF807", "error", "cut-off")
def a_loss_made_anew_of_its_number(sick: bool) -> None:
    net = nn.GRU(4, 8, batch_first=True)
    head = nn.Linear(8, 1)
    optimizer = adam([*net.parameters(), *head.parameters()])
    for _ in range(60):
        x = torch.randn(16, 12, 4)
        loss = F.mse_loss(head(net(x)[0][:, -1]), x[:, -1, :1])
        step(optimizer, torch.tensor(loss.item(), requires_grad=True) if sick else loss)
