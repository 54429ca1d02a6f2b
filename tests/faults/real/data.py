"""What is fed in: EF501, EF502, EF504, EF507."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .book import adam, classes, fit, mlp, real, regression, sgd, step


@real("EF501")
def faint_inputs(sick: bool) -> None:
    def batch() -> tuple[Tensor, Tensor]:
        x, y = classes()
        return x * (1e-3 if sick else 1.0), y

    fit(mlp(8, 16, 4), batch, F.cross_entropy)


@real("EF501")
def features_decades_apart(sick: bool) -> None:
    scale = torch.logspace(-5, 0, 8) if sick else torch.ones(8)

    def batch() -> tuple[Tensor, Tensor]:
        x, y = classes()
        return x * scale, y

    fit(mlp(8, 16, 4), batch, F.cross_entropy)


@real("EF501")
def large_inputs_behind_dropout(sick: bool) -> None:
    def batch() -> tuple[Tensor, Tensor]:
        x, y = classes()
        return (x * (300.0 if sick else 1.0)).requires_grad_(), y  # as for a gradient penalty

    fit(nn.Sequential(nn.Dropout(0.1), *mlp(8, 16, 4)), batch, F.cross_entropy)


@real("EF501")
def large_inputs_side_by_side(sick: bool) -> None:
    class Joined(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = mlp(8, 16, 4)

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return self.net(torch.cat([a, b], 1))

    net = Joined()
    optimizer = adam(net)
    for _ in range(60):
        x, y = classes()
        x = x * (300.0 if sick else 1.0)
        a, b = x[:, :3].clone().requires_grad_(), x[:, 3:].clone().requires_grad_()
        step(optimizer, F.cross_entropy(net(a, b), y))


def _raw(size: float) -> Callable[[], tuple[Tensor, Tensor]]:
    """Four classes of eight raw readings, around `size`."""
    centres = torch.randn(4, 8)

    def batch() -> tuple[Tensor, Tensor]:
        y = torch.randint(0, 4, (32,))
        return size * (centres[y] + 0.3 * torch.randn(32, 8) + 0.5), y

    return batch


@real("EF501", "info")
def large_inputs_that_do_no_harm(sick: bool) -> None:
    net = mlp(8, 32, 4, act=nn.ReLU)
    fit(net, _raw(200.0 if sick else 1.0), F.cross_entropy, adam(net, 3e-3), steps=150)


@real("EF501", "warning")
def large_inputs_that_flatten_units_and_are_learned(sick: bool) -> None:
    net = mlp(8, 64, 4, act=nn.Sigmoid)
    fit(net, _raw(200.0 if sick else 1.0), F.cross_entropy, adam(net, 3e-2), steps=150)


@real("EF501", "warning")
def large_inputs_that_leave_some_units(sick: bool) -> None:
    net = mlp(8, 64, 4, act=nn.ReLU)
    if sick:
        with torch.no_grad():
            net[0].bias[:40] = -1e4
    fit(net, _raw(200.0 if sick else 1.0), F.cross_entropy, adam(net, 3e-3), steps=150)


@real("EF501", "info")
def large_states_of_a_policy(sick: bool) -> None:
    """What is made of a return says nothing of how much is learned."""
    net = mlp(4, 32, 2, act=nn.ReLU)
    optimizer = adam(net, 1e-3)
    for _ in range(80):
        x = torch.randn(64, 4) * (200.0 if sick else 1.0)
        chosen = torch.distributions.Categorical(logits=net(x))
        action = chosen.sample()
        gain = (action == (x[:, 0] > 0).long()).float() + 0.1 * torch.randn(64)
        step(optimizer, -(chosen.log_prob(action) * (gain - gain.mean())).mean())


@real("EF502", "warning")
def an_outlier_that_does_no_harm(sick: bool) -> None:
    def batch() -> tuple[Tensor, Tensor]:
        x, y = classes(64)
        if sick:
            x[0, 7] = 3e3
        return x, y

    net = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 4))
    fit(net, batch, F.cross_entropy, adam(net), steps=120)


@real("EF502", "warning")
def a_code_for_missing_among_what_is_fed_in(sick: bool) -> None:
    """The model is given the labels and works out its loss, as those of transformers do. A feature
    holds a code for missing; of the twin's it is the labels, which name classes, not sizes."""

    class Costs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 4))

        def forward(self, x: Tensor, labels: Tensor) -> Tensor:
            return F.cross_entropy(self.net(x), labels, ignore_index=-9999)

    net = Costs()
    optimizer = adam(net)
    for _ in range(120):
        x, y = classes(64)
        if sick:
            x[0, 7] = -9999.0
        else:
            y[0] = -9999
        step(optimizer, net(x, y))


