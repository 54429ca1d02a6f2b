"""What modules are made of, and what hangs on them."""

from __future__ import annotations

import copy
import io
import pickle
import sys
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize
from torch.utils.checkpoint import checkpoint

from . import STEPS, Calls, batch, fit, net, weights, wrapping


@wrapping()
def lazy_modules(calls: Calls) -> list[Tensor]:
    model = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyBatchNorm1d(), nn.LazyLinear(3))
    model(torch.randn(4, 6))
    return fit(model)


@wrapping()
def lazy_modules_first_met_in_training(calls: Calls) -> list[Tensor]:
    model = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(3))
    return fit(model, optimizer=torch.optim.SGD(model.parameters(), 0.1))


@wrapping()
def jagged_tensors(calls: Calls) -> list[Tensor]:
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(STEPS):
        rows = [torch.randn(n, 6) for n in (2, 4, 3)]
        x = torch.nested.nested_tensor(rows, layout=torch.jagged)
        optimizer.zero_grad()
        model(x).values().square().mean().backward()
        optimizer.step()
    return weights(model)


@wrapping()
def sparse_gradients(calls: Calls) -> list[Tensor]:
    model = nn.Sequential(nn.Embedding(10, 8, sparse=True), nn.Flatten(), nn.Linear(16, 3))
    sparse = torch.optim.SparseAdam(list(model[0].parameters()), 0.01)
    dense = torch.optim.SGD(model[2].parameters(), 0.1)
    for _ in range(STEPS):
        loss = F.cross_entropy(model(torch.randint(0, 10, (4, 2))), torch.randint(0, 3, (4,)))
        sparse.zero_grad()
        dense.zero_grad()
        loss.backward()
        sparse.step()
        dense.step()
    return weights(model)


@wrapping()
def complex_parameters(calls: Calls) -> list[Tensor]:
    w = torch.randn(6, 3, dtype=torch.complex64, requires_grad=True)
    head = nn.Linear(3, 3)
    optimizer = torch.optim.SGD([w, *head.parameters()], 0.1)
    for _ in range(STEPS):
        x, y = batch()
        optimizer.zero_grad()
        F.cross_entropy(head((x.to(torch.complex64) @ w).abs()), y).backward()
        optimizer.step()
    return [w.detach(), *weights(head)]


class Cube(torch.autograd.Function):
    calls: ClassVar[Calls] = []

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        Cube.calls.append("forward")
        return x**3

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        Cube.calls.append("backward")
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad


@wrapping()
def custom_function(calls: Calls) -> list[Tensor]:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(torch.tanh(Cube.apply(self.a(x))))  # type: ignore[no-untyped-call]

    Cube.calls = calls
    return fit(Net())


def _hook(calls: Calls, name: str, result: Any = None) -> Any:
    def hook(*args: Any) -> Any:
        calls.append(name)
        return result

    return hook


@wrapping()
def module_hooks(calls: Calls) -> list[Tensor]:
    model = net()
    model[0].register_forward_pre_hook(_hook(calls, "pre"))
    model[0].register_forward_hook(lambda m, a, out: (calls.append("post"), out * 0.9)[1])
    model[2].register_full_backward_hook(_hook(calls, "backward"))
    model[2].register_full_backward_pre_hook(_hook(calls, "backward_pre"))
    model.register_state_dict_post_hook(_hook(calls, "state"))
    return fit(model)


@wrapping()
def global_module_hooks(calls: Calls) -> list[Tensor]:
    from torch.nn.modules import module as of

    handles = [
        of.register_module_forward_pre_hook(_hook(calls, "pre")),
        of.register_module_forward_hook(_hook(calls, "post")),
        of.register_module_full_backward_hook(_hook(calls, "backward")),
    ]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's: a hook whose inputs need no gradient
            return fit(net())
    finally:
        for handle in handles:
            handle.remove()


@wrapping()
def tensor_and_accumulation_hooks(calls: Calls) -> list[Tensor]:
    model = net()
    model[0].weight.register_hook(lambda g: (calls.append("tensor"), g * 0.5)[1])
    model[2].weight.register_post_accumulate_grad_hook(_hook(calls, "accumulated"))
    return fit(model)


@wrapping()
def node_hooks(calls: Calls) -> list[Tensor]:
    def loss(z: Tensor, y: Tensor) -> Tensor:
        out = F.cross_entropy(z, y)
        assert z.grad_fn is not None
        z.grad_fn.register_hook(_hook(calls, "node"))
        z.grad_fn.metadata["mine"] = 1
        calls.append(sorted(k for k in z.grad_fn.metadata if k == "mine"))
        return out

    return fit(net(), loss)


