"""Agents act between two updates, with gradients or without: sites are those of the training."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.schema import Run


class Q(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(4, 24), nn.ReLU(), nn.Linear(24, 2))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.network(x)
        return out


def dqn(acts: str, keep: bool, steps: int = 400) -> None:
    torch.manual_seed(0)
    rng = random.Random(0)
    q, target = Q(), Q()
    optimizer = torch.optim.Adam(q.parameters(), lr=1e-3)
    seen: list[tuple[Tensor, int, float, Tensor]] = []
    s, values = torch.randn(4), torch.zeros(2)
    for step in range(steps):
        action = rng.randrange(2)
        if acts != "never" and rng.random() > 0.3:
            with torch.set_grad_enabled(acts == "with gradients"):
                out = q(s[None])
            action = int(out.argmax())
            if keep:  # as q_values in cleanrl: alive until the next call has returned
                values = out
            del out
        s2 = 0.9 * s + 0.1 * torch.randn(4) + (0.1 if action else -0.1)
        seen.append((s, action, float(-s2.abs().sum()), s2))
        s = s2
        if step > 60 and step % 10 == 0:
            batch = rng.sample(seen, 32)
            states, after = torch.stack([b[0] for b in batch]), torch.stack([b[3] for b in batch])
            with torch.no_grad():
                goal = torch.tensor([b[2] for b in batch]) + 0.9 * target(after).max(1).values
            chosen = q(states).gather(1, torch.tensor([[b[1]] for b in batch])).squeeze(1)
            loss = F.mse_loss(chosen, goal)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert values is not None


def run_of(path: Path, program: Any, *args: Any) -> Run:
    with evenflow.watch(run=path, every=1) as watch:
        program(*args)
    return evenflow.load(watch.path)


def rms(run: Run) -> dict[str, list[float]]:
    return {
        s.op + str(s.index): list(np.asarray(run.site(s.id, "rms")))
        for s in run.sites
        if s.path.startswith("network") and s.call == 0
    }


@pytest.mark.parametrize("keep", [False, True])
def test_acting_with_gradients_makes_no_sites(keep: bool, tmp_path: Path) -> None:
    run = run_of(tmp_path / "a.evenflow", dqn, "with gradients", keep)
    assert run.meta["steps"] == 33
    assert len(run.sites) <= (20 if keep else 10), [s.name for s in run.sites]
    for s in run.sites:  # the training's own calls, and nothing of the acting
        delta, out = run.site(s.id, "delta"), run.site(s.id, "rms")
        if s.kind in ("affine", "activation") and delta is not None and out is not None:
            assert (np.isfinite(out) == np.isfinite(delta)).all()


def test_the_readings_are_those_of_the_training(tmp_path: Path) -> None:
    """Acting draws nothing, so that both trainings are the same."""
    acting = run_of(tmp_path / "a.evenflow", dqn, "with gradients", False)
    silent = run_of(tmp_path / "b.evenflow", dqn, "without", False)
    mine, theirs = rms(acting), rms(silent)
    assert mine.keys() == theirs.keys() and mine
    for name, values in mine.items():
        np.testing.assert_allclose(values, theirs[name], rtol=1e-5)


def reinforce(episodes: int = 12) -> None:
    """Each action's graph is kept until the episode ends; episodes differ in length."""
    torch.manual_seed(0)
    rng = random.Random(1)
    policy = Q()
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
    for _ in range(episodes):
        terms = []
        s = torch.randn(4)
        for _ in range(rng.randrange(5, 60)):
            dist = torch.distributions.Categorical(logits=policy(s[None]))
            action = dist.sample()
            terms.append(dist.log_prob(action) * float(s[0]))
            s = 0.9 * s + 0.1 * torch.randn(4)
        loss = -torch.stack(terms).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def test_an_episode_of_any_length_has_few_sites(tmp_path: Path) -> None:
    run = run_of(tmp_path / "a.evenflow", reinforce)
    layers = [s for s in run.sites if s.path.startswith("network")]
    assert len(layers) == 3 * 8 and {s.call for s in layers} == set(range(8))
    last = [s for s in layers if s.call == 7]
    for s in last:
        delta = run.site(s.id, "delta")
        assert delta is not None and np.isfinite(delta).sum() > 6


