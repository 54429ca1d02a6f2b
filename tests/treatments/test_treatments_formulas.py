"""Each formula against an oracle worked by hand, by Monte Carlo, or by torch's own parts."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evenflow.treatments import treat_
from evenflow.treatments.live.attend import SigmaReparam
from evenflow.treatments.live.clip import ByZ, agc_factor
from evenflow.treatments.live.dropout import alpha_constants
from evenflow.treatments.live.initial import critical_point
from evenflow.treatments.live.revive import scores
from evenflow.treatments.live.standardise import statistics
from tests.treatments.nets import make, mlp, rows, train


def outputs(model: nn.Module, x: Tensor, kinds: tuple[type, ...]) -> list[Tensor]:
    seen: list[Tensor] = []
    hooks = [
        m.register_forward_hook(lambda m, a, out: seen.append(out.detach().clone()))
        for m in model.modules()
        if isinstance(m, kinds)
    ]
    model(x)
    for h in hooks:
        h.remove()
    return seen


def test_centred_lsuv_gives_each_unit_mean_0_and_deviation_1() -> None:
    model, x = mlp(nn.Sigmoid, 6), rows(200) * 3 + 1
    treat_(model, None, "init=lsuv-centred", x)
    *hidden, head = outputs(model, x, (nn.Linear,))
    for z in hidden:
        assert torch.allclose(z.mean(0), torch.zeros(8), atol=1e-4)
        assert torch.allclose(z.std(0, correction=0), torch.ones(8), atol=1e-4)
    assert math.isclose(float(head.std(correction=0)), 1, rel_tol=1e-4)


def test_plain_lsuv_scales_whole_layers_and_keeps_them_orthogonal() -> None:
    model, x = mlp(nn.ReLU, 4), rows(200) * 3
    treat_(model, None, "init=lsuv", x)
    for z in outputs(model, x, (nn.Linear,)):
        assert math.isclose(float(z.std(correction=0)), 1, rel_tol=1e-4)
    w = model[2].weight.detach()
    gram = w @ w.T
    assert torch.allclose(gram, gram[0, 0] * torch.eye(8), atol=1e-5)
    assert all(not m.bias.any() for m in model if isinstance(m, nn.Linear))


def test_lsuv_of_convolutions_and_functional_weights() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.up = nn.Conv2d(3, 8, 3), nn.ConvTranspose2d(8, 6, 2)
            self.w, self.head = nn.Parameter(torch.randn(6, 5)), nn.Linear(5, 2)
            self.z: list[Tensor] = []

        def forward(self, x: Tensor) -> Tensor:
            a = self.conv(x)
            b = self.up(torch.tanh(a))
            c = torch.tanh(b).mean((2, 3)) @ self.w
            self.z = [a, b, c]
            return self.head(torch.tanh(c))

    model, x = Net(), torch.randn(16, 3, 8, 8)
    treat_(model, None, "init=lsuv-centred", x)
    model(x)
    for z in model.z[:2]:
        assert torch.allclose(z.std((0, 2, 3), correction=0), torch.ones(z.shape[1]), atol=1e-3)
        assert torch.allclose(z.mean((0, 2, 3)), torch.zeros(z.shape[1]), atol=1e-3)
    assert torch.allclose(model.z[2].std(0, correction=0), torch.ones(5), atol=1e-3)


def test_a_unit_without_spread_is_left_finite() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 2))
    treat_(model, None, "init=lsuv-centred", torch.ones(16, 3))
    assert all(p.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("op", "f"),
    [("relu", F.relu), ("tanh", torch.tanh), ("gelu", F.gelu), ("silu", F.silu), ("elu", F.elu)],
)
def test_chi_is_one_by_monte_carlo(op: str, f) -> None:  # type: ignore[no-untyped-def]
    point = critical_point(op)
    g = torch.Generator().manual_seed(0)
    q = max(point.q, 1e-8)
    z = torch.randn(400_000, generator=g, dtype=torch.float64) * math.sqrt(q)
    z.requires_grad_(True)
    a = f(z)
    (slope,) = torch.autograd.grad(a.sum(), z)
    assert math.isclose(point.sw2 * float((slope**2).mean()), 1, rel_tol=0.01)
    there = point.sw2 * float((a.detach() ** 2).mean()) + point.sb2
    assert math.isclose(there, q, rel_tol=0.02)


def test_gain_comes_from_the_activation_before_the_layer() -> None:
    model, x = mlp(nn.ReLU, 3, width=64), rows()
    treat_(model, None, "init=orthogonal", x)
    for i, gain2 in ((2, 2.0), (4, 2.0), (6, 1.0)):
        w = model[i].weight.detach()
        gram = w @ w.T / gain2
        assert torch.allclose(gram, torch.eye(len(w)), atol=1e-5), i
    first = model[0].weight.detach()  # more outputs than inputs: E z² = E x² all the same
    assert torch.allclose(first.T @ first, torch.eye(6) * 64 / 6, atol=1e-4)
    treat_(model, None, "init=orthogonal:0.5", x)
    assert torch.allclose(model[2].weight @ model[2].weight.T, 0.5 * torch.eye(64), atol=1e-5)


def test_leaky_slope_is_read_off_the_call() -> None:
    model = nn.Sequential(nn.Linear(6, 64), nn.LeakyReLU(0.5), nn.Linear(64, 64), nn.ReLU(),
                          nn.Linear(64, 2))  # fmt: skip
    treat_(model, None, "init=orthogonal", rows())
    w = model[2].weight.detach()
    assert math.isclose(float((w @ w.T)[0, 0]), 2 / 1.25, rel_tol=1e-4)
    treat_(model, None, "init=he", rows())
    assert math.isclose(float(model[2].weight.detach().var() * 64), 2 / 1.25, rel_tol=0.08)


@pytest.mark.parametrize(
    ("kind", "variance"), [("he", 2 / 256), ("lecun", 1 / 256), ("xavier", 2 / (256 + 512))]
)
def test_normal_starts_have_their_variance(kind: str, variance: float) -> None:
    model = nn.Sequential(
        nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 2)
    )
    treat_(model, None, f"init={kind}", torch.randn(4, 256))
    w = model[2].weight
    assert math.isclose(float(w.detach().var()), variance, rel_tol=0.03) and not model[2].bias.any()


def test_delta_orthogonal_kernels_keep_norms() -> None:
    model = nn.Sequential(
        nn.Conv2d(4, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, 8, 3, padding=1), nn.Tanh(),
        nn.Flatten(), nn.Linear(8 * 36, 2),
    )  # fmt: skip
    treat_(model, None, "init=delta-orthogonal", torch.randn(2, 4, 6, 6))
    w = model[2].weight.detach()
    assert torch.allclose(w[:, :, 1, 1] @ w[:, :, 1, 1].T, torch.eye(8), atol=1e-5)
    assert float(w.abs().sum() - w[:, :, 1, 1].abs().sum()) == 0
    x = torch.randn(3, 8, 6, 6)
    assert torch.allclose(model[2](x).norm(), x.norm(), rtol=1e-5)


def test_agc_by_hand() -> None:
    w = torch.tensor([[3.0, 4.0], [0.0, 0.0]])  # norms 5 and, at least, 0.001
    g = torch.tensor([[6.0, 8.0], [3e-6, 4e-6]])  # norms 10 and 5e-6
    assert torch.allclose(agc_factor(w, g, 0.1), torch.tensor([[0.05], [1.0]]))
    assert torch.allclose(agc_factor(w, g * 100, 0.1), torch.tensor([[0.0005], [0.2]]))
    bias, its_own = torch.tensor([3.0, 4.0]), torch.tensor([0.0, 2.0])
    assert torch.allclose(agc_factor(bias, its_own, 0.1), torch.tensor([0.25]))


def test_agc_leaves_the_head_alone() -> None:
    model, x = make("relu")
    opt = torch.optim.SGD(model.parameters(), 1.0)
    treat_(model, opt, "clip=agc:0.0001", x)
    before = copy.deepcopy(model)
    model(x).square().sum().backward()
    head = model[4].weight.grad.clone()
    opt.step()
    assert torch.equal(model[4].weight, before[4].weight - head)
    moved = (model[0].weight - before[0].weight).norm(dim=1)
    assert (moved <= 1.0001e-4 * before[0].weight.norm(dim=1)).all()


def test_zclip_by_hand() -> None:
    stage, g = ByZ(2.5), np.random.default_rng(0).normal(10, 1, 25)
    assert [stage.limit(float(n)) for n in g] == list(g)
    mean, std = float(g.mean()), float(g.std())
    z = (100 - mean) / (std + 1e-6)
    assert math.isclose(stage.limit(100.0), mean + 2.5**2 / z * std, rel_tol=1e-9)
    assert stage.limit(mean) == mean
    assert math.isinf(stage.limit(math.inf))  # that is the guard's business


def test_clip_by_norm_and_value_as_torch_does() -> None:
    for text, clip in (
        ("clip=norm:0.01", lambda p: nn.utils.clip_grad_norm_(p, 0.01)),
        ("clip=value:0.001", lambda p: nn.utils.clip_grad_value_(p, 0.001)),
    ):
        model, x = make("relu")
        twin = copy.deepcopy(model)
        opt, other = (torch.optim.SGD(m.parameters(), 0.5) for m in (model, twin))
        treat_(model, opt, text)
        train(model, opt, x, 1)
        twin(x).square().mean().backward()
        clip(list(twin.parameters()))
        other.step()
        for p, q in zip(model.parameters(), twin.parameters(), strict=True):
            assert torch.allclose(p, q, rtol=1e-5, atol=1e-7)


def test_redo_scores_by_hand() -> None:
    h = torch.tensor([[1.0, 0.0, -3.0], [1.0, 0.0, 5.0]])
    assert torch.allclose(scores(h, -1), torch.tensor([0.6, 0.0, 2.4]))
    maps = torch.zeros(2, 3, 4, 4)
    maps[:, 1] = 2.0
    assert torch.allclose(scores(maps, 1), torch.tensor([0.0, 3.0, 0.0]))
    assert not scores(torch.zeros(4, 5), -1).any()


def test_revival_wakes_the_dead_and_keeps_outputs() -> None:
    model, x = make("relu")
    opt = torch.optim.Adam(model.parameters(), 1e-2)
    train(model, opt, x)
    with torch.no_grad():
        model[0].bias[:3] = -100.0
    out = model(x).detach()
    dead = (torch.relu(model[0](x)) == 0).all(0)
    assert int(dead.sum()) >= 3
    living = model[0].weight[~dead].detach().clone()
    living_later = (model[:4](x) > 0).any(0)
    moments = opt.state[model[0].weight]["exp_avg"].clone()
    treat_(model, opt, "revive=0", x)
    assert torch.allclose(model(x), out, rtol=1e-5, atol=1e-6)
    assert (torch.relu(model[0](x)) > 0).any(0)[dead].float().mean() > 0.5
    assert torch.equal(model[0].weight[~dead], living)
    assert not opt.state[model[0].weight]["exp_avg"][dead].any()
    assert torch.equal(opt.state[model[0].weight]["exp_avg"][~dead], moments[~dead])
    later = model[2].weight[:, dead][living_later]  # the others were drawn anew themselves
    assert not later.any() and not model[0].bias[dead].any()


def test_inputs_are_standardised_inside_the_model() -> None:
    x = rows(100) * torch.tensor([1.0, 10, 100, 1e3, 1e4, 0]) + 5
    shift, scale, _, _ = statistics(x, "standardise", 1.0)
    assert torch.allclose(shift, x.mean(0), rtol=1e-4)
    assert torch.allclose(scale[0, :5], x.std(0, correction=0)[:5], rtol=1e-4)
    assert scale[0, 5] == 1  # a constant feature
    model, _ = make("relu")
    twin = copy.deepcopy(model)
    treat_(model, None, "input=standardise", x)
    assert torch.allclose(model(x), twin((x - shift) / scale), rtol=1e-4, atol=1e-5)
    low, high = x.amin(0), x.amax(0)
    model = copy.deepcopy(twin)
    treat_(model, None, "input=minmax", x)
    assert torch.allclose(model(x), twin((x - low) / (high - low).clamp_min(1)), atol=1e-4)


def test_outliers_are_clamped_at_robust_deviations() -> None:
    x = torch.randn(2001, 2, generator=torch.Generator().manual_seed(0))
    x[0, 0], x[1, 1] = 1e6, torch.nan
    _, _, low, high = statistics(x, "clamp", 10.0)
    assert torch.allclose(high, torch.full((1, 2), 10.0), rtol=0.1)
    assert torch.allclose(low, torch.full((1, 2), -10.0), rtol=0.1)


def test_running_statistics_average_the_first_batches() -> None:
    model, _ = make("relu")
    one, two = rows(50), rows(50) * 3 + 4
    treat_(model, None, "input=standardise:running", one)
    graft = model[0].evenflow_grafts[0]
    model(two)
    expected = (one.mean(0) + two.mean(0)) / 2
    assert torch.allclose(graft.shift[0], expected, rtol=1e-4)
    model.eval()
    model(one)
    assert torch.allclose(graft.shift[0], expected, rtol=1e-4)


def test_images_are_standardised_by_channel() -> None:
    x = torch.randn(8, 3, 5, 5) * 7 + 2
    shift, scale, _, _ = statistics(x, "standardise", 1.0)
    assert shift.shape == (1, 3, 1, 1)
    assert torch.allclose(scale.flatten(), x.std((0, 2, 3), correction=0), rtol=1e-4)


def test_a_standardised_target_trains_as_if_the_data_were() -> None:
    x, y = rows(64), rows(64, 1) * 80 + 250
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))
    twin = copy.deepcopy(model)
    mean, std = 250.0, 80.0
    treat_(model, None, f"target=standardise:{mean}:{std}", x)
    F.mse_loss(model(x), y).backward()
    F.mse_loss(twin(x), (y - mean) / std).backward()
    assert torch.allclose(model(x), twin(x) * std + mean, rtol=1e-4)
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(p.grad, q.grad, rtol=1e-3, atol=1e-5)


def test_alpha_dropout_keeps_mean_and_variance_as_torchs_does() -> None:
    a, b = alpha_constants(0.1)
    g = torch.Generator().manual_seed(0)
    x = torch.randn(200_000, generator=g)
    keep = torch.rand(200_000, generator=g) >= 0.1
    y = a * torch.where(keep, x, torch.full_like(x, -1.7580993408473766)) + b
    assert abs(float(y.mean())) < 0.01 and math.isclose(float(y.std()), 1, rel_tol=0.01)
    torch.manual_seed(0)
    z = F.alpha_dropout(x, 0.1, True)
    kept, dropped = a * x + b, a * -1.7580993408473766 + b
    near = torch.isclose(z, kept, atol=1e-5) | torch.isclose(z, torch.tensor(dropped), atol=1e-5)
    assert near.all()


def test_sigma_reparam_has_the_spectral_norm() -> None:
    w = torch.randn(12, 7, generator=torch.Generator().manual_seed(1))
    made = SigmaReparam(w, torch.Generator().manual_seed(0))
    assert math.isclose(float(made.gamma.detach()), float(torch.linalg.svdvals(w)[0]), rel_tol=1e-5)
    made.eval()
    assert torch.allclose(made(3 * w), w, rtol=1e-4)  # growth of W no longer shows


def test_rezero_begins_as_the_identity_and_learns() -> None:
    model, x = make("residual")
    opt = torch.optim.SGD(model.parameters(), 0.1)
    treat_(model, opt, "rezero", x)
    assert torch.equal(model(x), model.head(model.stem(x)))
    train(model, opt, x)
    alphas = [p for n, p in model.named_parameters() if n.endswith("alpha")]
    assert len(alphas) == 2 and all(float(a.detach()) != 0 for a in alphas)
    plain = mlp(nn.Tanh, 5)
    treat_(plain, None, "rezero", rows())
    assert torch.allclose(plain(rows()), plain[-1](torch.tanh(plain[0](rows()))))


def test_rezero_of_functional_activations() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 8)
            self.head = nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            h = torch.tanh(self.a(x))
            h = torch.tanh(self.b(h))
            return self.head(torch.tanh(self.c(h)))

    model, x = Net(), rows()
    treat_(model, None, "rezero", x)
    assert torch.allclose(model(x), model.head(torch.tanh(model.a(x))))
    with torch.no_grad():
        model.b.evenflow_grafts[0].alpha.fill_(0.5)
        h = torch.tanh(nn.Linear.forward(model.a, x))
        h = h + 0.5 * torch.tanh(F.linear(h, model.b.weight, model.b.bias))
    assert torch.allclose(model(x), model.head(h))


def test_recurrent_weights_are_orthogonal_block_by_block() -> None:
    for name in ("rnn", "lstm", "cell"):
        model, x = make(name)
        treat_(model, None, "recurrent=orthogonal", x)
        w = model.h.weight if name == "cell" else model.rnn.weight_hh_l0
        for block in w.detach().split(8):
            assert torch.allclose(block @ block.T, torch.eye(8), atol=1e-5)
    model, x = make("lstm")
    treat_(model, None, "recurrent=forget-bias:2", x)
    both = (model.rnn.bias_ih_l0 + model.rnn.bias_hh_l0)[8:16]
    assert torch.equal(both, torch.full((8,), 2.0))


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_a_gated_layer_takes_an_rnns_place(kind: str) -> None:
    model, x = make("rnn")
    treat_(model, None, f"recurrent={kind}", x)
    layer = model.rnn.evenflow_grafts[0].layer
    assert torch.equal(model.rnn(x)[0], layer(x)[0])
    out, h = model.rnn(x, torch.randn(1, 16, 8))
    assert out.shape == (16, 7, 8) and h.shape == (1, 16, 8)


def test_truncation_cuts_gradients_and_nothing_else() -> None:
    for name in ("rnn", "lstm"):
        model, x = make(name)
        before = model(x).detach()
        treat_(model, None, "recurrent=truncate:3", x)
        x.requires_grad_(True)
        out = model(x)
        assert torch.allclose(out, before, rtol=1e-5, atol=1e-6)
        out.sum().backward()
        reached = x.grad.abs().sum((0, 2)) > 0  # 7 steps in pieces of 3, 3, 1
        assert reached.tolist() == [False] * 6 + [True]
        x.requires_grad_(False)


def test_rates_hold_for_the_update_alone() -> None:
    p = nn.Parameter(torch.zeros(1))
    model = nn.ParameterList([p])
    opt = torch.optim.SGD([p], lr=1.0)
    treat_(model, opt, "warmup=4; lr=x0.5")
    steps = []
    for _ in range(6):
        before = p.item()
        p.grad = torch.ones(1)
        opt.step()
        steps.append(before - p.item())
        assert opt.param_groups[0]["lr"] == 1.0
    assert np.allclose(steps, [0.125, 0.25, 0.375, 0.5, 0.5, 0.5])


def test_a_decaying_rate_falls_along_a_line_to_a_hundredth() -> None:
    p = nn.Parameter(torch.zeros(1))
    opt = torch.optim.SGD([p], lr=2.0)
    treat_(nn.ParameterList([p]), opt, "decay=4")
    steps = []
    for _ in range(6):
        before = p.item()
        p.grad = torch.ones(1)
        opt.step()
        steps.append(before - p.item())
    assert np.allclose(steps, [2.0, 1.5, 1.0, 0.5, 0.02, 0.02])


@pytest.mark.parametrize("scheduled", [False, True])
def test_warm_up_and_decay_govern_another_optimizer_too(scheduled: bool) -> None:
    """The other optimizer's rate is relative to the script's own, not to the first, warmed one."""
    p = nn.Parameter(torch.zeros(1))
    opt = torch.optim.SGD([p], lr=5.0)
    sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda t: 1.0) if scheduled else None
    treat_(nn.ParameterList([p]), opt, "optimizer=sgd:0.1; momentum=0; warmup=2; decay=4")
    steps = []
    for _ in range(4):
        before = p.item()
        p.grad = torch.ones(1)
        opt.step()
        p.grad = None
        steps.append(before - p.item())
        if sched is not None:
            sched.step()
    velocity, expected = 0.0, []  # torch's SGD: the velocity gathers gradients, not steps
    for rate in (0.05, 0.075, 0.05, 0.025):
        velocity = 0.9 * velocity + 1.0
        expected.append(rate * velocity)
    assert np.allclose(steps, expected)


def test_a_set_rate_keeps_the_schedules_shape() -> None:
    p = nn.Parameter(torch.zeros(1))
    opt = torch.optim.SGD([p], lr=1.0)
    sched = torch.optim.lr_scheduler.StepLR(opt, 1, 0.5)
    treat_(nn.ParameterList([p]), opt, "lr=0.01")
    steps = []
    for _ in range(3):
        before = p.item()
        p.grad = torch.ones(1)
        opt.step()
        sched.step()
        steps.append(before - p.item())
    assert np.allclose(steps, [0.01, 0.005, 0.0025])


def test_another_optimizer_does_exactly_what_it_would_alone() -> None:
    model, x = make("tanh")
    twin = copy.deepcopy(model)
    opt = torch.optim.SGD(model.parameters(), 0.3)
    treat_(model, opt, "optimizer=adam:0.01")
    train(model, opt, x, 5)
    train(twin, torch.optim.Adam(twin.parameters(), 0.01), x, 5)
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(p, q) and p.grad is not None


@pytest.mark.parametrize(("text", "power"), [("l1=0.1", 1), ("l2=0.1", 2)])
def test_penalties_are_the_gradients_of_their_loss(text: str, power: int) -> None:
    model, x = make("tanh")
    twin = copy.deepcopy(model)
    opt = torch.optim.SGD(model.parameters(), 0.3)
    treat_(model, opt, text)
    train(model, opt, x, 1)
    matrices = [p for p in twin.parameters() if p.dim() > 1]
    penalty = sum(p.abs().sum() if power == 1 else p.square().sum() / 2 for p in matrices)
    (twin(x).square().mean() + 0.1 * penalty).backward()
    torch.optim.SGD(twin.parameters(), 0.3).step()
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(p, q, atol=1e-6)


class Mixing(nn.Module):
    """x + attention(x) with torch's own attention, whose weights no layer's call shows."""

    def __init__(self, keys: int = 16) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(16, 4, batch_first=True, kdim=keys, vdim=keys)
        self.memory = torch.randn(64, 7, keys, generator=torch.Generator().manual_seed(2))
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        same = self.memory.shape[-1] == 16
        memory = x if same else self.memory[: len(x)]
        return self.head(x + self.attn(x, memory, memory, need_weights=False)[0])


@pytest.mark.parametrize("keys", [16, 5])
@pytest.mark.parametrize("start", ["lsuv", "lsuv-centred", "xavier", "lecun", "orthogonal", "he"])
def test_starts_reach_the_weights_inside_torchs_attention(start: str, keys: int) -> None:
    model = Mixing(keys)
    attn = model.attn
    before = [p.detach().clone() for p in model.parameters()]
    with torch.no_grad():
        for p in attn.parameters():
            p.mul_(30).add_(1)
    spoilt = [p.detach().clone() for p in model.parameters()]
    x = torch.randn(64, 7, 16, generator=torch.Generator().manual_seed(1))
    undo = treat_(model, torch.optim.Adam(model.parameters()), f"init={start}", x)
    weights = [w for n, w in attn.named_parameters() if n.endswith("proj_weight")]
    parts = [w for p in weights for w in (p.chunk(3) if p.shape[0] == 48 else (p,))]
    assert len(parts) == 3
    for w in (*parts, attn.out_proj.weight):
        assert float(w.detach().std()) < 3 * w.shape[1] ** -0.5
    assert attn.in_proj_bias.eq(0).all() and attn.out_proj.bias.eq(0).all()
    if start.startswith("lsuv"):
        memory = x if keys == 16 else model.memory
        for w, given in zip(parts, (x, memory, memory), strict=True):
            assert float((given @ w.T).detach().std(correction=0)) == pytest.approx(1, abs=1e-4)
        out = attn(x, memory, memory, need_weights=False)[0]
        assert float(out.detach().std(correction=0)) == pytest.approx(1, abs=1e-4)
    if start == "orthogonal" and keys == 16:
        assert torch.allclose(parts[1] @ parts[1].T, torch.eye(16), atol=1e-5)
    undo.undo()
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), spoilt, strict=True))
    assert not all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))


def test_rezero_of_torchs_attention() -> None:
    class Stemmed(Mixing):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.relu())

    model = Stemmed()
    x = torch.randn(8, 7, 16)
    whole = model(x)
    undo = treat_(model, torch.optim.Adam(model.parameters()), "rezero", x)
    assert torch.equal(model(x), model.head(x.relu()))
    model.eval()
    assert torch.equal(model(x), model.head(x.relu()))
    model.train()
    undo.undo()
    assert torch.equal(model(x), whole)