@wrapping()
def optimizer_in_the_backward(calls: Calls) -> list[Tensor]:
    model = net()
    optimizers = {p: torch.optim.SGD([p], 0.1) for p in model.parameters()}

    def step(p: Tensor) -> None:
        calls.append("step")
        optimizers[p].step()
        optimizers[p].zero_grad()

    for p in model.parameters():
        p.register_post_accumulate_grad_hook(step)
    for _ in range(STEPS):
        x, y = batch()
        F.cross_entropy(model(x), y).backward()
    return weights(model)


@wrapping()
def parametrized(calls: Calls) -> list[Tensor]:
    class Symmetric(nn.Module):
        def forward(self, w: Tensor) -> Tensor:
            calls.append("parametrization")
            return w.triu() + w.triu(1).transpose(-1, -2)

    model = net(nn.Linear(8, 8))
    parametrize.register_parametrization(model[2], "weight", Symmetric())
    return fit(model)


@wrapping()
def weight_norm(calls: Calls) -> list[Tensor]:
    model = net()
    parametrizations.weight_norm(model[0])
    return fit(model)


@wrapping()
def spectral_norm(calls: Calls) -> list[Tensor]:
    model = net()
    parametrizations.spectral_norm(model[0])
    return fit(model)


@wrapping()
def checkpointed(calls: Calls) -> list[Tensor]:
    model = net(nn.Dropout(0.2))
    return _checkpointed(model, calls, use_reentrant=False)


@wrapping()
def checkpointed_reentrant(calls: Calls) -> list[Tensor]:
    model = net(nn.Dropout(0.2))
    return _checkpointed(model, calls, use_reentrant=True)


def _checkpointed(model: nn.Sequential, calls: Calls, use_reentrant: bool) -> list[Tensor]:
    def inner(x: Tensor) -> Tensor:
        calls.append("inner")
        return model[1:3](x)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: Tensor) -> Tensor:
            h = checkpoint(inner, model[0](x), use_reentrant=use_reentrant)
            return model[3](h)  # type: ignore[no-any-return]

    return fit(Net())


@wrapping()
def deep_copied_midway(calls: Calls) -> list[Tensor]:
    model = net()
    fit(model, steps=3)
    other = copy.deepcopy(model)
    return fit(model, steps=3) + fit(other, steps=3)


@wrapping()
def pickled_midway(calls: Calls) -> list[Tensor]:
    model = net()
    fit(model, steps=3)
    calls.append(len(pickle.dumps(model)))
    stream = io.BytesIO()
    torch.save(model, stream)
    stream.seek(0)
    return fit(torch.load(stream, weights_only=False), steps=3)


@wrapping()
def deep_copied_in_the_forward(calls: Calls) -> list[Tensor]:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = net()

        def forward(self, x: Tensor) -> Tensor:
            calls.append(sum(p.numel() for p in copy.deepcopy(self.body).parameters()))
            return self.body(x)

    return fit(Net())


@dataclass
class Output:
    logits: Tensor
    hidden: dict[str, Tensor]


@wrapping()
def dataclass_and_dict_outputs(calls: Calls) -> list[Tensor]:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Output:
            h = torch.relu(self.a(x))
            return Output(self.b(h), {"h": h})

    return fit(Net(), lambda out, y: F.cross_entropy(out.logits, y) + out.hidden["h"].mean())


class Nest(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.w = inner, nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x * self.w)


@wrapping()
def a_nest_as_deep_as_the_stack(calls: Calls) -> list[Tensor]:
    """As deep as it goes bare from here, but for a few modules."""
    inside: nn.Module = nn.Identity()
    nests = []
    while len(nests) < 400:
        inside = Nest(inside)
        nests.append(inside)
    fits = 0
    with torch.no_grad():
        for n in range(0, 400, 2):
            try:
                nn.Module.__call__(nests[n], torch.ones(3))
                fits = n
            except RecursionError:
                break
    calls.append(sys.getrecursionlimit())
    nest = nests[min(fits, _deepest.setdefault("bare", fits)) - 3]  # whoever calls this
    params = [m.w for m in nests[: nests.index(nest) + 1]]
    optimizer = torch.optim.SGD(params, 0.01)
    for _ in range(3):
        optimizer.zero_grad()
        nest(torch.ones(2, 3)).sum().backward()
        optimizer.step()
    calls.append(sys.getrecursionlimit())
    return [p.detach() for p in params]


_deepest: dict[str, int] = {}


@wrapping()
def fused_and_attending(calls: Calls) -> list[Tensor]:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.LSTM(6, 8, batch_first=True, dropout=0.0)
            self.attend = nn.MultiheadAttention(8, 2, dropout=0.1, batch_first=True)
            self.head = nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            h, _ = self.rnn(x[:, None].expand(-1, 3, -1))
            h, _ = self.attend(h, h, h)
            return self.head(h.mean(1))

    return fit(Net())
