"""A model built without weights: its laws, its passes, and the same from stored weights."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evenflow.forecast.static.build import build, sources
from evenflow.forecast.static.law import moments
from evenflow.forecast.static.unseen import UnseenWeight

INITS = {
    "normal": lambda w: nn.init.normal_(w, 0.0, 0.02),
    "uniform": lambda w: nn.init.uniform_(w, -0.1, 0.3),
    "trunc_normal near": lambda w: nn.init.trunc_normal_(w, 0.0, 1.0, -1.0, 1.5),
    "trunc_normal far": lambda w: nn.init.trunc_normal_(w, 0.0, 0.02),
    "trunc_normal narrow": lambda w: nn.init.trunc_normal_(w, 0.0, 1.0, 0.1, 0.2),
    "kaiming": lambda w: nn.init.kaiming_uniform_(w, a=math.sqrt(5)),
    "xavier": lambda w: nn.init.xavier_normal_(w, 2.0),
    "constant": lambda w: nn.init.constant_(w, 0.5),
    "zeros": lambda w: nn.init.zeros_(w),
    "orthogonal": lambda w: nn.init.orthogonal_(w, 1.5),
    "data": lambda w: w.data.normal_().mul_(0.1).clamp_(-0.1, 0.2),
    "halves": lambda w: (w.data[:50].normal_(0.0, 0.5), w.data[50:].zero_()),
    "rows": lambda w: w.data.normal_().mul_(torch.linspace(0.5, 2.0, w.shape[1])),
    "copied": lambda w: w.data.copy_(torch.randn(w.shape) * 0.3),
}  # fmt: skip


@pytest.mark.parametrize("name", INITS)
def test_the_law_is_what_the_initialisation_really_does(name: str) -> None:
    def factory() -> nn.Module:
        layer = nn.Linear(120, 100)
        with torch.no_grad():
            INITS[name](layer.weight)
        return layer

    (source,) = sources(build(factory, least=0)).values()
    real = factory().weight.detach().double()
    mean, std = moments(source.values)
    size = float(real.square().mean().sqrt())
    assert abs(mean - float(real.mean())) <= 0.04 * size
    assert abs(math.hypot(mean, std) - size) < 0.03 * size + 1e-9


class _Parts(nn.Module):
    """Weights used in many ways, each a functional op."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(70, 48)
        self.conv1d = nn.Parameter(torch.randn(48, 64) * 0.2)  # [in, out] as GPT-2's
        self.mixed = nn.Linear(64, 3 * 48)
        self.experts = nn.Parameter(torch.randn(4, 48, 40) * 0.1)
        self.conv = nn.Conv1d(40, 40, 3, padding=1)
        self.lstm = nn.LSTM(40, 48, batch_first=True)
        self.register_buffer("scale", torch.ones(20, 48) * 2)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.table(ids)
        x = torch.addmm(torch.zeros(64), x.view(-1, 48), self.conv1d).view(*ids.shape, 64)
        q, k, v = self.mixed(x.relu()).chunk(3, -1)
        x = F.scaled_dot_product_attention(q, k, v) + self.scale[: ids.shape[1]]
        x = torch.bmm(x.reshape(4, -1, 48), self.experts).reshape(*ids.shape, 40)
        x = x + (x[:, :, :40] @ self.experts[1].T) @ self.experts[1]
        x = self.conv(x.mT).mT.tanh()
        return self.lstm(x)[0] @ self.table.weight.T


def test_every_use_of_a_weight_agrees_with_stored_weights() -> None:
    ids = torch.randint(0, 70, (4, 8), generator=torch.Generator().manual_seed(1))
    model = build(_Parts, least=0)
    unseen = [build(_Parts, seed, least=0)(ids).square().mean(-1) for seed in range(30)]
    stored = [_Parts()(ids).square().mean(-1) for _ in range(30)]
    a, b = torch.stack(unseen).mean().detach(), torch.stack(stored).mean().detach()
    assert abs(float((a / b).log10())) < 0.05
    assert isinstance(model.table.weight, UnseenWeight) and not isinstance(
        model.scale, UnseenWeight
    )
    assert model.scale.sum() == 20 * 48 * 2


def test_the_gradient_is_that_of_the_weights_that_were_revealed() -> None:
    """A second model gets the revealed weights stored: both agree to rounding."""
    net = build(lambda: nn.Sequential(nn.Linear(30, 40), nn.Tanh(), nn.Linear(40, 20)), least=0,
                dtype=torch.float64).double()  # fmt: skip
    x = torch.randn(5, 30, dtype=torch.float64, requires_grad=True)
    y = net(x)
    (grad,) = torch.autograd.grad(y.sum(), x)
    plain = nn.Sequential(nn.Linear(30, 40), nn.Tanh(), nn.Linear(40, 20)).double()
    with torch.no_grad():
        for i in (0, 2):
            plain[i].weight.copy_(net[i].weight.source.stored())
            plain[i].bias.copy_(net[i].bias)
    z = plain(x)
    torch.testing.assert_close(z, y)
    torch.testing.assert_close(torch.autograd.grad(z.sum(), x)[0], grad)


