"""What looks like a fault and harms nothing, beside twins where it does: trained for real."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import evenflow
from evenflow.schema import Finding, Severity


def _run(
    path: Path, net: nn.Module, batch: object, loss: object, rate: float = 3e-3, steps: int = 150
) -> dict[str, Finding]:
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    with evenflow.watch(net, optimizer, run=path):
        for _ in range(steps):
            x, y = batch()  # type: ignore[operator]
            value = loss(net(x), y)  # type: ignore[operator]
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
    return {f.code: f for f in evenflow.diagnose(path)}


# --- EF205: the first position of sequences that all begin alike ---------------------------------


class Cell(nn.Module):
    """A cell of one's own over 8 tokens, with a spare GRUCell that nothing calls."""

    def __init__(self, shrink: float = 1.0) -> None:
        super().__init__()
        self.embed = nn.Embedding(12, 16)
        self.spare = nn.GRUCell(16, 32)
        self.enter, self.head = nn.Linear(48, 32), nn.Linear(32, 12)
        with torch.no_grad():
            self.enter.weight.mul_(shrink)

    def forward(self, x: Tensor) -> Tensor:
        e, out = self.embed(x), []
        h = torch.zeros(len(x), 32)
        for t in range(x.shape[1]):
            h = torch.tanh(self.enter(torch.cat([e[:, t], h], 1)))
            out.append(h)
        return self.head(torch.stack(out, 1))


def _sequences() -> tuple[Tensor, Tensor]:
    """Tokens that count up from a random one after a start token; half of the targets are noise."""
    begin = torch.randint(1, 12, (16, 1))
    x = torch.cat([torch.zeros_like(begin), (begin + torch.arange(8) - 1) % 11 + 1], 1)
    noise = torch.randint(1, 12, (16, 8))
    return x[:, :-1], torch.where(torch.rand(16, 8) < 0.4, x[:, 1:], noise)


def _each(out: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(out.flatten(0, 1), y.flatten())


def test_sequences_that_begin_alike(tmp_path: Path) -> None:
    torch.manual_seed(0)
    found = _run(tmp_path / "run.evenflow", Cell(), _sequences, _each)
    assert "EF205" not in found
    assert found["EF807"].cause == "never-called"
    assert found["EF807"].severity is Severity.warning  # the rest trains


def test_a_cell_that_sees_nothing_at_any_position(tmp_path: Path) -> None:
    def same() -> tuple[Tensor, Tensor]:
        x, _ = _sequences()
        return torch.zeros_like(x), torch.randint(1, 12, x.shape)

    torch.manual_seed(0)
    found = _run(tmp_path / "run.evenflow", Cell(), same, _each)
    assert "EF205" in found


# --- EF807: never called, and nothing learns -----------------------------------------------------


@pytest.mark.parametrize("learns", [True, False])
def test_a_large_layer_that_nothing_calls(tmp_path: Path, learns: bool) -> None:
    class Spare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last, self.big = nn.Linear(8, 4), nn.Linear(4, 4), nn.Linear(64, 64)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(torch.tanh(self.first(x)))

    def batch() -> tuple[Tensor, Tensor]:
        x = torch.randn(64, 8)
        return x, x[:, :4].argmax(1) if learns else torch.randint(0, 4, (64,))

    torch.manual_seed(0)
    found = _run(tmp_path / "run.evenflow", Spare(), batch, F.cross_entropy, 1e-2)
    assert found["EF807"].severity is (Severity.warning if learns else Severity.error)


# --- EF504: a target of some size that is learned ------------------------------------------------


@pytest.mark.parametrize(("rate", "told"), [(1e-2, False), (1e-5, True)])
def test_a_target_with_a_mean_accuses_no_net_that_learns(
    tmp_path: Path, rate: float, told: bool
) -> None:
    def batch() -> tuple[Tensor, Tensor]:
        x = torch.randn(64, 4)
        return x, 20 + 5 * x[:, :1]

    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1))
    found = _run(tmp_path / "run.evenflow", net, batch, F.mse_loss, rate, 400)
    assert ("EF504" in found) == told


