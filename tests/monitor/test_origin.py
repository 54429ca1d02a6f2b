"""EF103 names the first operation whose inputs were finite and whose output or gradient was not.

Each kind is a real training, with and without a guard, sampled at every step and as "auto" does;
where the guard is off and nothing was sampled when it arose, the finding says that it is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.schema import Finding, Run

AT = 5  # sampled by every=1, not by "auto" (0, 1, 2, 3, 4, 6, 8, ...)


class Net(nn.Module):
    """tanh perceptron whose hidden layer goes through `odd` from step `AT` on."""

    def __init__(self, odd: Callable[[Net, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 2)
        self.odd, self.sick, self.now = odd, True, 0

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.a(x))
        if self.now == AT and self.sick:
            h = self.odd(self, x, h)
        out: Tensor = self.b(h)
        return out


def _log_data(net: Net, x: Tensor, h: Tensor) -> Tensor:
    return h + torch.log(x[:, :1] * 0)


def _log_no_grad(net: Net, x: Tensor, h: Tensor) -> Tensor:
    with torch.no_grad():
        weight = torch.log(h.abs().mean() * 0)
    return h * weight


def _std_of_one(net: Net, x: Tensor, h: Tensor) -> Tensor:
    return h / x[:1].std(0).mean()


def _masked_mean(net: Net, x: Tensor, h: Tensor) -> Tensor:
    kept = torch.zeros(len(x), 1)
    return h + (h * kept).sum(0) / kept.sum()


def _exp(net: Net, x: Tensor, h: Tensor) -> Tensor:
    return torch.exp(h.abs() * 1000)


def _half(net: Net, x: Tensor, h: Tensor) -> Tensor:
    return (h * 1e6).half().float()


def _softmax(net: Net, x: Tensor, h: Tensor) -> Tensor:
    scores = (h @ h.T).masked_fill(torch.ones(len(x), len(x), dtype=torch.bool), -math.inf)
    return torch.softmax(scores, -1) @ h


def _softmax_by_hand(net: Net, x: Tensor, h: Tensor) -> Tensor:
    scores = (h @ h.T).masked_fill(torch.ones(len(x), len(x), dtype=torch.bool), -math.inf)
    e = scores.exp()
    return (e / e.sum(-1, keepdim=True)) @ h


def _sqrt(net: Net, x: Tensor, h: Tensor) -> Tensor:
    return h + torch.sqrt(h * 0)


def _sqrt_masked(net: Net, x: Tensor, h: Tensor) -> Tensor:
    return torch.where(h > 2, torch.sqrt(h * 0), h)


def _pow(net: Net, x: Tensor, h: Tensor) -> Tensor:
    return h + (h * 0) ** 0.5


def _division_masked(net: Net, x: Tensor, h: Tensor) -> Tensor:
    return torch.where(h > 2, 1 / (h * 0), h)


def _own_norm(net: Net, x: Tensor, h: Tensor) -> Tensor:
    return h / (1 + (h * 0).square().sum(1, keepdim=True).sqrt())


#: kind -> (what happens, op of the site to be named, does it arise in the forward?)
KINDS: dict[str, tuple[Callable[[Net, Tensor, Tensor], Tensor], str, bool]] = {
    "log of data": (_log_data, "log", True),
    "log under no_grad": (_log_no_grad, "log", True),
    "std of one sample": (_std_of_one, "std", True),
    "masked mean": (_masked_mean, "div", True),
    "exp": (_exp, "exp", True),
    "half": (_half, "half", True),
    "softmax of a masked row": (_softmax, "softmax", True),
    "softmax by hand": (_softmax_by_hand, "div", True),
    "sqrt": (_sqrt, "sqrt", False),
    "sqrt behind a mask": (_sqrt_masked, "sqrt", False),
    "pow": (_pow, "pow", False),
    "division behind a mask": (_division_masked, "div", False),
    "norm by hand": (_own_norm, "sqrt", False),
}


def train(net: Net, steps: int = 9) -> None:
    torch.manual_seed(0)
    optimizer = torch.optim.SGD(net.parameters(), 0.05)
    y = torch.zeros(6, dtype=torch.long)
    for net.now in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(net(torch.randn(6, 4)), y).backward()
        optimizer.step()


def watched(path: Path, call: Callable[[], Any], **how: Any) -> tuple[Run, list[Finding]]:
    with evenflow.watch(run=path, **how) as watch:
        try:
            call()
        except evenflow.NonFiniteError:
            assert how["on_nonfinite"] == "stop"
    run = evenflow.load(watch.path)
    return run, [f for f in evenflow.diagnose(run) if f.code in ("EF103", "EF503")]


def ops(run: Run, finding: Finding) -> list[str]:
    return [run.sites[i].op.removesuffix(" (no grad)") for i in finding.sites]


@pytest.mark.filterwarnings("ignore:std")
@pytest.mark.parametrize("guard", [None, "report", "skip", "stop"])
@pytest.mark.parametrize("every", [1, "auto"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_operation_is_named(
    kind: str, every: int | str, guard: str | None, tmp_path: Path
) -> None:
    odd, op, forward = KINDS[kind]
    run, (found,) = watched(
        tmp_path / "r.evenflow", lambda: train(Net(odd)), every=every, on_nonfinite=guard
    )
    assert found.code == "EF103"
    if guard is None and AT not in run.steps:  # it arose at a step that was not sampled
        assert (found.sites, found.cause) == ((), "origin-unknown")
        assert found.evidence["origin_seen"] == 0 and "--on-nonfinite" in found.message
        return
    assert ops(run, found) == [op], [run.sites[i].name for i in found.sites]
    assert found.cause == ("operation" if forward else "non-finite-slope")
    assert (found.evidence["origin_seen"], found.evidence["forward"]) == (1, forward)
    assert "at least" in found.message
    assert found.first_step == AT


@pytest.mark.parametrize("kind", KINDS)
def test_the_healthy_twin_says_nothing(kind: str, tmp_path: Path) -> None:
    net = Net(KINDS[kind][0])
    net.sick = False
    _, found = watched(tmp_path / "r.evenflow", lambda: train(net), every=1, on_nonfinite="stop")
    assert found == []


MODES = pytest.mark.parametrize("guard", [None, "report", "skip", "stop"])
EVERY = pytest.mark.parametrize("every", [1, "auto"])


def half_adam(eps: float) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3)).half()
    optimizer = torch.optim.Adam(net.parameters(), 1e-3, eps=eps)
    for _ in range(6):
        x = torch.relu(torch.randn(16, 8)).half() * 1e-2
        optimizer.zero_grad()
        F.cross_entropy(net(x), torch.randint(0, 3, (16,))).backward()
        optimizer.step()


@MODES
@EVERY
def test_the_update_is_named(every: int | str, guard: str | None, tmp_path: Path) -> None:
    """Adam's eps of 1e-8 is 0 in float16: 0/0 wherever a gradient is 0."""
    how: dict[str, Any] = {"every": every, "on_nonfinite": guard}
    run, (found,) = watched(tmp_path / "r.evenflow", lambda: half_adam(1e-8), **how)
    assert (found.code, found.cause, found.first_step) == ("EF103", "non-finite-update", 0) or (
        guard is not None and found.first_step <= 1
    )
    assert found.cause == "non-finite-update" and "the update itself" in found.message
    assert {run.sites[i].op for i in found.sites} == {"linear"} and found.params
    _, healthy = watched(tmp_path / "h.evenflow", lambda: half_adam(1e-4), **how)
    assert healthy == []


