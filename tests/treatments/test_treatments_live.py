"""Treated models among everything a script may do: compile, checkpoint, copies, DDP, late
optimizers, functional calls, wrong use."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from evenflow.treatments import parse, trace_forward, treat_
from evenflow.treatments.live.context import facts
from tests.treatments.nets import Functional, make, mlp, rows, train, transformer, words


def test_functional_calls_are_swapped_and_gates_and_outputs_kept() -> None:
    model, x = Functional(), rows()
    expected = copy.deepcopy(model)

    def forward(m: Any, x: Tensor) -> Tensor:
        def act(t: Tensor) -> Tensor:
            return F.leaky_relu(t, 0.2)

        h = act(m.a(x))
        h = act(m.b(h)) * torch.sigmoid(m.gate(h))
        return torch.sigmoid(m.head(act(m.c(h))))

    undo = treat_(model, None, "activation=relu->leaky_relu:0.2", x)
    out = model(x)
    assert torch.equal(out, forward(expected, x))
    out.sum().backward()
    forward(expected, x).sum().backward()
    for p, q in zip(model.parameters(), expected.parameters(), strict=True):
        assert torch.allclose(p.grad, q.grad)
    assert isinstance(model, Functional) and type(model).__name__ == "Functional"
    undo.undo()
    assert type(model) is Functional and torch.equal(model(x), expected(x))


def test_hidden_and_output_calls_of_one_function_are_told_apart() -> None:
    class Old(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 3)
            self.calls = 1

        def forward(self, x: Tensor) -> Tensor:
            h = self.a(x)
            for _ in range(self.calls):
                h = torch.sigmoid(h)
            return torch.sigmoid(self.b(h))

    model, x = Old(), rows()
    treat_(model, None, "activation=sigmoid->tanh", x)
    assert torch.equal(model(x), torch.sigmoid(model.b(torch.tanh(model.a(x)))))
    model.calls = 2
    with pytest.raises(RuntimeError, match="forward has changed"):
        model(x)


@pytest.mark.parametrize("reentrant", [False, True])
def test_swaps_hold_when_checkpointing_computes_again(reentrant: bool) -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line = nn.Linear(6, 6)

        def forward(self, x: Tensor) -> Tensor:
            return F.relu(self.line(x))

    class Net(nn.Module):
        def __init__(self, saving: bool) -> None:
            super().__init__()
            self.one, self.two, self.head = Block(), Block(), nn.Linear(6, 2)
            self.saving = saving

        def forward(self, x: Tensor) -> Tensor:
            for block in (self.one, self.two):
                x = checkpoint(block, x, use_reentrant=reentrant) if self.saving else block(x)
            return self.head(x)

    model = Net(True)
    twin = copy.deepcopy(model)
    twin.saving = False
    x = rows().requires_grad_(True)
    for m in (model, twin):
        treat_(m, None, "activation=relu->elu; dropout=0.3", x.detach(), seed=1)
        m(x).square().mean().backward()
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(p.grad, q.grad)


def test_a_call_inside_a_checkpointed_function_is_refused() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(checkpoint(lambda t: F.relu(self.a(t)), x, use_reentrant=False))

    with pytest.raises(ValueError, match="checkpointed function"):
        treat_(Net(), None, "activation=relu->elu", rows())


COMPILED = [
    ("functional", "activation=relu->leaky_relu:0.1"),
    ("residual", "rezero"),
    ("tanh", "norm=layer; input=standardise; clip=norm:1.0; lr=x0.5"),
    ("deep-relu", "tailored"),
]


@pytest.mark.parametrize(("name", "text"), COMPILED)
def test_compiled_models_are_treated_without_a_break(name: str, text: str) -> None:
    torch._dynamo.reset()
    model, x = make(name)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    compiled(x)
    opt = torch.optim.SGD(model.parameters(), 0.1)
    twin = copy.deepcopy(model)
    other = torch.optim.SGD(twin.parameters(), 0.1)
    undo = treat_(compiled, opt, text, x)
    treat_(twin, other, text, x)
    train(compiled, opt, x)
    train(twin, other, x)
    assert torch.allclose(compiled(x), twin(x), rtol=1e-4, atol=1e-6)
    undo.undo()
    plain, _ = make(name)
    assert torch.equal(compiled(x), plain(x))


def test_torchs_transformer_is_the_same_in_evaluation() -> None:
    x = words()
    for text in ("rezero", "activation=relu->gelu", "norm=layer"):
        model = transformer()
        for m in model.modules():
            if isinstance(m, nn.Dropout):
                m.p = 0.0
            if isinstance(m, nn.MultiheadAttention):
                m.dropout = 0.0
        treat_(model, None, text, x, force=True)
        with torch.no_grad():
            trained = model(x)
            model.eval()
            assert torch.allclose(model(x), trained, atol=1e-5), text


def test_attention_of_torchs_own_is_reparametrised_exactly() -> None:
    model, x = transformer().eval(), words()
    before = model(x)
    treat_(model, None, "attention=sigma-reparam", x)
    assert torch.allclose(model(x), before, rtol=1e-5, atol=1e-6)
    names = [n for n, _ in model.named_parameters() if "gamma" in n]
    assert len(names) == 2


def test_random_numbers_and_buffers_of_the_model_are_untouched() -> None:
    model = nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 2)
    )
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    buffers = copy.deepcopy(dict(model.named_buffers()))
    treat_(model, None, "init=lsuv-centred", rows())
    assert torch.equal(torch.rand(4), expected)
    assert all(torch.equal(b, buffers[n]) for n, b in model.named_buffers())
    assert all(m.training for m in model.modules())


def test_dropout_masks_come_from_seed_place_and_update() -> None:
    model, x = mlp(nn.ReLU, 2, 64), rows()
    opt = torch.optim.SGD(model.parameters(), 0.0)
    undo = treat_(model, opt, "dropout=0.5", x, seed=1)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    one, again = model(x), model(x)
    assert torch.equal(one, again) and torch.equal(torch.get_rng_state(), state)
    train(model, opt, x, 1)
    assert not torch.equal(model(x), one)
    model.eval()
    out = model(x)
    undo.undo()
    assert torch.equal(model.eval()(x), out)


def test_an_optimizer_that_comes_later_is_attached() -> None:
    model, x = make("residual")
    undo = treat_(model, None, "rezero; clip=norm:0.001", x)
    held = [p for n, p in model.named_parameters() if "alpha" not in n]
    opt = torch.optim.SGD(held, 1.0)
    undo.attach(opt)
    undo.attach(opt)
    assert len(opt.param_groups) == 1
    assert len(opt.param_groups[0]["params"]) == len(list(model.parameters()))
    before = [p.detach().clone() for p in model.parameters()]
    train(model, opt, x, 1)
    moved = sum((p - b).square().sum() for p, b in zip(model.parameters(), before, strict=True))
    assert float(moved.detach().sqrt()) <= 0.00101
    whole = torch.optim.SGD(model.parameters(), 1.0)
    undo.attach(whole)
    assert len(whole.param_groups[0]["params"]) == len(list(model.parameters()))
    undo.undo()
    for o in (opt, whole):
        assert not o._optimizer_step_pre_hooks and not o._optimizer_step_post_hooks
    assert len(opt.param_groups[0]["params"]) == len(held)


def test_another_networks_optimizer_gets_none_of_the_parameters() -> None:
    model, x = make("residual")
    mine = torch.optim.SGD(model.parameters(), 0.1)
    theirs = torch.optim.SGD(nn.Linear(2, 2).parameters(), 0.1)
    treat_(model, [theirs, mine], "rezero", x)
    assert len(theirs.param_groups[0]["params"]) == 2
    assert len(mine.param_groups[0]["params"]) == len(list(model.parameters()))


def test_new_parameters_join_the_group_of_their_neighbour() -> None:
    model, x = mlp(nn.Tanh, 2), rows()
    opt = torch.optim.SGD(
        [
            {"params": model[0].parameters(), "lr": 0.1},
            {"params": [*model[2].parameters(), *model[4].parameters()], "lr": 0.01},
        ]
    )
    treat_(model, opt, "norm=layer", x)
    assert [len(g["params"]) for g in opt.param_groups] == [4, 6]


def test_undo_twice_over_and_out_of_two_treatments() -> None:
    model, x = make("tanh")
    opt = torch.optim.SGD(model.parameters(), 1.0)
    start = [p.detach().clone() for p in model.parameters()]
    first = treat_(model, opt, "lr=x0.5", x)
    second = treat_(model, opt, "lr=x0.5", x)
    seen: list[float] = []
    opt.register_step_pre_hook(lambda o, a, k: seen.append(o.param_groups[0]["lr"]))
    train(model, opt, x, 1)
    second.undo()
    train(model, opt, x, 1)
    first.undo()
    train(model, opt, x, 1)
    assert seen == [0.25, 0.5, 1.0] and opt.param_groups[0]["lr"] == 1.0
    first = treat_(model, opt, "init=he", x)
    first.undo()
    del start


def test_treatments_in_ddp_agree_or_are_refused(tmp_path: Any) -> None:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/d", rank=0, world_size=1)
    try:
        model, x = make("tanh")
        ddp = nn.parallel.DistributedDataParallel(model)
        opt = torch.optim.SGD(ddp.parameters(), 0.1)
        treat_(ddp, opt, "init=lsuv-centred; clip=norm:1.0; input=standardise", x)
        train(ddp, opt, x)
        with pytest.raises(ValueError, match="before wrapping it"):
            treat_(ddp, opt, "norm=layer", x, force=True)
        assert not any("norm" in n for n, _ in model.named_parameters())
    finally:
        dist.destroy_process_group()


def test_wrong_use_says_what_to_do() -> None:
    model, x = make("relu")
    with pytest.raises(ValueError, match="give treat_ a batch"):
        treat_(model, None, "init=he")
    with pytest.raises(ValueError, match=r"outside the model.*softmax"):
        treat_(model, None, "edit=logits", x)
    with pytest.raises(ValueError, match=r"shapes \[\(4, 5\)\] failed"):
        treat_(model, None, "init=he", torch.randn(4, 5))
    with pytest.raises(ValueError, match="TorchScript"):
        with pytest.warns(DeprecationWarning):
            scripted = torch.jit.script(nn.Linear(2, 2))
        treat_(scripted, None, "lr=x0.1")
    with pytest.raises(ValueError, match="lazy modules"):
        treat_(nn.LazyLinear(3), None, "init=he", x)
    with pytest.raises(ValueError, match="every trainable parameter"):
        treat_(model, torch.optim.SGD(model.parameters(), 0.1), "parameters=all")
    with pytest.raises(ValueError, match="no momentum"):
        treat_(model, torch.optim.Adagrad(model.parameters(), 0.1), "momentum=0.9", x)
    undo = treat_(model, None, "lr=x0.1", keep=False)
    with pytest.raises(ValueError, match="nothing to go back to"):
        undo.undo()


def test_what_harms_can_be_forced() -> None:
    model, x = make("deep-relu")
    with pytest.raises(ValueError, match="refused"):
        treat_(model, None, "norm=batch", x)
    treat_(model, None, "norm=batch", x, force=True)
    assert sum(isinstance(m, nn.BatchNorm1d) for m in model.modules()) == 12


def test_treatments_of_one_text_are_judged_together() -> None:
    model, x = make("deep-sigmoid")
    with pytest.raises(ValueError, match="refused"):
        treat_(model, None, "init=orthogonal", x)
    treat_(model, None, "init=orthogonal; activation=sigmoid->centred_sigmoid", x)
    w = model[2].weight.detach()
    assert torch.allclose(w @ w.T, torch.eye(8), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("deep-relu", {"depth": 13, "activations": ("relu",), "hidden": 12, "square": 11}),
        ("residual", {"skips": True, "depth": 6}),
        ("projected", {"skips": True, "depth": 4, "activations": ("tanh",)}),
        ("shared", {"skips": False, "recurrent": frozenset()}),
        ("conv", {"convolution": True, "activations": ("relu",)}),
        ("rnn", {"recurrent": frozenset({"rnn_tanh"}), "skips": False}),
        ("cell", {"recurrent": frozenset({"cell"})}),
        ("functional", {"activations": ("relu",), "depth": 4}),
        ("attention", {"attention": True, "skips": False}),
        ("transformer", {"attention": True, "norms": frozenset({"layer_norm"})}),
    ],
)
def test_live_facts_and_a_runs_facts_tell_the_same(
    name: str, expected: dict[str, Any], tmp_path: Any
) -> None:
    import evenflow
    from evenflow.treatments import of_run

    model, x = make(name)
    opt = torch.optim.Adam(model.parameters(), 1e-3)
    live = facts(trace_forward(model, ((x,), {})), ((x,), {}), [opt])
    for key, value in expected.items():
        assert getattr(live, key) == value, key
    with evenflow.watch(model, opt, run=tmp_path / "r.evenflow", every=1) as watching:
        train(model, opt, x, 2)
    del watching
    stored = of_run(evenflow.load(tmp_path / "r.evenflow"))
    for key in ("activations", "norms", "skips", "attention", "convolution", "optimizer", "lr",
                "depth", "hidden", "square", "recurrent"):  # fmt: skip
        assert getattr(stored, key) == getattr(live, key), key


def test_depth_goes_on_where_the_tape_has_stopped_adding_sites(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import evenflow
    from evenflow.treatments import architecture, of_run

    model, x = make("deep-relu")
    opt = torch.optim.Adam(model.parameters(), 1e-3)
    with evenflow.watch(model, opt, run=tmp_path / "r.evenflow", every=1):
        train(model, opt, x, 2)
    run = evenflow.load(tmp_path / "r.evenflow")
    cut = dataclasses.replace(run, sites=run.sites[: len(run.sites) // 2])
    assert of_run(cut).depth < 8  # so few sites are all there are
    monkeypatch.setattr(architecture, "LARGE", 5)
    assert of_run(run).depth == of_run(cut).depth == 13


def test_batches_of_several_arguments() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 2)

        def forward(self, x: Tensor, *, scale: float) -> Tensor:
            return self.b(torch.tanh(self.a(x)) * scale)

    model = Two()
    treat_(model, None, "init=lsuv", ((rows(),), {"scale": 2.0}))
    assert parse("init=lsuv") == treat_(model, None, "init=lsuv", (
        (rows(),), {"scale": 1.0})).treatments  # fmt: skip


def test_half_precision_keeps_its_dtype() -> None:
    model, x = mlp(nn.Tanh, 3).to(torch.bfloat16), rows().to(torch.bfloat16)
    treat_(model, None, "init=lsuv-centred; norm=layer; input=standardise", x)
    assert all(p.dtype == torch.bfloat16 for p in model.parameters())
    assert model(x).dtype == torch.bfloat16
