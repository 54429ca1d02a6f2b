"""Networks beside one another are judged each on its own: trained for real, well and with one
of them sick. Of a shared trunk the heads are not held against one another either."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

import evenflow
from evenflow.faults import View
from evenflow.faults.towers import ahead, towers_of
from evenflow.schema import Finding

sys.path.insert(0, str(Path(__file__).parents[2]))  # benchmarks/ is no part of the package

from benchmarks.judging import Net


def net(out: int = 1, sick: bool = False, head: float = 1.0) -> nn.Sequential:
    """Three layers of tanh that learn, or thirteen of sigmoid that cannot."""
    depth, act = (12, nn.Sigmoid) if sick else (2, nn.Tanh)
    parts: list[nn.Module] = []
    for i in range(depth):
        parts += [nn.Linear(4 if i == 0 else 32, 32), act()]
    last = nn.Linear(32, out)
    with torch.no_grad():
        last.weight.mul_(head)
    return nn.Sequential(*parts, last)


class Pair(nn.Module):
    """Two networks in one module, each with layers of its own."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.first(x), self.second(x)


def noisy(x: Tensor) -> Tensor:
    """What can be learned of it is little: there is loss left to the end."""
    return x[:, :1] + 2 * torch.randn(len(x), 1)


def step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def actor_critic(first: bool, second: bool) -> None:
    """PPO: small logits at the start, values in the hundreds, one optimizer, one loss."""
    agent = Pair(net(2, first, head=0.01), net(1, second))
    optimizer = torch.optim.Adam(agent.parameters(), 2.5e-4, eps=1e-5)
    for _ in range(40):
        x = torch.randn(128, 4)
        with torch.no_grad():
            logits, value = agent(x)
            before = torch.distributions.Categorical(logits=logits)
            action = before.sample()
            returns = 100 + 100 * (action == (x[:, 0] > 0).long()).float() + 50 * torch.randn(128)
            gain = returns - value.squeeze(1)
            gain = (gain - gain.mean()) / gain.std()
        for _ in range(4):
            logits, value = agent(x)
            now = torch.distributions.Categorical(logits=logits)
            ratio = (now.log_prob(action) - before.log_prob(action)).exp()
            policy = torch.max(-gain * ratio, -gain * ratio.clamp(0.8, 1.2)).mean()
            error = ((value.view(-1) - returns) ** 2).mean()
            step(optimizer, policy - 0.01 * now.entropy().mean() + 0.5 * error)


def ensemble(first: bool, second: bool) -> None:
    """Two regressors, one of which has a ten-thousandth of the other's loss."""
    both = Pair(net(1, first), net(1, second))
    optimizer = torch.optim.Adam(both.parameters(), 1e-3)
    for _ in range(120):
        x = torch.randn(64, 4)
        a, b = both(x)
        y = noisy(x)
        step(optimizer, 1e-4 * F.mse_loss(a, y) + F.mse_loss(b, y))


def two_encoders(first: bool, second: bool) -> None:
    """Two views of one thing, told apart from others' by either code while the other stands
    still; the first has a ten-thousandth of the loss."""
    both = Pair(net(8, first), net(8, second))
    optimizer = torch.optim.Adam(both.parameters(), 1e-3)
    own = torch.arange(64)
    for _ in range(120):
        x = torch.randn(64, 4)
        a, b = both.first(x + torch.randn_like(x)), both.second(x + torch.randn_like(x))
        loss = 1e-4 * F.cross_entropy(a @ b.detach().T, own) + F.cross_entropy(
            b @ a.detach().T, own
        )
        step(optimizer, loss)


def adversaries(first: bool, second: bool) -> None:
    """A generator and a discriminator that sees little of it, trained in turns."""
    both = Pair(net(4, first), net(1, second))
    generator, discriminator = both.first, both.second
    makes = torch.optim.Adam(generator.parameters(), 1e-3)
    judges = torch.optim.Adam(discriminator.parameters(), 1e-3)
    ones, zeros = torch.ones(64, 1), torch.zeros(64, 1)
    for _ in range(120):
        made = generator(torch.randn(64, 4))
        real = discriminator(torch.randn(64, 4) + 1)
        fake = discriminator(made.detach())
        told = F.binary_cross_entropy_with_logits
        step(judges, told(real, ones) + told(fake, zeros))
        step(makes, told(discriminator(made), ones))


KINDS: list[Callable[[bool, bool], None]] = [actor_critic, ensemble, two_encoders, adversaries]