class Attends(nn.Module):
    """One row of one sample may see no key at all."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.embed, self.out = nn.Linear(4, 8), nn.Linear(8, 2)
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True)
        self.how = how

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        e = torch.tanh(self.embed(x))
        if self.how.startswith("module"):
            h, _ = self.attn(e, e, e, key_padding_mask=hidden, need_weights=True)
        else:
            scores = (e @ e.transpose(1, 2)).masked_fill(hidden[:, None], -math.inf)
            h = torch.softmax(scores, -1) @ e
        kept = h.masked_fill(hidden[:, :, None], 0.0)  # hides it in the forward
        out: Tensor = self.out(kept.sum(1))
        return out


def attend(how: str, sick: bool) -> None:
    torch.manual_seed(0)
    net = Attends(how)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for step in range(9):
        hidden = torch.zeros(6, 5, dtype=torch.bool)
        hidden[:, 3:] = True
        hidden[0] |= sick and step == AT
        optimizer.zero_grad()
        F.cross_entropy(net(torch.randn(6, 5, 4), hidden), torch.randint(0, 2, (6,))).backward()
        optimizer.step()


@pytest.mark.parametrize("guard", [None, "skip"])
@pytest.mark.parametrize("how", ["softmax", "module w"])
def test_attention_whose_row_sees_no_key(how: str, guard: str | None, tmp_path: Path) -> None:
    run, (found,) = watched(
        tmp_path / "r.evenflow", lambda: attend(how, True), every=1, on_nonfinite=guard
    )
    (site,) = found.sites
    assert "at least" in found.message
    assert run.sites[site].kind in ("softmax", "attention"), run.sites[site].name
    _, healthy = watched(
        tmp_path / "h.evenflow", lambda: attend(how, False), every=1, on_nonfinite=guard
    )
    assert healthy == []


def two_models(sick: bool) -> None:
    """A root between two models: in neither's forward."""
    torch.manual_seed(0)
    net, scale = nn.Sequential(nn.Linear(4, 8), nn.Tanh()), nn.Linear(1, 1)
    optimizer = torch.optim.SGD([*net.parameters(), *scale.parameters()], 0.05)
    for step in range(9):
        p, q = torch.randn(6, 4), torch.randn(6, 4)
        if sick and step >= AT:
            q[0] = p[0]
        optimizer.zero_grad()
        square = ((net(p) - net(q)) ** 2).sum(1, keepdim=True)
        F.mse_loss(scale(torch.sqrt(square)), torch.ones(6, 1)).backward()
        optimizer.step()


