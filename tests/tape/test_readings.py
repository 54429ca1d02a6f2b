"""What the tape reads, against plain torch: retained gradients, hooks' outputs, norms by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.schema import Run


def watch_one(path: Path, train: Callable[[], Any], **options: Any) -> Run:
    with evenflow.watch(run=path / "r.evenflow", every=1, **options) as watch:
        train()
    return evenflow.load(watch.path)


def by_path(run: Run) -> dict[str, int]:
    """Last site of each module path (call 0)."""
    return {s.path: s.id for s in run.sites if s.call == 0 and s.kind not in ("input", "loss")}


def value(run: Run, site: int, metric: str) -> float:
    column = run.site(site, metric)
    assert column is not None, (run.sites[site].name, metric)
    return float(column[0])


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.Sigmoid(), nn.Linear(8, 3))


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(36, 3),
    )  # fmt: skip


def sequence() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 3))


def transformer() -> nn.Module:
    layer = nn.TransformerEncoderLayer(6, 2, 8, 0.0, batch_first=True)
    return nn.Sequential(layer, nn.Linear(6, 3))


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "perceptron": (perceptron, (12, 6)),
    "cnn": (cnn, (5, 2, 8, 8)),
    "sequence": (sequence, (4, 7, 6)),
    "transformer": (transformer, (4, 7, 6)),
}


class _Unmoved(nn.Module):
    """`.to()`, `.contiguous()` and `.float()` of what is so already give the tensor itself."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.Linear(6, 3)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x).to(torch.float32).contiguous().float() + 1
        return x


MODELS["unmoved"] = (_Unmoved, (12, 6))


@pytest.mark.parametrize("name", MODELS)
def test_rms_and_delta_are_those_of_the_modules_outputs(name: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    model, x = MODELS[name][0](), torch.randn(MODELS[name][1])
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    outputs: dict[str, Tensor] = {}

    def keep(path: str) -> Callable[..., None]:
        def hook(m: nn.Module, args: Any, out: Any) -> None:
            if isinstance(out, Tensor):
                out.retain_grad()
                outputs[path] = out

        return hook

    leaves = [(p, m) for p, m in model.named_modules() if not list(m.children())]
    handles = [m.register_forward_hook(keep(p)) for p, m in leaves]
    model(x).square().mean().backward()
    for h in handles:
        h.remove()
    optimizer.zero_grad()

    def train() -> None:
        model(x).square().mean().backward()
        optimizer.step()

    run = watch_one(tmp_path, train)
    sites = by_path(run)
    seen = 0
    for path, out in outputs.items():
        if path not in sites or isinstance(dict(leaves)[path], nn.Flatten) or out.grad is None:
            continue
        seen += 1
        site = sites[path]
        assert value(run, site, "rms") == pytest.approx(
            float(out.detach().square().mean().sqrt()), rel=1e-5
        )
        assert value(run, site, "delta") == pytest.approx(
            float(out.grad.square().mean().sqrt()), rel=1e-4
        )
        assert value(run, site, "absmax") == pytest.approx(
            float(out.detach().abs().max()), rel=1e-5
        )
        assert run.sites[site].shape == tuple(out.shape)
    assert seen >= 4


def test_parameters_gradient_weight_and_applied_update(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, x = nn.Linear(4, 2), torch.randn(8, 4)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=0.01)
    before = model.weight.detach().clone()
    grad: list[Tensor] = []

    def train() -> None:
        model(x).square().mean().backward()
        assert model.weight.grad is not None
        grad.append(model.weight.grad.clone())
        optimizer.step()

    run = watch_one(tmp_path, train)
    weight = next(p.id for p in run.params if p.name == "Linear.weight")
    told = {m: float(run.param(weight, m)[0]) for m in ("grad", "weight", "update")}  # type: ignore[index]
    moved = float((model.weight.detach() - before).norm())
    assert told == pytest.approx(
        {"grad": float(grad[0].norm()), "weight": float(before.norm()), "update": moved}, rel=1e-5
    )
    assert [float(run.step(m)[0]) for m in ("lr", "momentum")] == pytest.approx([0.1, 0.9])  # type: ignore[index]
    assert run.params[weight].optimizer == 0


def test_shares_at_forks_sum_to_one_and_are_inner_products(tmp_path: Path) -> None:
    torch.manual_seed(0)
    a, b, c, first = (nn.Linear(5, 5) for _ in range(4))
    x = torch.randn(7, 5)
    h = first(x).detach().requires_grad_()
    parts = []
    for f in (a, b, c):
        (g,) = torch.autograd.grad(f(h).tanh().sum(), h)
        parts.append(g)
    whole = sum(parts)
    expected = sorted(float((g * whole).sum() / (whole * whole).sum()) for g in parts)  # type: ignore[operator]

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.a, self.b, self.c = first, a, b, c

        def forward(self, x: Tensor, two: bool) -> Tensor:
            h = self.first(x)
            out = self.a(h).tanh().sum() + self.b(h).tanh().sum()
            return out if two else out + self.c(h).tanh().sum()

    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), 0.0)

    def train(two: bool) -> Callable[[], None]:
        def go() -> None:
            optimizer.zero_grad()
            net(x, two).backward()
            optimizer.step()

        return go

    run = watch_one(tmp_path, train(False))
    got = sorted(float(v[0]) for ch, v in run.columns.items() if ch.metric == "share")
    assert got == pytest.approx(expected, abs=1e-5) and sum(got) == pytest.approx(1)

    pair = parts[0] + parts[1]
    run = watch_one(tmp_path, train(True))
    got = sorted(float(v[0]) for ch, v in run.columns.items() if ch.metric == "share")
    two = sorted(float((g * pair).sum() / (pair * pair).sum()) for g in parts[:2])
    assert got == pytest.approx(two, abs=1e-5)


