"""Each operator of the theory against torch's own layers in float64, over many drawn weights."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.closed_forms import BeyondTheory, capture, propagate
from evenflow.forecast.static.build import build

BATCH, N = 16, 128
DRAWS = 12


def gaussian(*shape: int, q: float, c: float, mu: float, random: torch.Generator) -> Tensor:
    """Samples [BATCH, ...] with E x = mu, E x² = q and E x_a x_b = c between any two samples."""
    common, own = (
        torch.randn(size, *shape[1:], generator=random, dtype=torch.float64)
        for size in (1, shape[0])
    )
    return mu + math.sqrt(c - mu * mu) * common + math.sqrt(q - c) * own


def measured(
    factory: Callable[[], nn.Module], shape: tuple[int, ...], mu: float
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """log10 of q, of c, and of the gain of rms δ through the module, means over draws; and the
    inputs."""
    random = torch.Generator().manual_seed(0)
    q_c_gain, inputs = [], []
    for _ in range(DRAWS):
        x = gaussian(*shape, q=1.3, c=0.5, mu=mu, random=random).requires_grad_()
        y = factory().double()(x)
        cotangent = torch.randn(y.shape, generator=random, dtype=torch.float64)
        (grad,) = torch.autograd.grad(y, x, cotangent)
        y = y.detach().flatten(1)
        q = y.square().mean()
        c = (y.mean(0).square().mean() * BATCH - q) / (BATCH - 1)
        gain = grad.square().mean() / cotangent.square().mean()
        q_c_gain.append(torch.stack([q, c, gain]))
        inputs.append(x.detach())
    table = torch.stack(q_c_gain)
    return table.mean(0), table.std(0) / math.sqrt(DRAWS), inputs


class Lambda(nn.Module):
    def __init__(self, f: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.f = f

    def forward(self, x: Tensor) -> Tensor:
        return self.f(x)


class Wide(nn.Module):
    """Everything in one: a join of branches that share a weight, slices, concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(N, N), nn.Linear(N, N)
        self.c = nn.Linear(2 * N, N)

    def forward(self, x: Tensor) -> Tensor:
        x = x + 0.5 * F.relu(self.a(x))
        left, right = torch.tanh(self.b(x)), F.gelu(self.a(x))
        y = self.c(torch.cat([left, right], dim=-1))
        first, second = y.chunk(2, dim=1)
        return torch.stack([first, -second], 1).flatten(1)


def normed(norm: nn.Module) -> nn.Module:
    if hasattr(norm, "weight"):
        nn.init.uniform_(norm.weight, 0.5, 2.0)
    if getattr(norm, "bias", None) is not None:
        nn.init.normal_(norm.bias, 0.3, 0.2)
    return norm


FLAT: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(N, 2 * N),
    "linear without bias": lambda: nn.Linear(N, N, bias=False),
    "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.3), "elu": nn.ELU, "softplus": nn.Softplus,
    "hardtanh": nn.Hardtanh, "relu6": nn.ReLU6,
    "functional relu": lambda: Lambda(torch.relu),
    "in-place relu": lambda: nn.Sequential(nn.Linear(N, N), nn.ReLU(inplace=True)),
    "layer_norm": lambda: normed(nn.LayerNorm(N)),
    "rms_norm": lambda: normed(nn.RMSNorm(N)),
    "batch_norm": lambda: nn.Sequential(nn.Linear(N, N), normed(nn.BatchNorm1d(N))),
    "batch_norm, then relu": lambda: nn.Sequential(
        nn.Linear(N, N), nn.BatchNorm1d(N), nn.ReLU(), nn.Linear(N, N), nn.BatchNorm1d(N)
    ),
    "dropout": lambda: nn.Dropout(0.3),
    "numbers": lambda: Lambda(lambda x: -(2 * x + 0.5) / 4 - 1),
    "x + x": lambda: Lambda(lambda x: x + x),
    "wide": Wide,
}  # fmt: skip
MAPS: dict[str, Callable[[], nn.Module]] = {
    "conv2d": lambda: nn.Conv2d(16, 24, 3, padding=1),
    "conv2d, stride and groups": lambda: nn.Conv2d(16, 32, 3, stride=2, padding=1, groups=4),
    "conv2d, dilation": lambda: nn.Conv2d(16, 16, 3, padding="same", dilation=2),
    "convolutions": lambda: nn.Sequential(
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(32 * 36, 40),
    ),
    "permute": lambda: Lambda(lambda x: x.permute(0, 2, 3, 1).reshape(len(x), -1)[:, 10:300]),
}  # fmt: skip


