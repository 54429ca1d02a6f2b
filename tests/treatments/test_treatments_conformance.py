"""What every treatment of the registry promises, held on arrival."""

from __future__ import annotations

import copy
import io
import itertools
from typing import Any

import pytest
import torch
from torch import nn

from evenflow.schema import Treatment
from evenflow.schema import treatment_text as text
from evenflow.treatments import REGISTRY, parse, read, treat_
from tests.treatments.nets import make, train

#: name -> (a network it suits, one it must refuse or None)
SUITS: dict[str, tuple[str, str | None]] = {
    "init=lsuv": ("relu", "deep-sigmoid"),
    "init=lsuv-centred": ("deep-sigmoid", "deep-relu"),
    "init=he": ("relu", "deep-sigmoid"),
    "init=xavier": ("tanh", "deep-sigmoid"),
    "init=lecun": ("selu", "deep-sigmoid"),
    "init=orthogonal": ("tanh", "sigmoid"),
    "init=delta-orthogonal": ("conv", "tanh"),
    "init=critical": ("tanh", "sigmoid"),
    "tailored": ("deep-relu", "residual"),
    "rezero": ("residual", "linear"),
    "activation": ("functional", "tanh"),
    "norm=batch": ("tanh", "deep-relu"),
    "norm=layer": ("relu", "deep-sigmoid"),
    "norm=group": ("conv", "deep-sigmoid"),
    "norm=rms": ("relu", "deep-sigmoid"),
    "revive": ("relu", "tanh"),
    "bias": ("relu", "linear"),
    "input": ("relu", None),
    "target": ("relu", None),
    "recurrent=orthogonal": ("rnn", "relu"),
    "recurrent=forget-bias": ("lstm", "rnn"),
    "recurrent=lstm": ("rnn", "lstm"),
    "recurrent=gru": ("rnn", "lstm"),
    "recurrent=truncate": ("rnn", "relu"),
    "attention=sigma-reparam": ("attention", "relu"),
    "attention=qk-norm": ("attention", "relu"),
    "attention=max-norm": ("sharp-attention", "relu"),
    "lr": ("relu", None),
    "warmup": ("relu", None),
    "decay": ("relu", None),
    "momentum": ("relu", None),
    "optimizer": ("relu", None),
    "clip=norm": ("relu", None),
    "clip=value": ("relu", None),
    "clip=agc": ("relu", None),
    "clip=z": ("relu", None),
    "l1": ("relu", None),
    "l2": ("relu", None),
    "dropout": ("relu", "selu"),
    "parameters": ("relu", None),
}
APPLIED = [n for n, e in REGISTRY.items() if e.apply]


#: What a trained network bears; all else is refused after the first step.
ANY_TIME = {
    *("activation", "revive", "dropout", "parameters", "attention=sigma-reparam"),
    *("recurrent=truncate", "lr", "warmup", "decay", "momentum", "optimizer"),
    *("clip=norm", "clip=value", "clip=agc", "clip=z", "l1", "l2"),
}
#: These leave outputs as they are at the moment they are applied (revive: of dead units).
PRESERVING = ANY_TIME - {"activation", "dropout"}


def first(name: str) -> str:
    e = REGISTRY[name]
    value = e.examples[0]
    return f"{e.kind}={value}" if value else e.kind


#: Texts that suit another network than the rest of their kind.
ELSEWHERE = {
    "activation=sigmoid->centred_sigmoid": "sigmoid",
    "activation=sigmoid->tanh": "sigmoid",
    "activation=tanh->relu": "tanh",
    "dropout=alpha:0.05": "selu",
}


def patient(name: str, net: str = "") -> tuple[nn.Module, torch.optim.Optimizer, torch.Tensor]:
    model, x = make(net or SUITS[name][0])
    held = list(model.parameters())
    if name == "parameters":
        held = held[:-2]
    opt = torch.optim.Adam(held, lr=1e-2)
    if name in ANY_TIME:
        train(model, opt, x)
    return model, opt, x


def state(model: nn.Module, opt: torch.optim.Optimizer, x: torch.Tensor) -> list[Any]:
    model.eval()
    with torch.no_grad():
        out = model(x)
    model.train()
    tensors = [out, *model.state_dict().values()]
    kept = copy.deepcopy(opt.state_dict())
    numbers = [[g[k] for k in sorted(g) if k != "params"] for g in kept["param_groups"]]
    moments = [v for p in kept["state"].values() for v in p.values()]
    hooks = [len(opt._optimizer_step_pre_hooks), len(opt._optimizer_step_post_hooks)]
    names = [list(model.state_dict()), [type(m) for m in model.modules()], hooks, numbers]
    names += [[len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]]
    names += [len(g["params"]) for g in opt.param_groups]
    return [*(t.clone() for t in tensors), *moments, *names]


def same(a: list[Any], b: list[Any]) -> bool:
    return len(a) == len(b) and all(
        torch.equal(x, y) if isinstance(x, torch.Tensor) else x == y
        for x, y in zip(a, b, strict=True)
    )


def test_every_treatment_has_its_networks() -> None:
    assert set(SUITS) == set(APPLIED)


@pytest.mark.parametrize("name", REGISTRY)
def test_texts_of_all_values_go_round_and_every_field_says_something(name: str) -> None:
    e = REGISTRY[name]
    for value in e.examples:
        found = parse(f"{e.kind}={value}" if value else e.kind)
        assert found == (Treatment(e.kind, value),)
        assert parse(text(found)) == found
        assert len(e.edit(read(found[0]).value)) > 10
    assert e.about.strip() and name.startswith(e.kind)