def found(folder: Path, train: Callable[[], None]) -> list[Finding]:
    torch.manual_seed(0)
    path = folder / "run.evenflow"
    with evenflow.watch(run=path, every=4):
        train()
    return [f for f in evenflow.diagnose(path) if f.code.startswith("EF1")]


def places(folder: Path, findings: Iterable[Finding]) -> set[str]:
    sites = evenflow.load(folder / "run.evenflow").sites
    return {sites[i].path.split(".")[0] for f in findings for i in f.sites}


@pytest.mark.parametrize("kind", KINDS)
def test_networks_side_by_side_are_not_held_against_one_another(
    kind: Callable[[bool, bool], None], tmp_path: Path
) -> None:
    assert found(tmp_path, lambda: kind(False, False)) == []


@pytest.mark.parametrize("sick", ["first", "second"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_one_that_vanishes_is_named(
    kind: Callable[[bool, bool], None], sick: str, tmp_path: Path
) -> None:
    faults = found(tmp_path, lambda: kind(sick == "first", sick == "second"))
    assert [f.code for f in faults] == ["EF101"]
    assert places(tmp_path, faults) == {sick}
    run = evenflow.load(tmp_path / "run.evenflow")
    assert run.sites[faults[0].sites[0]].path == f"{sick}.0"
    assert faults[0].evidence["layers"] == 13


class Trunk(nn.Module):
    """Two heads on a trunk."""

    def __init__(self, sick: bool) -> None:
        super().__init__()
        self.trunk = net(32, sick)
        self.small, self.large = nn.Linear(32, 2), nn.Linear(32, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.tanh(self.trunk(x))
        return self.small(h), self.large(h)


def two_heads(sick: bool) -> None:
    model = Trunk(sick)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(120):
        x = torch.randn(64, 4)
        small, large = model(x)
        y = noisy(x)
        step(optimizer, 1e-4 * F.cross_entropy(small, (y[:, 0] > 0).long()) + F.mse_loss(large, y))


def test_a_head_is_not_held_against_another(tmp_path: Path) -> None:
    assert found(tmp_path, lambda: two_heads(False)) == []


def test_a_trunk_is_held_against_its_heads(tmp_path: Path) -> None:
    faults = found(tmp_path, lambda: two_heads(True))
    assert [f.code for f in faults] == ["EF101"]
    assert places(tmp_path, faults) == {"trunk"}
    assert faults[0].evidence["layers"] == 15


SMALL = {"rms": 1.0, "delta": 1.0}


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_ahead_is_the_largest_on_any_path_to_the_loss(data: st.DataObject) -> None:
    """Against every path walked on its own: layers and joins that read what came before."""
    made = Net(1)
    layers: list[int] = []
    for k in range(data.draw(st.integers(1, 9))):
        reads = data.draw(st.lists(st.sampled_from(range(len(made.sites))), min_size=1, max_size=3))
        if len(set(reads)) > 1:
            made.add(f"join{k}", "add", "join", tuple(set(reads)), SMALL)
        else:
            layers.append(made.linear(f"layer{k}", reads[0]))
    ends = [i for i in range(1, len(made.sites)) if all(i not in s.inputs for s in made.sites)]
    for call, end in enumerate(ends):
        made.loss(end, call)
    view = View(made.run(True))
    order = list(view.layers)
    drawn = st.one_of(st.floats(0, 9), st.just(float("nan")))
    sizes = data.draw(st.lists(drawn, min_size=len(order), max_size=len(order)))

    def paths(i: int) -> set[int]:
        return {k for c in view.consumers[i] for k in ({c} | paths(c))}

    wanted = [
        max(
            [
                sizes[order.index(k)]
                for k in paths(i)
                if k in order and not np.isnan(sizes[order.index(k)])
            ],
            default=-np.inf,
        )
        for i in order
    ]
    assert sorted(order) == sorted(layers)
    assert ahead(view, [[i] for i in order], np.array([sizes]).reshape(1, -1))[0].tolist() == wanted


def test_a_lost_link_leaves_all_in_one_tower() -> None:
    """A part that nothing feeds: what it reads was not seen, and it may be the other's output."""
    made = Net(1)
    x = made.linear("a", made.data)
    y = made.linear("b", x)
    z = made.linear("c", made.add("lost", "relu", "activation", (), SMALL))
    for call, end in enumerate((y, z)):
        made.loss(end, call)
    view = View(made.run(True))
    assert not towers_of(view).told
    sizes = ahead(view, [[i] for i in view.layers], np.array([[1.0, 2.0, 3.0]]))
    assert sizes.tolist() == [[3.0, 3.0, -np.inf]]  # all that come later