@pytest.mark.parametrize("name", [*FLAT, *MAPS])
def test_an_operator_does_to_moments_what_torch_does_to_samples(name: str) -> None:
    flat = name in FLAT
    factory, shape = ((FLAT if flat else MAPS)[name], (BATCH, N) if flat else (BATCH, 16, 6, 6))
    mu = 0.0 if "relu" in name or not flat else 0.2
    torch.manual_seed(0)
    real, error, inputs = measured(factory, shape, mu)
    models = [factory().double() for _ in range(3)]
    told = []
    for model, x in zip(models, inputs, strict=False):
        nodes = propagate(model, (x,), trials=0)
        end, start = nodes[-1], nodes[0]
        told.append([end.q, end.q * (1 - end.one_minus_c), 10 ** (2 * start.log10_delta)])
    theory = torch.tensor(told, dtype=torch.float64).mean(0)
    off = (theory - real).abs()
    assert (off < 5 * error + 0.04 * real.abs() + 1e-3).all(), (theory, real, error)


def test_average_pooling() -> None:
    """Pixels as far apart as samples: c_s = c, as the rule assumes."""
    random = torch.Generator().manual_seed(0)
    x = gaussian(200, 8, 4, 4, q=1.0, c=0.0, mu=0.0, random=random).requires_grad_()
    y = F.avg_pool2d(x, 2)
    (grad,) = torch.autograd.grad(y, x, torch.randn(y.shape, generator=random).double())
    for pool in (nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(2)):
        nodes = propagate(pool, (x.detach(),), trials=0)
        assert abs(nodes[-1].q / float(y.detach().square().mean()) - 1) < 0.05
        assert abs(10 ** nodes[0].log10_delta / float(grad.square().mean().sqrt()) - 1) < 0.05


@pytest.mark.parametrize(("act", "batch", "told"), [(False, 12, 10 / 9), (True, 256, 1.4669)])
def test_batch_normalisation_explodes_as_in_print(act: bool, batch: int, told: float) -> None:
    """Yang 2019: ‖δ‖² gains (B-2)/(B-3) a layer in a linear network, π/(π-1) with ReLU, B → ∞."""
    width = 4096

    def factory() -> nn.Module:
        layers: list[nn.Module] = []
        for _ in range(6):
            layers += [nn.Linear(width, width, bias=False), nn.BatchNorm1d(width)]
            layers += [nn.ReLU()] if act else []
        return nn.Sequential(*layers)

    nodes = propagate(build(factory), (torch.randn(batch, width),), trials=0)
    norms = [n.log10_delta for n in nodes if n.op == "batch_norm"]
    # The output's own cotangent has a mean over the batch yet, which costs the last layer 1/B.
    assert 10 ** (2 * (norms[1] - norms[4]) / 3) == pytest.approx(told, rel=0.015)


BEYOND: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "softmax": (lambda: nn.Softmax(-1), "softmax has no closed form"),
    "max_pool": (lambda: Lambda(lambda x: F.max_pool1d(x[:, None], 2)), "max_pool1d"),
    "product": (lambda: Lambda(lambda x: x * torch.tanh(x)), "mul of two computed tensors"),
    "mask": (lambda: Lambda(lambda x: x * torch.linspace(0, 1, N)), "mul by a tensor"),
    "matmul": (lambda: Lambda(lambda x: x[:, :, None] @ x[:, None]), "matmul has no closed form"),
    "batch axis": (lambda: Lambda(lambda x: x.T), "moves the batch axis"),
    "running statistics": (lambda: nn.BatchNorm1d(N).eval(), "running statistics"),
    "a constant vector": (lambda: Lambda(lambda x: x + torch.ones(N)), "a constant"),
}