def test_dead_units_need_every_batch_of_the_window(tmp_path: Path) -> None:
    layer, head = nn.Linear(2, 4), nn.Linear(4, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]]))
        layer.bias.copy_(torch.tensor([0.0, 0, 0, -9]))  # the last is off for |x| < 9
        head.weight.fill_(1.0)
    net = nn.Sequential(layer, nn.ReLU(), head)
    optimizer = torch.optim.SGD(net.parameters(), 0.0)
    batches = [torch.tensor([[1.0, 1.0]]), torch.tensor([[-1.0, 1.0]]), torch.tensor([[1.0, 1.0]])]

    def train() -> None:
        for x in batches:
            net(x).sum().backward()
            optimizer.step()

    run = watch_one(tmp_path, train)
    relu = next(s.id for s in run.sites if s.op == "relu")
    assert run.site(relu, "dead") == pytest.approx([0.5, 0.25, 0.25])  # type: ignore[comparison-overlap]
    assert run.site(relu, "observed") == pytest.approx([1, 2, 3])  # type: ignore[comparison-overlap]
    assert run.site(relu, "zeros") == pytest.approx([0.5, 0.5, 0.5])  # type: ignore[comparison-overlap]


def test_slope_and_saturation_of_a_sigmoid(tmp_path: Path) -> None:
    z = torch.tensor([[0.0, 1.0, -8.0, 8.0]])
    net = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Sigmoid())
    with torch.no_grad():
        net[0].weight.copy_(torch.eye(4))
    optimizer = torch.optim.SGD(net.parameters(), 0.0)

    def train() -> None:
        net(z).sum().backward()
        optimizer.step()

    run = watch_one(tmp_path, train)
    site = next(s.id for s in run.sites if s.op == "sigmoid")
    s = torch.sigmoid(z)
    assert value(run, site, "slope") == pytest.approx(
        float((s * (1 - s)).square().mean().sqrt()), rel=1e-4
    )
    assert value(run, site, "saturated") == 0.5


