"""EF211 on real runs: mixtures written in five ways, sick and healthy; and what is no mixture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.schema import Finding, Severity

K = 4


class Mixture(nn.Module):
    """Experts weighed in one of several ways people write."""

    def __init__(self, way: str, slant: float) -> None:
        super().__init__()
        self.way, self.top = way, 2 if way in ("topk", "noisy") else 1
        self.router = nn.Linear(16, K)
        self.experts = nn.ModuleList(nn.Linear(16, 16) for _ in range(K))
        with torch.no_grad():
            self.router.bias[: self.top] += slant

    def forward(self, x: Tensor) -> Tensor:
        scores = self.router(x)
        self.p = scores.softmax(-1)
        if self.way == "topk":  # only the experts chosen, as Mixtral
            weight, index = torch.topk(self.p, 2, dim=-1)
            weight = weight / weight.sum(-1, keepdim=True)
            out = torch.zeros_like(x)
            for e, expert in enumerate(self.experts):
                rows, place = torch.where(index == e)
                out = out.index_add(0, rows, expert(x[rows]) * weight[rows, place, None])
            return self._chose(index, out)
        if self.way == "max":  # by a mask of rows, as Switch
            weight, index = self.p.max(dim=-1)
            out = torch.zeros_like(x)
            for e, expert in enumerate(self.experts):
                out[index == e] = weight[index == e][:, None] * expert(x[index == e])
            return self._chose(index, out)
        y = torch.stack([e(x) for e in self.experts], 1)
        if self.way == "noisy":  # topk first, softmax after
            noise = torch.randn_like(scores) if self.training else 0.0
            best, index = (scores + noise).topk(2, -1)
            gates = torch.zeros_like(scores).scatter(-1, index, F.softmax(best, -1))
            return self._chose(index, (gates[..., None] * y).sum(1))
        index = self.p.argmax(-1)
        if self.way == "one-hot":
            gates = F.one_hot(index, K) * self.p
            return self._chose(index, torch.einsum("be,bed->bd", gates, y))
        picked = y.gather(1, index[:, None, None].expand(-1, 1, 16))[:, 0]
        return self._chose(index, self.p.gather(1, index[:, None]) * picked)

    def _chose(self, index: Tensor, out: Tensor) -> Tensor:
        share = F.one_hot(index.reshape(-1), K).float().mean(0)
        self.balance = K * (share * self.p.mean(0)).sum()
        return out


class Net(nn.Module):
    def __init__(self, middle: nn.Module) -> None:
        super().__init__()
        self.embed, self.middle, self.head = nn.Linear(8, 16), middle, nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x)
        return self.head(h + self.middle(h))


def told(
    net: nn.Module,
    path: Path,
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
    steps: int = 60,
) -> dict[str, Finding]:
    torch.manual_seed(1)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    with evenflow.watch(net, optimizer, run=path):
        for _ in range(steps):
            x = torch.randn(64, 8)
            optimizer.zero_grad()
            out, y = net(x), x[:, :4].argmax(1)
            (out.argmax(-1) == y).float().mean()  # as people print it: no choice of experts
            loss(out, y).backward()
            optimizer.step()
    return {f.code: f for f in reversed(evenflow.diagnose(path))}


WAYS = ("topk", "max", "noisy", "one-hot", "gather")


@pytest.mark.parametrize("way", WAYS)
def test_however_it_is_written(way: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    sick = Net(Mixture(way, 9.0))
    found = told(sick, tmp_path / "sick.evenflow")
    f = found["EF211"]
    top = 2 if way in ("topk", "noisy") else 1
    assert f.severity >= Severity.warning and f.cause == ""
    assert set(f.threshold) == {"favoured"}
    assert f.evidence["favoured"] == pytest.approx(1.0, abs=0.02)
    assert f.evidence["load"] == pytest.approx(K / top, rel=0.02)
    assert f.evidence["experts"] == K
    assert next(iter(evenflow.diagnose(tmp_path / "sick.evenflow"))).code == "EF211"  # the root
    mix = Mixture(way, 0.0)
    well = told(
        Net(mix),
        tmp_path / "well.evenflow",
        lambda out, y: F.cross_entropy(out, y) + 0.1 * mix.balance,
    )
    assert "EF211" not in well


class Alike(Mixture):
    def __init__(self) -> None:
        super().__init__("max", 9.0)
        nn.init.zeros_(self.router.weight)


def test_rows_that_start_alike_are_the_cause(tmp_path: Path) -> None:
    torch.manual_seed(0)
    f = told(Net(Alike()), tmp_path / "run.evenflow")["EF211"]
    assert f.cause == "identical-rows"
    assert "Draw the router's weight at random" in " ".join(evenflow.words.advice(f))


class Sparse(nn.Module):
    """Attention over one key, chosen among computed ones: no layer's scores."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(16, 16) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        p = (self.q(x) @ self.k(x[:8]).t() + torch.arange(8) * 9).softmax(-1)
        best, index = p.topk(1, -1)
        return (best[..., None] * self.v(x[:8])[index]).sum(1)


class Largest(nn.Module):
    """The largest units alone pass: chosen, but nothing else is weighed by them."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(16, 16)
        with torch.no_grad():
            self.up.bias[:2] += 9.0

    def forward(self, x: Tensor) -> Tensor:
        h = self.up(x)
        best, index = h.topk(2, -1)
        return torch.zeros_like(h).scatter(-1, index, best)


@pytest.mark.parametrize("middle", [Sparse, Largest])
def test_what_is_no_router(middle: Callable[[], nn.Module], tmp_path: Path) -> None:
    torch.manual_seed(0)
    assert "EF211" not in told(Net(middle()), tmp_path / "run.evenflow")


def test_a_critic_beside_a_policy_is_no_expert(tmp_path: Path) -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk, self.act, self.value = nn.Linear(8, 16), nn.Linear(16, 4), nn.Linear(16, 1)
            with torch.no_grad():
                self.act.bias[0] += 9.0

        def forward(self, x: Tensor) -> Tensor:
            h = self.trunk(x).tanh()
            p = self.act(h).softmax(-1)
            greedy = p.argmax(-1)
            self.gain = self.value(h)[:, 0]
            self.cost = -(p.gather(1, greedy[:, None])[:, 0].log() * self.gain).mean()
            return p

    torch.manual_seed(0)
    net = Both()
    found = told(net, tmp_path / "run.evenflow", lambda out, y: net.cost + net.gain.square().mean())
    assert "EF211" not in found


def test_several_routers_are_one_finding(tmp_path: Path) -> None:
    torch.manual_seed(0)
    told(Net(nn.Sequential(Mixture("max", 9.0), Mixture("topk", 9.0))), tmp_path / "run.evenflow")
    (f,) = [f for f in evenflow.diagnose(tmp_path / "run.evenflow") if f.code == "EF211"]
    sites = [evenflow.load(tmp_path / "run.evenflow").sites[i].path for i in f.sites]
    assert sites == ["middle.0", "middle.1"] and f.evidence["sites_affected"] == 2