def test_a_tied_output_layer_knows_the_embedding() -> None:
    """E <x, w_x> = |w_x|² for the token that was put in: 48 times the variance, not 0."""

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(500, 48)
            self.head = nn.Linear(48, 500, bias=False)
            self.head.weight = self.table.weight

        def forward(self, ids: Tensor) -> Tensor:
            return self.head(self.table(ids))

    model = build(Tied, least=0)
    assert len(sources(model)) == 1
    ids = torch.arange(10)
    logits = model(ids).detach()
    assert abs(float(logits[ids, ids].mean()) - 48) < 10
    assert float(logits[ids, ids + 20].abs().mean()) < 10


def test_small_weights_are_stored_and_torchs_numbers_untouched_by_large_ones() -> None:
    def factory() -> nn.Module:
        return nn.Sequential(nn.Linear(8, 8), nn.Linear(1000, 1000, bias=False), nn.Linear(8, 4))

    torch.manual_seed(5)
    model = build(factory, least=10_000)
    assert [isinstance(p, UnseenWeight) for p in model.parameters()] == [0, 0, 1, 0, 0]
    torch.manual_seed(5)
    small = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 4))
    torch.testing.assert_close(model[0].weight, small[0].weight)
    torch.testing.assert_close(model[2].weight, small[1].weight)
    x = torch.randn(3, 1000)
    assert torch.equal(model[1](x), model[1](x))
    assert not torch.equal(model[1](x), build(factory, 1, least=10_000)[1](x))


def test_a_factory_on_the_meta_device_is_built_on_the_cpu() -> None:
    def factory() -> nn.Module:
        with torch.device("meta"):
            return nn.Sequential(nn.Linear(600, 600), nn.Linear(600, 3))

    model = build(factory)
    assert {p.device.type for p in model.parameters()} == {"cpu"}
    assert model(torch.randn(2, 600)).isfinite().all()


def test_a_model_made_before_is_refused() -> None:
    with torch.device("meta"):
        model = nn.Linear(4, 4)
    with pytest.raises(ValueError, match=r"weight \(4, 4\) is on the meta device"):
        build(lambda: model)
    with pytest.raises(ValueError, match=r"made a int, not an nn\.Module: 7"):
        build(lambda: 7)


def test_a_weight_too_large_to_store_is_named_when_its_elements_are_needed() -> None:
    model = build(lambda: nn.Linear(40_000, 30_000, bias=False))
    assert model(torch.randn(2, 40_000)).shape == (2, 30_000)
    with pytest.raises(ValueError, match=r"cumsum.* needs all elements .*\(30000, 40000\)"):
        model.weight.cumsum(0)


def test_more_vectors_than_a_weight_has_rows_store_it_in_agreement_with_what_was_seen() -> None:
    model = build(lambda: nn.Linear(40, 30, bias=False), least=0, dtype=torch.float64)
    x = torch.randn(200, 40, dtype=torch.float64)
    few = model(x[:5])
    source = model.weight.source
    assert source._stored is None
    torch.testing.assert_close(model(x)[:5], few)
    assert source._stored is not None
    assert float(source.stored().std()) == pytest.approx(1 / math.sqrt(3 * 40), rel=0.1)


class _Places(nn.Module):
    """Tables of sinusoids, made in the three ways they are made, and masks."""

    def __init__(self) -> None:
        super().__init__()
        angle = torch.arange(60.0)[:, None] / 10 ** torch.linspace(0, 3, 20)
        pairs = torch.zeros(60, 40)
        pairs[:, 0::2], pairs[:, 1::2] = angle.sin(), angle.cos()
        self.register_buffer("pairs", pairs)
        self.copied = nn.Embedding(60, 40)
        with torch.no_grad():
            self.copied.weight.copy_(torch.cat([angle.sin(), angle.cos()], 1))
        self.scaled = nn.Parameter(pairs.clone() * 3)
        self.scaled.data[5:8].mul_(2)
        self.redrawn = nn.Parameter(torch.zeros(60, 40))
        self.redrawn.data[0] = 1.0
        self.redrawn.data.normal_()
        self.register_buffer("mask", torch.ones(60, 60).tril())
        half = torch.zeros(60, 40)
        half[:30] = pairs[:30]
        half[30:].normal_()
        self.register_buffer("mixed", half)


def test_data_written_into_a_weight_stays_as_it_was_written() -> None:
    real, model = _Places(), build(_Places, least=0)
    for name in ("pairs", "mask"):
        torch.testing.assert_close(getattr(model, name), getattr(real, name))
    ids = torch.tensor([[3, 59]])
    torch.testing.assert_close(model.copied(ids), real.copied(ids).detach(), check_stride=False)
    x = torch.randn(2, 60)
    torch.testing.assert_close(x @ model.scaled, (x @ real.scaled).detach())
    assert model.redrawn.source.given is None
    torch.testing.assert_close(model.mixed[:30], real.mixed[:30])
    assert abs(float(model.mixed[30:].std()) - 1) < 0.1