def test_deltas_are_unscaled_under_a_scaler(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, x, y = nn.Linear(4, 3), torch.randn(8, 4), torch.randint(0, 3, (8,))
    optimizer = torch.optim.SGD(net.parameters(), 0.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)

    def scaled() -> None:
        scaler.scale(F.cross_entropy(net(x), y)).backward()
        scaler.step(optimizer)
        scaler.update()

    run = watch_one(tmp_path, scaled)
    out = net(x)
    out.retain_grad()
    loss = F.cross_entropy(out, y)
    optimizer.zero_grad()
    loss.backward()
    site = next(s.id for s in run.sites if s.op == "linear")
    assert out.grad is not None and net.weight.grad is not None
    assert value(run, site, "delta") == pytest.approx(
        float(out.grad.square().mean().sqrt()), rel=1e-4
    )
    assert float(run.step("loss")[0]) == pytest.approx(float(loss.detach()))  # type: ignore[index]
    assert float(run.step("scale")[0]) == 1024  # type: ignore[index]
    weight = next(p.id for p in run.params if p.name == "Linear.weight")
    assert float(run.param(weight, "grad")[0]) == pytest.approx(
        float(net.weight.grad.norm()), rel=1e-4
    )  # type: ignore[index]
    assert run.curve_loss[0] == pytest.approx(float(loss.detach()))


def test_calls_of_a_cell_are_told_apart(tmp_path: Path) -> None:
    cell = nn.RNNCell(3, 3)
    optimizer = torch.optim.SGD(cell.parameters(), 0.1)

    def train() -> None:
        for _ in range(2):
            h = torch.zeros(2, 3)
            for _ in range(5):
                h = cell(torch.ones(2, 3), h)
            h.sum().backward()
            optimizer.step()

    run = watch_one(tmp_path, train)
    calls = [s.call for s in run.sites if s.kind == "recurrent"]
    assert calls == [0, 1, 2, 3, 4]
    for s in run.sites:
        if s.kind == "recurrent" and s.call:
            assert any(run.sites[i].call == s.call - 1 for i in s.inputs)


def test_a_checkpoint_shows_what_is_inside_it(tmp_path: Path) -> None:
    from networks import KINDS

    for name in ("checkpoint_plain", "checkpoint_reentrant"):
        run = watch_one(tmp_path, lambda name=name: KINDS[name](3))
        inside = [s for s in run.sites if s.path.startswith("body.")]
        assert {"linear", "relu"} <= {s.op for s in inside}
        for s in inside:
            assert run.site(s.id, "delta") is not None, s.name


def test_several_optimizers_take_turns(tmp_path: Path) -> None:
    from networks import KINDS

    with evenflow.watch(run=tmp_path / "g.evenflow", every=7) as watch:
        KINDS["gan"](200)
    run = evenflow.load(watch.path)
    turns = run.step("optimizer")
    assert turns is not None and set(turns.tolist()) == {0, 1}
    late = run.steps[run.steps > 9]  # the other one's turn is sampled too, whoever's is due
    assert len(late) > 20
    assert all(b == a + 1 for a, b in zip(late[::2], late[1::2], strict=False))
    assert not [s for s in run.sites if not s.root and s.kind != "join"], "ops without a home"


def test_skipped_updates_are_events_and_no_steps(tmp_path: Path) -> None:
    from networks import KINDS

    with evenflow.watch(run=tmp_path / "g.evenflow") as watch:
        KINDS["autocast_fp16_scaler"](100)
    run = evenflow.load(watch.path)
    skips = sum(e.kind == "skipped" for e in run.events)
    assert skips > 0 and run.meta["steps"] == 100 - skips


def test_updates_by_hand_are_seen(tmp_path: Path) -> None:
    w = torch.ones(3, requires_grad=True)

    def train() -> None:
        for _ in range(4):
            (w * w).sum().backward()
            with torch.no_grad():
                assert w.grad is not None
                w.sub_(w.grad, alpha=0.1)
                w.grad = None

    run = watch_one(tmp_path, train)
    assert run.meta["steps"] == 4 and list(run.steps) == [0, 1, 2, 3]
    update, weight = run.param(0, "update"), run.param(0, "weight")
    assert update is not None and weight is not None
    assert update / weight == pytest.approx([0.2] * 4, rel=1e-5)


def test_attention_entropy(tmp_path: Path) -> None:
    torch.manual_seed(0)
    attend = nn.MultiheadAttention(8, 2, batch_first=True)
    with torch.no_grad():
        attend.in_proj_weight[:8].zero_()  # no query: every key alike
    x = torch.randn(2, 5, 8)
    optimizer = torch.optim.SGD(attend.parameters(), 0.0)

    def train(**options: Any) -> Callable[[], None]:
        def go() -> None:
            attend(x, x, x, **options)[0].sum().backward()
            optimizer.step()

        return go

    for options in ({"need_weights": False}, {"need_weights": True}):
        run = watch_one(tmp_path, train(**options))
        site = next(s.id for s in run.sites if s.kind == "attention")
        assert value(run, site, "entropy") == pytest.approx(1, abs=1e-4)
    with torch.no_grad():
        attend.in_proj_weight[:16] = torch.randn(16, 8) * 60
    run = watch_one(tmp_path, train(need_weights=False))
    site = next(s.id for s in run.sites if s.kind == "attention")
    assert value(run, site, "entropy") < 0.3 and value(run, site, "logit_max") > 50