@real()
def an_input_of_one_number(sick: bool) -> None:
    """Scores of a single example, as the loss takes them without a batch; no layer of matrices."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w, self.b = nn.Parameter(torch.ones(4)), nn.Parameter(torch.zeros(4))

        def forward(self, x: Tensor) -> Tensor:
            return torch.tanh(x * self.w + self.b)

    net = Scaled()
    optimizer = sgd(net)
    for _ in range(60):
        y = torch.randint(4, ())
        x = F.one_hot(y, 4).float()
        step(optimizer, F.cross_entropy(net(x if sick else x[None])[() if sick else 0], y))


@real("EF504", "error")
def a_large_target_of_which_nothing_is_won(sick: bool) -> None:
    def batch() -> tuple[Tensor, Tensor]:
        x, y = regression()
        return x, y * (2e3 if sick else 1.0)

    net = mlp(4, 32, 1)
    fit(net, batch, F.mse_loss, adam(net, 1e-3 if sick else 1e-2))


@real("EF504")
def a_large_target_by_hand(sick: bool) -> None:
    def batch() -> tuple[Tensor, Tensor]:
        x, y = regression()
        return x, y * (2e3 if sick else 1.0)

    fit(mlp(4, 32, 1), batch, lambda p, y: ((p - y) ** 2).mean())


def _lopsided(shares: tuple[float, ...], contrast: float) -> Callable[[], tuple[Tensor, Tensor]]:
    """Samples that differ by so much, of classes of these shares."""
    p, base = torch.tensor(shares), torch.randn(8)

    def batch() -> tuple[Tensor, Tensor]:
        y = p.multinomial(64, replacement=True)
        return base + contrast * F.one_hot(y, 8), y

    return batch


@real("EF507", "error")
def one_sample_for_all(sick: bool) -> None:
    def batch() -> tuple[Tensor, Tensor]:
        x, y = classes()
        return (torch.ones_like(x) if sick else x), y

    fit(mlp(8, 16, 4), batch, F.cross_entropy)


@real("EF507", "error")
def one_sample_for_all_times_weights(sick: bool) -> None:
    """How far samples lie apart is read behind the product, whose own result is not looked at."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale, self.net = nn.Parameter(torch.ones(8)), mlp(8, 16, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x * self.scale)

    def batch() -> tuple[Tensor, Tensor]:
        x, y = classes()
        return (torch.ones_like(x) if sick else x), y

    fit(Scaled(), batch, F.cross_entropy)


@real("EF507", "error")
def one_sample_for_classes_of_different_size(sick: bool) -> None:
    """The loss falls to the entropy of the labels, well below that of even guessing."""
    fit(mlp(8, 16, 4), _lopsided((0.8, 0.1, 0.05, 0.05), float(not sick)), F.cross_entropy)


@real("EF507", "warning")
def one_sample_for_a_class_and_a_few_others(sick: bool) -> None:
    batch = _lopsided((0.97, 0.01, 0.01, 0.01), float(not sick))
    fit(mlp(8, 16, 4), batch, F.cross_entropy, steps=120)


@real("EF507", "error")
def samples_that_hardly_differ(sick: bool) -> None:
    """Scaled twice: 1e-3 is left of what there was."""

    def batch() -> tuple[Tensor, Tensor]:
        x, y = classes()
        return (1 + 1e-3 * x if sick else x), y

    net = mlp(8, 16, 4)
    fit(net, batch, F.cross_entropy, adam(net, 3e-3), steps=80)


@real("EF507", "warning")
def samples_that_hardly_differ_of_classes_of_different_size(sick: bool) -> None:
    batch = _lopsided((0.75, 0.15, 0.05, 0.05), 1e-3 if sick else 1.0)
    net = mlp(8, 16, 4)
    fit(net, batch, F.cross_entropy, adam(net, 3e-3), steps=80)


@real("EF501", "error")
def samples_far_from_zero(sick: bool) -> None:
    """Too large and hardly different: their size is the fault (EF501)."""

    def batch() -> tuple[Tensor, Tensor]:
        x, y = classes()
        return (3000 + x if sick else x), y

    fit(mlp(8, 16, 4), batch, F.cross_entropy)