@pytest.mark.parametrize(("rate", "told"), [(0.1, False), (1e-6, True)])
def test_a_target_with_heavy_tails_that_is_learned(tmp_path: Path, rate: float, told: bool) -> None:
    """A polynomial by smooth_l1_loss, as the examples of PyTorch fit one."""
    weight = torch.tensor([[5.0], [-3.0], [4.0], [-6.0]])

    def batch() -> tuple[Tensor, Tensor]:
        x = torch.cat([torch.randn(32, 1) ** k for k in range(1, 5)], 1)
        return x, x @ weight + 2

    torch.manual_seed(1)
    found = _run(tmp_path / "run.evenflow", nn.Linear(4, 1), batch, F.smooth_l1_loss, rate, 400)
    assert ("EF504" in found) == told


@pytest.mark.parametrize(("steps", "told"), [(80, True), (400, False)])
def test_a_target_whose_mean_takes_most_of_the_training(
    tmp_path: Path, steps: int, told: bool
) -> None:
    """The same net and rate: what counts is how much of the training went into the mean."""

    def batch() -> tuple[Tensor, Tensor]:
        x = torch.randn(64, 4)
        return x, 45 + 12 * x[:, :1]

    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1))
    found = _run(tmp_path / "run.evenflow", net, batch, F.mse_loss, 1e-2, steps)
    assert ("EF504" in found) == told


@pytest.mark.parametrize("bootstrap", [True, False])
def test_an_actor_and_its_critics_targets_are_no_data(tmp_path: Path, bootstrap: bool) -> None:
    """A critic that learns rewards of -8 beside an actor; alone, it never gets near them."""
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 1))
    actor = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1))
    learn = torch.optim.Adam(critic.parameters(), 1e-3 if bootstrap else 1e-6)
    act = torch.optim.Adam(actor.parameters(), 1e-3)
    with evenflow.watch(nn.ModuleList([critic, actor]), run=tmp_path / "run.evenflow", every=5):
        for _ in range(100):
            s, after = torch.randn(64, 4), torch.randn(64, 4)
            target = -8 + s[:, :1]
            if bootstrap:
                with torch.no_grad():
                    target = target + 0.5 * critic(torch.cat([after, actor(after)], 1))
            tried = torch.cat([s, torch.randn(64, 1)], 1)
            learn.zero_grad()
            F.mse_loss(critic(tried), target).backward()
            learn.step()
            if bootstrap:
                act.zero_grad()
                (-critic(torch.cat([s, actor(s)], 1)).mean()).backward()
                act.step()
    found = {f.code for f in evenflow.diagnose(tmp_path / "run.evenflow")}
    assert ("EF504" in found) != bootstrap


# --- EF402: an overshoot that falls at once ------------------------------------------------------


@pytest.mark.parametrize("stays", [False, True])
def test_an_overshoot_that_falls_at_once_did_not_diverge(tmp_path: Path, stays: bool) -> None:
    """Labels nobody can learn; five early steps are made at a rate far too high."""
    torch.manual_seed(0)
    net = nn.Linear(16, 4)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with evenflow.watch(net, optimizer, run=tmp_path / "run.evenflow"):
        for step in range(200):
            for group in optimizer.param_groups:
                group["lr"] = 400.0 if step in (0, 1, 2) else (1e-3 if stays else 0.1)
            if step == 5 and not stays:
                with torch.no_grad():  # back to where it began
                    net.weight.zero_()
                    net.bias.zero_()
            loss = F.cross_entropy(net(torch.randn(32, 16)), torch.randint(0, 4, (32,)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    found = {f.code: f for f in evenflow.diagnose(tmp_path / "run.evenflow")}
    assert ("EF402" in found and found["EF402"].severity is Severity.error) == stays