def cell_over_time() -> None:
    torch.manual_seed(0)
    cell = nn.RNNCell(3, 8)
    optimizer = torch.optim.SGD(cell.parameters(), lr=0.1)
    for _ in range(3):
        h = torch.zeros(4, 8)
        for _ in range(12):
            h = cell(torch.randn(4, 3), h)
        optimizer.zero_grad()
        h.square().mean().backward()
        optimizer.step()


def test_calls_in_a_chain_keep_their_sites(tmp_path: Path) -> None:
    run = run_of(tmp_path / "a.evenflow", cell_over_time)
    assert {s.call for s in run.sites if s.kind == "recurrent" or "rnn" in s.op} == set(range(12))


class Agent(nn.Module):
    """As in cleanrl: its parts are called, it never is."""

    def __init__(self) -> None:
        super().__init__()
        self.critic = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
        self.actor = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 2))

    def decide(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.actor(x), self.critic(x)


def ppo(agent: nn.Module, decide: Any, updates: int = 6) -> None:
    """Collects without gradients, then four passes over what was collected."""
    optimizer = torch.optim.Adam(agent.parameters(), lr=3e-3)
    for _ in range(updates):
        states, logs, actions, gains = torch.randn(32, 4), [], [], []
        with torch.no_grad():
            for s in states:
                dist = torch.distributions.Categorical(logits=decide(s[None])[0])
                actions.append(dist.sample())
                logs.append(dist.log_prob(actions[-1]))
                gains.append(float(s[0]) * (1 if int(actions[-1]) else -1))
        old, chosen, gain = torch.cat(logs), torch.cat(actions), torch.tensor(gains)
        for _ in range(4):
            out, value = decide(states)
            dist = torch.distributions.Categorical(logits=out)
            ratio = (dist.log_prob(chosen) - old).exp()
            short = torch.min(ratio * gain, ratio.clamp(0.8, 1.2) * gain).mean()
            loss = F.mse_loss(value.squeeze(1), gain) - short - 0.01 * dist.entropy().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def test_parts_have_the_names_their_owner_gives_them(tmp_path: Path) -> None:
    torch.manual_seed(0)
    agent = Agent()
    run = run_of(tmp_path / "a.evenflow", ppo, agent, agent.decide)
    assert {s.root for s in run.sites if s.op == "linear"} == {"Agent"}
    assert {s.path for s in run.sites if s.op == "linear"} == {
        "actor.0", "actor.2", "critic.0", "critic.2"
    }  # fmt: skip
    assert {p.name for p in run.params} == {f"Agent.{name}" for name, _ in agent.named_parameters()}
    assert all(len(s.params) == 2 for s in run.sites if s.op == "linear")


def test_an_owner_that_is_called_later_keeps_its_name(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU())

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = net, nn.Linear(8, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.body(x))  # type: ignore[no-any-return]

    whole = Whole()
    optimizer = torch.optim.SGD(whole.parameters(), lr=0.1)
    with evenflow.watch(run=tmp_path / "a.evenflow", every=1) as watch:
        for part in (net, whole):
            optimizer.zero_grad()
            part(torch.randn(4, 4)).square().mean().backward()
            optimizer.step()
    run = evenflow.load(watch.path)
    names = {p.name for p in run.params}
    assert names == {f"Whole.{name}" for name, _ in whole.named_parameters()}


@pytest.mark.parametrize("wrap", [nn.DataParallel, nn.ModuleList])
def test_wrappers_and_lists_give_no_names(wrap: Any, tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    kept = wrap([net]) if wrap is nn.ModuleList else wrap(net)
    optimizer = torch.optim.SGD(kept.parameters(), lr=0.1)
    with evenflow.watch(run=tmp_path / "a.evenflow", every=1) as watch:
        net(torch.randn(4, 4)).square().mean().backward()
        optimizer.step()
    assert {s.root for s in evenflow.load(watch.path).sites if s.op == "linear"} == {"Sequential"}
