"""What loops do between forward and update."""

from __future__ import annotations

import copy
import warnings

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn
from torch.utils.data import DataLoader, TensorDataset

from . import STEPS, Calls, batch, fit, net, weights, wrapping


@wrapping()
def averaged(calls: Calls) -> list[Tensor]:
    model = net(nn.BatchNorm1d(8))
    ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(STEPS):
        fit(model, optimizer=optimizer, steps=1)
        ema.update_parameters(model)
    update_bn([batch()[0] for _ in range(2)], ema)
    return weights(model) + weights(ema)


@wrapping()
def accumulated(calls: Calls) -> list[Tensor]:
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for i in range(12):
        x, y = batch()
        (F.cross_entropy(model(x), y) / 2).backward()
        if i % 2:
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
    return weights(model)


@wrapping()
def lbfgs_with_a_closure(calls: Calls) -> list[Tensor]:
    model = net()
    optimizer = torch.optim.LBFGS(model.parameters(), 0.1, max_iter=3)
    for _ in range(STEPS):
        x, y = batch()

        def closure(x: Tensor = x, y: Tensor = y) -> Tensor:
            calls.append("closure")
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            return loss

        optimizer.step(closure)
    return weights(model)


@wrapping()
def grad_scaler(calls: Calls) -> list[Tensor]:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=2)
    for _ in range(STEPS):
        x, y = batch()
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = F.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        calls.append(scaler.get_scale())
    return weights(model)


@wrapping()
def autocast_round_all(calls: Calls) -> list[Tensor]:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return fit(net())


@wrapping()
def double_backward(calls: Calls) -> list[Tensor]:
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(STEPS):
        x = torch.randn(4, 6, requires_grad=True)
        optimizer.zero_grad()
        out = model(x)
        (slope,) = torch.autograd.grad(out.sum(), x, create_graph=True)
        (out.square().mean() + (slope.norm(dim=1) - 1).square().mean()).backward()
        optimizer.step()
    return weights(model)


@wrapping()
def a_graph_kept_and_used_twice(calls: Calls) -> list[Tensor]:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(STEPS):
        x, y = batch()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward(retain_graph=True)
        loss.backward()
        optimizer.step()
    return weights(model)


@wrapping()
def two_players(calls: Calls) -> list[Tensor]:
    g, d = nn.Linear(2, 6), nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))
    of_g, of_d = (torch.optim.Adam(m.parameters(), 0.01) for m in (g, d))
    for _ in range(STEPS):
        real, fake = torch.randn(4, 6), g(torch.randn(4, 2))
        of_d.zero_grad()
        (F.softplus(-d(real)).mean() + F.softplus(d(fake.detach())).mean()).backward()
        of_d.step()
        of_g.zero_grad()
        F.softplus(-d(fake)).mean().backward()
        of_g.step()
    return weights(g) + weights(d)


@wrapping()
def validated_between(calls: Calls) -> list[Tensor]:
    model = net(nn.BatchNorm1d(8), nn.Dropout(0.3))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(STEPS):
        fit(model, optimizer=optimizer, steps=1)
        model.eval()
        with torch.no_grad():
            calls.append(model(torch.randn(4, 6)).sum().item())
        model.train()
    return weights(model)


@wrapping()
def loaded_by_a_data_loader(calls: Calls) -> list[Tensor]:
    return _loaded(calls, 0)


@wrapping(slow=True)
def loaded_by_workers(calls: Calls) -> list[Tensor]:
    return _loaded(calls, 1)


def _loaded(calls: Calls, workers: int) -> list[Tensor]:
    data = TensorDataset(torch.randn(24, 6), torch.randint(0, 3, (24,)))
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for x, y in DataLoader(data, 4, shuffle=True, num_workers=workers):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    return weights(model)


@wrapping()
def scripted(calls: Calls) -> list[Tensor]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit(torch.jit.script(net()))


@wrapping()
def traced(calls: Calls) -> list[Tensor]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = net()
        return fit(torch.jit.trace(model, torch.randn(4, 6)))


@wrapping(slow=True)
def compiled(calls: Calls) -> list[Tensor]:
    return fit(torch.compile(net(), backend="eager"))  # type: ignore[arg-type]


@wrapping()
def scheduled_and_restored(calls: Calls) -> list[Tensor]:
    model = net()
    optimizer = torch.optim.AdamW(model.parameters(), 0.01)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, STEPS)
    for i in range(STEPS):
        fit(model, optimizer=optimizer, steps=1)
        scheduler.step()
        if i == 2:
            kept = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
            model.load_state_dict(kept[0])
            optimizer.load_state_dict(kept[1])
    return weights(model)


@wrapping()
def without_any_module(calls: Calls) -> list[Tensor]:
    a, b = torch.randn(6, 8, requires_grad=True), torch.randn(8, 3, requires_grad=True)
    optimizer = torch.optim.SGD([a, b], 0.1)
    for _ in range(STEPS):
        x, y = batch()
        optimizer.zero_grad()
        F.cross_entropy(torch.relu(x @ a) @ b, y).backward()
        optimizer.step()
    return [a.detach(), b.detach()]