@pytest.mark.parametrize("every", [1, "auto"])
@pytest.mark.parametrize("guard", [None, "report", "skip", "stop"])
def test_a_root_between_two_models(every: int | str, guard: str | None, tmp_path: Path) -> None:
    run, (found,) = watched(
        tmp_path / "r.evenflow", lambda: two_models(True), every=every, on_nonfinite=guard
    )
    if every == 1 or AT in run.steps or guard == "skip":  # weights that were kept let it come again
        assert ops(run, found) == ["sqrt"] and found.cause == "non-finite-slope"
    else:
        assert found.sites == () and found.evidence["origin_seen"] == 0
    _, healthy = watched(tmp_path / "h.evenflow", lambda: two_models(False), every=every)
    assert healthy == []


@pytest.mark.parametrize("guard", [None, "report", "skip"])
def test_what_comes_from_outside(guard: str | None, tmp_path: Path) -> None:
    """NaN in the data, in the weights from the start, in a buffer."""

    def go(what: str) -> tuple[Run, list[Finding]]:
        torch.manual_seed(0)
        net = Net(lambda net, x, h: h + net.shift)
        net.register_buffer("shift", torch.tensor(math.nan if what == "buffer" else 0.0))
        if what == "weights":
            with torch.no_grad():
                net.b.weight[0, 0] = math.nan
        optimizer = torch.optim.SGD(net.parameters(), 0.05)

        def loop() -> None:
            for net.now in range(8):
                x = torch.randn(6, 4)
                if what == "data":
                    x[0, 0] = math.nan
                optimizer.zero_grad()
                F.cross_entropy(net(x), torch.zeros(6, dtype=torch.long)).backward()
                optimizer.step()

        return watched(tmp_path / f"{what}.evenflow", loop, every=1, on_nonfinite=guard)

    _, found = go("data")
    assert [(f.code, f.cause) for f in found] == [("EF503", ""), ("EF103", "EF503")]
    run, (lost,) = go("weights")
    assert (lost.code, lost.cause) == ("EF103", "weights-not-finite")
    assert lost.params[:1] == ("Net.b.weight",)
    run, (odd,) = go("buffer")
    assert ops(run, odd) == ["add"]
    assert go("nothing")[1] == []


def test_a_large_target_is_no_cause_of_nan_without_evidence(tmp_path: Path) -> None:
    """EF504 is there and NaN is too; nothing had grown, so the one is not said of the other."""

    def go(odd: bool, lr: float) -> list[Finding]:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        optimizer = torch.optim.SGD(net.parameters(), lr)
        with evenflow.watch(run=tmp_path / "r.evenflow", every=1) as watch:
            for step in range(30):
                out = net(torch.randn(16, 4))
                loss = F.mse_loss(out, 100 + torch.randn(16, 1))
                if odd and step == 20:
                    loss = loss + torch.log(out.sum() * 0)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        return evenflow.diagnose(watch.path)

    quiet = {f.code: f for f in go(True, 1e-6)}
    assert {"EF504", "EF103"} <= quiet.keys()
    assert quiet["EF103"].cause == "operation" and quiet["EF103"].evidence["growth"] < 1
    loud = {f.code: f for f in go(False, 1e12)}
    assert loud["EF103"].cause not in ("operation", "origin-unknown")
    assert loud["EF103"].evidence["growth"] > 1