@pytest.mark.parametrize(
    ("name", "given"),
    [(n, f"{REGISTRY[n].kind}={v}" if v else REGISTRY[n].kind)
     for n in APPLIED for v in REGISTRY[n].examples],
)  # fmt: skip
def test_applies_trains_and_is_undone_to_the_bit(name: str, given: str) -> None:
    model, opt, x = patient(name, ELSEWHERE.get(given, ""))
    held = list(model.parameters())
    rng = torch.get_rng_state()
    before = state(model, opt, x)
    kept = model(x) if not any("Dropout" in type(m).__name__ for m in model.modules()) else None
    torch.set_rng_state(rng)
    undo = treat_(model, opt, given, x, seed=3)
    assert torch.equal(torch.get_rng_state(), rng)
    now = {id(p) for p in model.parameters()}
    assert all(id(p) in now for p in held), "parameter objects must be kept"
    model.eval()
    with torch.no_grad():
        out = model(x)
    model.train()
    if kept is not None and name in PRESERVING and given != "revive=0.025":
        assert float((out - kept).detach().norm() / kept.detach().norm()) <= 1e-5
    in_optimizer = {id(p) for g in opt.param_groups for p in g["params"]}
    fresh = [p for p in model.parameters() if id(p) not in {id(q) for q in held}]
    assert all(id(p) in in_optimizer for p in fresh), "new parameters must reach the optimizer"
    assert len(opt.param_groups) == 1
    values = [p.detach().clone() for p in model.parameters()]
    train(model, opt, x, 4)
    assert any(not torch.equal(p, v) for p, v in zip(model.parameters(), values, strict=True))
    undo.undo()
    undo.undo()
    assert same(state(model, opt, x), before)
    train(model, opt, x, 1)


@pytest.mark.parametrize("name", APPLIED)
def test_same_seed_same_treatment(name: str) -> None:
    ends = []
    for _ in range(2):
        model, opt, x = patient(name)
        treat_(model, opt, first(name), x, seed=5)
        ends.append([p.detach().clone() for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


@pytest.mark.parametrize("name", [n for n in APPLIED if SUITS[n][1]])
def test_refuses_where_it_harms_and_changes_nothing(name: str) -> None:
    model, x = make(str(SUITS[name][1]))
    opt = torch.optim.SGD(model.parameters(), 0.1)
    before = state(model, opt, x)
    with pytest.raises(ValueError, match=r"is refused: .{15,}"):
        treat_(model, opt, first(name), x)
    assert same(state(model, opt, x), before)


#: What they change lies outside the layers, and nothing that was learned is lost.
ENDS = ("input", "target")


@pytest.mark.parametrize(
    "name",
    [n for n in APPLIED if n not in ANY_TIME and n not in ENDS],
)
def test_what_is_for_the_start_is_refused_later(name: str) -> None:
    model, opt, x = patient(name)
    train(model, opt, x)
    with pytest.raises(ValueError, match="is refused"):
        treat_(model, opt, first(name), x)


@pytest.mark.parametrize("name", APPLIED)
def test_copies_pickles_and_state_dicts_carry_the_treatment(name: str) -> None:
    model, opt, x = patient(name)
    treat_(model, opt, first(name), x)
    twin = copy.deepcopy(model)
    model.eval(), twin.eval()
    assert torch.equal(model(x), twin(x))
    mine = {p.data_ptr() for p in model.parameters()}
    assert not mine & {p.data_ptr() for p in twin.parameters()}
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05)
    assert not torch.equal(model(x), twin(x)), "the copy must have weights of its own"
    twin.load_state_dict(model.state_dict())
    assert torch.equal(model(x), twin(x))
    if not any(hasattr(m, "parametrizations") for m in model.modules()):  # torch cannot pickle them
        file = io.BytesIO()
        torch.save(model, file)
        file.seek(0)
        assert torch.equal(torch.load(file, weights_only=False)(x), model(x))


@pytest.mark.parametrize(
    ("name", "schedule"),
    list(itertools.product(["rezero", "norm=batch", "clip=norm", "lr"], ["lambda", "onecycle"])),
)
def test_schedulers_made_before_the_treatment_go_on(name: str, schedule: str) -> None:
    model, x = make(SUITS[name][0])
    opt = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    sched: Any = (
        torch.optim.lr_scheduler.LambdaLR(opt, lambda t: 1 / (1 + t))
        if schedule == "lambda"
        else torch.optim.lr_scheduler.OneCycleLR(opt, 0.5, total_steps=10)
    )
    bare = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.1, momentum=0.9)
    twin: Any = (
        torch.optim.lr_scheduler.LambdaLR(bare, lambda t: 1 / (1 + t))
        if schedule == "lambda"
        else torch.optim.lr_scheduler.OneCycleLR(bare, 0.5, total_steps=10)
    )
    treat_(model, opt, first(name), x)
    for _ in range(5):
        train(model, opt, x, 1)
        bare.step()
        sched.step()
        twin.step()
        assert opt.param_groups[0]["lr"] == bare.param_groups[0]["lr"]
    assert all(p.grad is not None for g in opt.param_groups for p in g["params"])