@pytest.mark.parametrize("name", BEYOND)
def test_what_has_no_closed_form_is_named(name: str) -> None:
    factory, message = BEYOND[name]
    with pytest.raises(BeyondTheory, match=message):
        propagate(factory().double(), (torch.randn(BATCH, N).double(),))


def test_a_small_batch_and_integers_are_beyond_theory() -> None:
    net = nn.Sequential(nn.Linear(N, N), nn.BatchNorm1d(N))
    with pytest.raises(BeyondTheory, match="a batch of 4 is too small"):
        propagate(net, (torch.randn(4, N),))
    with pytest.raises(BeyondTheory, match=r"dtype torch\.int64"):
        propagate(nn.Embedding(9, N), (torch.zeros(4, 3, dtype=torch.int64),))


# -- the graph ----------------------------------------------------------------------------------
def test_the_graph_is_what_was_called() -> None:
    nodes, last = capture(Wide(), (torch.randn(4, N),))
    ops = [n.op for n in nodes]
    assert ops[0] == "input" and nodes[-1].id == last
    assert ops.count("linear") == 4 and "cat" in ops and "chunk" in ops and "add" in ops
    cat = next(n for n in nodes if n.op == "cat")
    assert [nodes[[m.id for m in nodes].index(i)].op for i in cat.reads] == ["tanh", "gelu"]


def test_what_the_output_does_not_need_is_left_out_and_no_gradient_is_made() -> None:
    class Aside(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            torch.softmax(x, -1)
            return {"logits": F.relu(x), "extra": torch.tanh(x)}

    x = torch.randn(4, N, requires_grad=True)
    nodes, _ = capture(Aside(), (x,))
    assert [n.op for n in nodes] == ["input", "relu"]
    nodes, _ = capture(Aside(), (), {"x": x})
    assert [n.op for n in nodes] == ["input", "relu"]


def test_an_output_from_nowhere_is_told() -> None:
    with pytest.raises(ValueError, match=r"Lambda returned Tensor.*no graph to follow"):
        capture(Lambda(lambda x: torch.randn(3)), (torch.randn(4, N),))


def test_unseen_and_stored_weights_give_the_same_theory() -> None:
    x = torch.randn(32, N)

    def factory() -> nn.Module:
        layers = [m for _ in range(10) for m in (nn.Linear(N, N), nn.Tanh())]
        return nn.Sequential(*layers)

    a, b = propagate(factory(), (x,), trials=0), propagate(build(factory, least=0), (x,), trials=0)
    assert [n.op for n in a] == [n.op for n in b]
    for one, other in zip(a, b, strict=True):
        assert abs(one.log10_delta - other.log10_delta) < 0.03
        assert math.isnan(one.error_bar)


def test_a_thousand_sigmoids_stay_within_numbers() -> None:
    layers = [m for _ in range(400) for m in (nn.Linear(32, 32), nn.Sigmoid())]
    nodes = propagate(nn.Sequential(*layers), (torch.randn(8, 32),), trials=0)
    assert -460 < nodes[0].log10_delta < -330


def test_the_error_bar_grows_where_q_runs_away() -> None:
    def bar(act: Callable[[], nn.Module]) -> float:
        layers: list[nn.Module] = []
        for _ in range(20):
            layer = nn.Linear(256, 256)
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
            layers += [layer, act()]
        found = propagate(nn.Sequential(*layers), (torch.randn(16, 256),))
        return found[0].error_bar

    assert bar(nn.GELU) > 1.4 * bar(nn.ReLU) > 0.05
