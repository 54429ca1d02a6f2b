"""EF207: latents without use, on synthetic runs and on real ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

import evenflow
from evenflow.faults import REGISTRY, View
from evenflow.schema import Finding, Severity

from .synthetic import BIRTH, Builder

STEPS = np.array(BIRTH)


def found(b: Builder) -> list[Finding]:
    return list(REGISTRY["EF207"]().check(View(b.run())))


def coder(steps: tuple[int, ...] = BIRTH) -> Builder:
    b = Builder(steps)
    x = b.linear("encoder", b.input((32, 64)))
    z = b.site("", "add", "join", (b.linear("mean", x, 8), x), shape=(32, 8))
    b.set(z, "latent_idle", 1.0).set(z, "latent_kl", 1e-3)
    b.loss_on(b.linear("decoder", z, 64), "mse_loss", (32, 64))
    return b.loss(0.9)


def test_latents_that_hold_nothing() -> None:
    (f,) = found(coder())
    assert f.evidence == {"idle": 1.0, "nats": 1e-3, "latents": 8.0}
    assert f.severity is Severity.warning
    (f,) = found(coder().set(2 + 1, "latent_idle", np.where(STEPS < 16, 0.2, 1.0)))
    assert f.first_step == 16


WELL: dict[str, Callable[[Builder], Builder]] = {
    "some are pruned": lambda b: b.set(3, "latent_idle", 0.9),
    "codes without noise": lambda b: b.set(3, "latent_kl", 2.0),
    "taken up late": lambda b: b.set(3, "latent_kl", np.where(STEPS >= 224, 8e-3, 1e-3)),
    "taken up in the end": lambda b: b.set(3, "latent_idle", np.where(STEPS >= 256, 0.1, 1.0)),
    "never read": lambda b: b.forget("site", "latent_idle"),
}


@pytest.mark.parametrize("kind", WELL)
def test_latents_of_use(kind: str) -> None:
    assert found(WELL[kind](coder())) == []


def test_the_first_updates_do_not_tell() -> None:
    assert found(coder(BIRTH[:8])) == []


class Coder(nn.Module):
    """Eight numbers to four latents and back."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.encode, self.decode = nn.Linear(8, 8), nn.Linear(4, 8)
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        mean, rest = self.encode(x).chunk(2, -1)
        std = F.softplus(rest)
        if self.way == "rsample":
            q = Normal(mean, std)
            z, self.kl = q.rsample(), kl_divergence(q, Normal(0.0, 1.0))
        else:
            z = mean + std * torch.randn_like(std)
            self.kl = 0.5 * (mean.square() + std.square() - 1 - 2 * std.log())
        return self.decode(z)


def told(way: str, weight: float, path: Path) -> dict[str, Finding]:
    torch.manual_seed(0)
    net = Coder(way)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    turn = torch.randn(4, 8)
    with evenflow.watch(net, optimizer, run=path):
        for _ in range(260):
            x = torch.randn(32, 4) @ turn
            optimizer.zero_grad()
            error = F.mse_loss(net(x), x, reduction="none").sum(1)
            (error + weight * net.kl.sum(1)).mean().backward()
            optimizer.step()
    return {f.code: f for f in reversed(evenflow.diagnose(path))}


@pytest.mark.parametrize("way", ["rsample", "by hand"])
def test_on_real_runs(way: str, tmp_path: Path) -> None:
    f = told(way, 300.0, tmp_path / "sick.evenflow")["EF207"]
    assert f.evidence["idle"] == 1.0 and f.evidence["latents"] == 4
    assert evenflow.diagnose(tmp_path / "sick.evenflow")[0].code == "EF207"
    assert "be a sum over pixels" in " ".join(evenflow.words.advice(f))
    assert "EF207" not in told(way, 1.0, tmp_path / "well.evenflow")


def test_a_policy_that_explores_is_no_autoencoder(tmp_path: Path) -> None:
    """Soft actor-critic: actions by rsample, their entropy rewarded, no prior."""
    torch.manual_seed(0)
    actor, critic = nn.Linear(3, 4), nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters()], 3e-3)
    net = nn.ModuleList([actor, critic])
    with evenflow.watch(net, optimizer, run=tmp_path / "run.evenflow"):
        for _ in range(260):
            state = torch.randn(64, 3)
            mean, log_std = actor(state).chunk(2, -1)
            q = Normal(mean, log_std.clamp(-5, 2).exp())
            action = q.rsample()
            value = critic(torch.cat([state, action.tanh()], -1))[:, 0]
            reward = -(action.detach().tanh() - state[:, :2]).square().sum(1)
            optimizer.zero_grad()
            gain = value - 0.05 * q.log_prob(action).sum(1)
            ((value - reward).square() - 0.1 * gain).mean().backward()
            optimizer.step()
    assert "EF207" not in {f.code for f in evenflow.diagnose(tmp_path / "run.evenflow")}
