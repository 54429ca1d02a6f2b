"""Losses that measure no progress are known by what they are made of; others are judged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.faults import View
from evenflow.report.sentences import headline
from evenflow.schema import Run


def recorded(folder: Path, train: Callable[[], None]) -> Run:
    torch.manual_seed(0)
    with evenflow.watch(run=folder / "run.evenflow") as watch:
        train()
    return evenflow.load(watch.path)


def _net(out: int, act: type[nn.Module] = nn.Tanh) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 32), act(), nn.Linear(32, out))


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def reinforce() -> None:
    """One action a state; the return rises, the loss does what it likes."""
    net = _net(2)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(80):
        x = torch.randn(64, 4)
        chosen = torch.distributions.Categorical(logits=net(x))
        action = chosen.sample()
        gain = (action == (x[:, 0] > 0).long()).float() + 0.1 * torch.randn(64)
        _step(optimizer, -(chosen.log_prob(action) * (gain - gain.mean())).mean())


def one_by_one() -> None:
    """Each step of an episode weighs its own likelihood, returns by hand."""
    net = _net(2)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(40):
        terms = []
        for _ in range(6):
            x = torch.randn(1, 4)
            chosen = torch.distributions.Categorical(logits=net(x))
            action = chosen.sample()
            gain = torch.randn(()) + (action == (x[:, 0] > 0).long()).float().squeeze() - 0.5
            terms.append(-chosen.log_prob(action) * gain)
        _step(optimizer, torch.cat(terms).sum())


def clipped_ratio() -> None:
    """PPO with its value loss: ratios that are 1 by design, clamp, entropy."""
    actor, critic = _net(2), _net(1)
    optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr=3e-3)
    for _ in range(20):
        x = torch.randn(128, 4)
        with torch.no_grad():
            chosen = torch.distributions.Categorical(logits=actor(x))
            action, value = chosen.sample(), critic(x).squeeze(1)
            before = chosen.log_prob(action)
            returns = 20 * (action == (x[:, 0] > 0).long()).float()
            gain = returns - value
        for _ in range(3):
            now = torch.distributions.Categorical(logits=actor(x))
            ratio = (now.log_prob(action) - before).exp()
            a = (gain - gain.mean()) / (gain.std() + 1e-8)
            policy = torch.max(-a * ratio, -a * ratio.clamp(0.8, 1.2)).mean()
            error = ((critic(x).squeeze(1) - returns) ** 2).mean()
            _step(optimizer, policy - 0.01 * now.entropy().mean() + 0.5 * error)


def own_estimates() -> None:
    """Temporal differences: the target grows as the network learns."""
    net, held = _net(2, nn.ReLU), _net(2, nn.ReLU)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for i in range(240):
        x, action = torch.randn(64, 4), torch.randint(2, (64, 1))
        if i % 8 == 0:
            held.load_state_dict(net.state_dict())
        with torch.no_grad():
            target = 1 + 0.95 * held(torch.randn(64, 4)).max(1).values
        _step(optimizer, F.mse_loss(target, net(x).gather(1, action).squeeze(1)))


class _Copied:
    """A network, the copy that follows it by hand, and a memory of what was seen."""

    def __init__(self, out: int) -> None:
        self.net, self.held = _net(out), _net(out)
        self.held.load_state_dict(self.net.state_dict())
        self.seen: list[Tensor] = []

    def act(self, times: int = 10) -> None:
        """Act with gradients on, as many scripts do, and remember."""
        for _ in range(times):
            x = torch.randn(1, 4)
            self.net(x).argmax()
            self.seen.append(x)

    def batch(self) -> Tensor:
        return torch.cat([self.seen[int(i)] for i in torch.randint(len(self.seen), (64,))])

    def follow(self, rate: float = 1.0) -> None:
        for a, b in zip(self.held.parameters(), self.net.parameters(), strict=True):
            a.data.copy_(rate * b.data + (1 - rate) * a.data)


def replayed() -> None:
    """DQN: acts, remembers, learns; a target network copied now and then. Targets: 1 to 2.7."""
    agent = _Copied(2)
    optimizer = torch.optim.Adam(agent.net.parameters(), lr=1e-2)
    for i in range(120):
        agent.act()
        if i and i % 40 == 0:
            agent.follow()
        x = agent.batch()
        with torch.no_grad():
            target = 1 + 0.95 * agent.held(agent.batch()).mean(1)
        _step(optimizer, F.mse_loss(target, agent.net(x)[:, i % 2]))


def distributions() -> None:
    """C51: the target is a distribution, a target network's, moved by the reward."""
    agent = _Copied(21)
    optimizer = torch.optim.Adam(agent.net.parameters(), lr=3e-2)
    for i in range(120):
        agent.act()
        if i and i % 20 == 0:
            agent.follow()
        with torch.no_grad():
            target = agent.held(agent.batch()).softmax(1).roll(1, 1) * 0.9
            target[:, 0] += 0.1
        made = agent.net(agent.batch()).softmax(1)
        _step(optimizer, -(target * made.clamp(1e-5, 1 - 1e-5).log()).sum(1).mean())


def energies() -> None:
    """An energy for data less one for noise: no floor."""
    net = _net(1, nn.SiLU)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(60):
        data = torch.randn(32, 4) * 0.3 + 1
        _step(optimizer, net(data).mean() - net(torch.randn(32, 4)).mean())


