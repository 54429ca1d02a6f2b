"""A loss written by hand beside a loss function is a loss as well: what it alone trains is judged.
Trained for real, well and with one part sick; none of the parts hides behind another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import evenflow
from evenflow.faults import View
from evenflow.schema import Finding, Run

from .test_towers import net, step

#: What a training is given: a part by its name, with so many outputs.
Make = Callable[..., nn.Module]


class Parts(nn.Module):
    """Networks by name, of which at most one is other than the rest."""

    def __init__(self, one: str = "", other: Make = lambda out: net(out, sick=True)) -> None:
        super().__init__()
        self.one, self.other = one, other

    def make(self, name: str, out: int, head: float = 1.0) -> nn.Module:
        made = self.other(out) if name == self.one else net(out, head=head)
        self.add_module(name, made)
        return made


def policy_gradient(logits: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Loss of the actor, by hand, and the returns."""
    chosen = torch.distributions.Categorical(logits=logits)
    action = chosen.sample()
    gain = (action == (x[:, 0] > 0).long()).float()
    return -(chosen.log_prob(action) * (gain - gain.mean()) / (gain.std() + 1e-8)).mean(), gain


def actor_critic(parts: Parts) -> None:
    """A2C: the critic's loss is a loss function, the actor's is none."""
    actor, critic = parts.make("actor", 2, head=0.01), parts.make("critic", 1)
    optimizer = torch.optim.Adam(parts.parameters(), 3e-4)
    for _ in range(120):
        x = torch.randn(128, 4)
        loss, gain = policy_gradient(actor(x), x)
        returns = 100 * gain + 50 * torch.randn(128)
        step(optimizer, loss + 0.5 * F.mse_loss(critic(x).squeeze(1), returns))


def learned_prior(parts: Parts) -> None:
    """A variational autoencoder whose prior is learned: nothing but the divergence, by hand,
    depends on it."""
    encoder, decoder = parts.make("encoder", 4), parts.make("decoder", 4)
    prior = parts.make("prior", 4)
    optimizer = torch.optim.Adam(parts.parameters(), 1e-3)
    for _ in range(120):
        given = torch.randn(64, 4)
        x = given + torch.randn(64, 4)
        mean, size = encoder(x).chunk(2, 1)
        expected, width = prior(given).chunk(2, 1)
        z = mean + torch.randn_like(mean) * (0.5 * size).exp()
        made = decoder(torch.cat([z, given[:, :2]], 1))
        away = width - size + (size.exp() + (mean - expected) ** 2) / width.exp() - 1
        step(optimizer, F.mse_loss(made, x) + 0.05 * away.sum(1).mean())


def adversaries(parts: Parts) -> None:
    """Pictures to order: hinge losses by hand, and a distance to what was asked for."""
    generator, discriminator = parts.make("generator", 4), parts.make("discriminator", 1)
    makes = torch.optim.Adam(generator.parameters(), 1e-3)
    judges = torch.optim.Adam(discriminator.parameters(), 1e-3)
    for _ in range(120):
        asked = torch.randn(64, 4)
        real = 0.5 * asked + 0.5 * torch.randn(64, 4)
        made = generator(asked)
        told = (1 - discriminator(real)).clamp(min=0) + (1 + discriminator(made.detach())).clamp(
            min=0
        )
        step(judges, told.mean())
        step(makes, F.mse_loss(made, real) - 0.1 * discriminator(made).mean())


def auxiliary(parts: Parts) -> None:
    """Two networks on a trunk; the second's likelihood is written by hand."""
    trunk, head, aside = parts.make("trunk", 4), parts.make("head", 2), parts.make("aside", 2)
    optimizer = torch.optim.Adam(parts.parameters(), 1e-3)
    for _ in range(120):
        x = torch.randn(64, 4)
        h = torch.tanh(trunk(x))
        y = x[:, :1] + 2 * torch.randn(64, 1)
        mean, size = aside(h).chunk(2, 1)
        likelihood = (0.5 * size + 0.5 * (y - mean) ** 2 / size.exp()).mean()
        step(optimizer, F.cross_entropy(head(h), (y[:, 0] > 0).long()) + 0.1 * likelihood)


KINDS: dict[Callable[[Parts], None], tuple[str, ...]] = {
    actor_critic: ("actor", "critic"),
    learned_prior: ("encoder", "decoder", "prior"),
    adversaries: ("generator", "discriminator"),
    auxiliary: ("trunk", "head", "aside"),
}


def recorded(folder: Path, train: Callable[[Parts], None], parts: Parts) -> Run:
    torch.manual_seed(0)
    with evenflow.watch(run=folder / "run.evenflow", every=4) as watch:
        train(parts)
    return evenflow.load(watch.path)


def places(run: Run, ids: tuple[int, ...]) -> set[str]:
    """Names of the parts that these sites belong to."""
    names = [name for i in ids for name in run.sites[i].params]
    return {part for name in names for part in name.split(".") if part in NAMES}


NAMES = {name for names in KINDS.values() for name in names}


def found(run: Run) -> dict[str, Finding]:
    return {f.code: f for f in evenflow.diagnose(run) if f.severity > 0}


@pytest.mark.parametrize("kind", KINDS)
def test_all_that_a_gradient_reaches_is_judged_and_sound(
    kind: Callable[[Parts], None], tmp_path: Path
) -> None:
    parts = Parts()
    run = recorded(tmp_path, kind, parts)
    layers = View(run).layers
    trained = [p for p in parts.parameters() if p.grad is not None and p.dim() > 1]
    read = {name for i in layers for name in run.sites[i].params}
    assert sum(len(p.shape) > 1 and p.name in read for p in run.params) == len(trained)
    assert len(trained) == 3 * len(KINDS[kind])
    assert found(run) == {}


@pytest.mark.parametrize(
    ("kind", "sick"), [(k, name) for k, names in KINDS.items() for name in names]
)
def test_the_part_that_vanishes_is_named(
    kind: Callable[[Parts], None], sick: str, tmp_path: Path
) -> None:
    run = recorded(tmp_path, kind, Parts(sick))
    vanished = found(run)["EF101"]
    assert run.sites[vanished.sites[0]].path.split(".")[-1] == "0"
    # what a sick decoder alone hears of is its encoder, which no gradient reaches through it
    assert places(run, vanished.sites) == {sick} | ({"encoder"} if sick == "decoder" else set())


def straight(out: int) -> nn.Module:
    return nn.Sequential(nn.Linear(4, 32), nn.Linear(32, 32), nn.Linear(32, out))


def alone(out: int) -> nn.Module:
    """Each value is normalised by itself, to 0."""
    return nn.Sequential(nn.Linear(4, 32), nn.GroupNorm(32, 32), nn.Tanh(), nn.Linear(32, out))


@pytest.mark.parametrize(("other", "code"), [(straight, "EF702"), (alone, "EF806")])
@pytest.mark.parametrize("part", KINDS[actor_critic])
def test_what_the_part_is_made_of_is_judged(
    part: str, other: Make, code: str, tmp_path: Path
) -> None:
    run = recorded(tmp_path, actor_critic, Parts(part, other))
    assert {run.sites[i].path.split(".")[0] for i in found(run)[code].sites} == {part}


class Forgetful(Parts):
    """One of the networks is no part of the module, and so in no optimizer."""

    def make(self, name: str, out: int, head: float = 1.0) -> nn.Module:
        return net(out) if name == self.one else super().make(name, out, head)


@pytest.mark.parametrize("part", KINDS[actor_critic])
def test_a_part_in_no_optimizer(part: str, tmp_path: Path) -> None:
    run = recorded(tmp_path, actor_critic, Forgetful(part))
    (left_out,) = [f for f in evenflow.diagnose(run) if f.code == "EF704"]
    assert left_out.cause == "in-no-optimizer" and left_out.evidence["parameters"] == 6


def two_straight(parts: Parts) -> None:
    """Neither network bends; a softmax, logarithms and squares of the loss are no bends of it."""
    actor, critic = (nn.Sequential(nn.Linear(4, 32), nn.Linear(32, out)) for out in (2, 1))
    optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters()], 1e-3)
    for _ in range(40):
        x = torch.randn(64, 4)
        loss, gain = policy_gradient(actor(x), x)
        step(optimizer, loss + F.mse_loss(critic(x).squeeze(1), gain))


def one_straight(parts: Parts) -> None:
    """All of the loss by hand."""
    model = nn.Sequential(nn.Linear(4, 32), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(40):
        x = torch.randn(64, 4)
        step(optimizer, ((model(x) - x[:, :1] - torch.randn(64, 1)) ** 2).mean())


@pytest.mark.parametrize("train", [two_straight, one_straight])
def test_what_is_done_with_outputs_bends_no_network(
    train: Callable[[Parts], None], tmp_path: Path
) -> None:
    fault = found(recorded(tmp_path, train, Parts()))["EF702"]
    assert fault.evidence["whole_network"] == 1


def test_what_no_loss_reads_is_not_judged(tmp_path: Path) -> None:
    """A network that is called with gradients, whose outputs are only looked at."""

    def train(parts: Parts) -> None:
        model, looked_at = parts.make("head", 1), parts.make("aside", 2)
        optimizer = torch.optim.Adam(model.parameters(), 1e-3)
        for _ in range(60):
            x = torch.randn(64, 4)
            seen = looked_at(x)
            step(optimizer, F.mse_loss(model(x), x[:, :1] + 2 * torch.randn(64, 1)))
            assert seen.requires_grad

    run = recorded(tmp_path, train, Parts("aside"))
    assert places(run, tuple(s.id for s in run.sites)) == {"head", "aside"}
    assert places(run, View(run).layers) == {"head"}
    assert found(run) == {}