def adversaries() -> None:
    judge, maker = _net(1), _net(4)
    first = torch.optim.Adam(judge.parameters(), lr=1e-3)
    second = torch.optim.Adam(maker.parameters(), lr=1e-3)
    for _ in range(40):
        fake = maker(torch.randn(32, 4))
        real = torch.randn(32, 4) * 0.3 + 1
        _step(first, F.softplus(judge(fake.detach())).mean() + F.softplus(-judge(real)).mean())
        _step(second, F.softplus(-judge(fake)).mean())


MEASURING_NOTHING = {
    "policy-gradient": [reinforce, one_by_one, clipped_ratio],
    "moving-target": [own_estimates, replayed, distributions],
    "contrast": [energies],
    "adversarial": [adversaries],
}


@pytest.mark.parametrize(
    ("objective", "train"),
    [(kind, f) for kind, fs in MEASURING_NOTHING.items() for f in fs],
    ids=lambda x: x if isinstance(x, str) else x.__name__,
)
def test_what_measures_nothing(tmp_path: Path, objective: str, train: Callable[[], None]) -> None:
    run = recorded(tmp_path, train)
    assert View(run).objective == objective
    findings = [f for f in evenflow.diagnose(run) if f.severity > 0]
    assert findings == [], [f.message for f in findings]
    word, said = headline(run, findings)
    assert word == "Healthy" and "The loss was not judged: " in said and "layers" in said


# Healthy twins of each: likenesses that do measure progress.


def weighted_samples() -> None:
    """Weights of samples: a likelihood, weighted, and all weights positive."""
    net = _net(3)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(60):
        x = torch.randn(64, 4)
        each = F.cross_entropy(net(x), x[:, :3].argmax(1), reduction="none")
        _step(optimizer, (each * torch.rand(64)).mean())


def hinge() -> None:
    net = _net(1)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(60):
        x = torch.randn(64, 4)
        _step(optimizer, (1 - net(x).squeeze(1) * x[:, 0].sign()).clamp(min=0).mean())


def likelihood_below_zero() -> None:
    """A density's logarithm may pass through 0, once."""
    net = _net(2)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(150):
        x = torch.randn(64, 4)
        mean, size = net(x).chunk(2, 1)
        y = x[:, :1] + 0.05 * torch.randn(64, 1)
        _step(optimizer, (size + 0.5 * ((y - mean) / size.exp()) ** 2).mean())


def triplets() -> None:
    """Two outputs of one network, subtracted, with a floor: distances."""
    net = _net(8)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(60):
        x = torch.randn(32, 4)
        near = (net(x) - net(x + 0.1 * torch.randn(32, 4))).pow(2).mean()
        far = (net(x) - net(torch.randn(32, 4))).pow(2).mean()
        _step(optimizer, (near - far + 1).clamp(min=0))


def ordinary() -> None:
    net = _net(1)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(60):
        x = torch.randn(64, 4)
        _step(optimizer, F.mse_loss(net(x).squeeze(1), x[:, 0]))


def labels_beside_a_copy() -> None:
    """The twin of `distributions`: labels by hand, and a copy that follows for its own sake."""
    agent = _Copied(3)
    optimizer = torch.optim.Adam(agent.net.parameters(), lr=1e-2)
    for _ in range(60):
        agent.act()
        agent.follow(0.1)
        x = agent.batch()
        labels = F.one_hot(x[:, :3].argmax(1), 3).float()
        _step(optimizer, -(labels * agent.net(x).log_softmax(1)).sum(1).mean())


@pytest.mark.parametrize(
    "train",
    [weighted_samples, hinge, likelihood_below_zero, triplets, ordinary, labels_beside_a_copy],
)
def test_what_measures_progress(tmp_path: Path, train: Callable[[], None]) -> None:
    run = recorded(tmp_path, train)
    assert View(run).objective == ""
    assert "not judged" not in headline(run, evenflow.diagnose(run))[1]


def test_a_loss_by_hand_that_diverges_is_still_told(tmp_path: Path) -> None:
    def train() -> None:
        net = _net(1)
        optimizer = torch.optim.SGD(net.parameters(), lr=3.0)
        for _ in range(40):
            x = torch.randn(64, 4)
            _step(optimizer, ((net(x).squeeze(1) - 3 * x[:, 0]) ** 2).mean())

    run = recorded(tmp_path, train)
    assert View(run).objective == ""
    assert any(f.severity.name == "error" for f in evenflow.diagnose(run))


def test_a_copy_that_follows_hides_no_divergence(tmp_path: Path) -> None:
    """The sick twin of `replayed`: all is the same but the target, which is data."""

    def train() -> None:
        agent = _Copied(2)
        optimizer = torch.optim.SGD(agent.net.parameters(), lr=0.05)
        for i in range(120):
            agent.act()
            agent.follow(0.1)
            if i == 70:
                optimizer.param_groups[0]["lr"] = 5.0
            x = agent.batch()
            with torch.no_grad():
                agent.held(x)
            _step(optimizer, F.mse_loss(agent.net(x)[:, 0], 3 * x[:, 0]))

    run = recorded(tmp_path, train)
    assert View(run).objective == ""
    assert "EF402" in {f.code for f in evenflow.diagnose(run) if f.severity.name == "error"}
