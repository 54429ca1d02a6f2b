"""Time is depth: recurrent nets whose start explodes or forgets, each with its healthy twin."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import evenflow
from evenflow.faults import View
from evenflow.faults.through_time import ThroughTime
from evenflow.forecast.overtime import unrolled
from evenflow.forecast.rendering import lines
from evenflow.forecast.static import forecast_static

STEPS = 16
FUSED: dict[str, Callable[..., nn.RNNBase]] = {
    "relu": lambda *a, **k: nn.RNN(*a, nonlinearity="relu", **k),
    "tanh": nn.RNN,
    "lstm": nn.LSTM,
    "gru": nn.GRU,
}


def _gain_(module: nn.Module, gain: float) -> None:
    with torch.no_grad():
        for name, p in module.named_parameters():
            if "weight_hh" in name:
                p.mul_(gain)


class Fused(nn.Module):
    def __init__(self, kind: str, gain: float, hidden: int = 64, **more: Any) -> None:
        super().__init__()
        self.rnn = FUSED[kind](4, hidden, batch_first=True, **more)
        self.head = nn.Linear(hidden * (2 if more.get("bidirectional") else 1), 10)
        _gain_(self.rnn, gain)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


class Cell(nn.Module):
    """The same, a cell called in a loop of one's own."""

    def __init__(self, kind: str, gain: float, hidden: int = 64) -> None:
        super().__init__()
        self.cell: nn.RNNCellBase = {
            "relu": lambda: nn.RNNCell(4, hidden, nonlinearity="relu"),
            "tanh": lambda: nn.RNNCell(4, hidden),
            "gru": lambda: nn.GRUCell(4, hidden),
        }[kind]()
        self.head = nn.Linear(hidden, 10)
        _gain_(self.cell, gain)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), self.cell.hidden_size)
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
        return self.head(h)


class Loop(nn.Module):
    """The same by two linear layers and a function."""

    def __init__(self, kind: str, gain: float, hidden: int = 64) -> None:
        super().__init__()
        self.into, self.again = nn.Linear(4, hidden), nn.Linear(hidden, hidden)
        self.head, self.kind = nn.Linear(hidden, 10), kind
        with torch.no_grad():
            self.again.weight.mul_(gain)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(len(x), self.again.in_features)
        for t in range(x.shape[1]):
            h = getattr(torch, self.kind)(self.into(x[:, t]) + self.again(h))
        return self.head(h)


class EachStep(Fused):
    """Its loss reads every step."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0])


def _forecast(model: nn.Module, steps: int = STEPS) -> evenflow.Forecast:
    return evenflow.preflight(model, (32, steps, 4), advise=False)


@pytest.mark.parametrize("make", [Fused, Cell, Loop])
@pytest.mark.parametrize("kind", ["relu", "tanh"])
def test_what_explodes_through_time_is_sick_and_its_twin_is_healthy(
    make: Callable[[str, float], nn.Module], kind: str
) -> None:
    for gain in (6.0, 10.0):
        torch.manual_seed(0)
        found = _forecast(make(kind, gain))
        assert found.verdict == "sick" and found.chance < 0.4
        assert ("EF102", "through-time") in {(f.code, f.cause) for f in found.findings}
        assert not {"EF602", "EF604"} & {f.code for f in found.findings}  # time, not depth
    torch.manual_seed(0)
    twin = _forecast(make(kind, 1.0))
    assert twin.verdict == "healthy" and not twin.findings and twin.chance > 0.99


def test_a_gain_of_four_is_no_longer_certain() -> None:
    torch.manual_seed(0)
    found = _forecast(Fused("relu", 4.0))
    assert found.verdict != "healthy" and found.chance < 0.9


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_gated_layers_too(kind: str) -> None:
    torch.manual_seed(0)
    assert _forecast(Fused(kind, 20.0)).verdict == "sick"
    torch.manual_seed(0)
    assert _forecast(Fused(kind, 1.0)).verdict == "healthy"


@pytest.mark.parametrize("make", [Fused, Cell, Loop])
def test_what_forgets_gets_no_promise(make: Callable[[str, float], nn.Module]) -> None:
    torch.manual_seed(0)
    found = _forecast(make("tanh", 0.1))
    assert found.verdict == "warning" and math.isnan(found.chance)
    (said,) = found.findings
    assert (said.code, said.cause) == ("EF101", "through-time")
    assert 5 < said.evidence["memory"] < 8
    assert "no chance is told" in " ".join(text for text, _style in lines(found))


def test_a_long_sequence_is_not_called_sick_for_what_every_start_does() -> None:
    """PyTorch's own LSTM forgets within 40 steps; whether that matters the data know."""
    torch.manual_seed(0)
    found = _forecast(Fused("lstm", 1.0), steps=100)
    assert found.verdict == "healthy" and math.isnan(found.chance)
    assert [f.severity.name for f in found.findings] == ["info"]


def test_a_loss_at_each_step_forgets_nothing_but_may_explode() -> None:
    torch.manual_seed(0)
    assert not _forecast(EachStep("tanh", 0.1)).findings
    torch.manual_seed(0)
    assert _forecast(EachStep("relu", 8.0)).verdict == "sick"


@pytest.mark.parametrize("kind", ["relu", "tanh"])
def test_the_static_forecast_opens_time_as_well(kind: str) -> None:
    sick = forecast_static(lambda: Fused(kind, 8.0), (16, STEPS, 4), draws=1)
    assert sick.verdict == "sick" and "EF102" in {f.code for f in sick.findings}
    assert forecast_static(lambda: Fused(kind, 1.0), (16, STEPS, 4), draws=1).verdict == "healthy"
    unseen = forecast_static(lambda: Fused(kind, 8.0), (16, STEPS, 4), draws=1, least=1)
    assert unseen.verdict == "sick"


def test_advice_for_time_is_about_time() -> None:
    torch.manual_seed(0)
    found = evenflow.preflight(Fused("relu", 6.0), (32, STEPS, 4))
    assert [a.change for a in found.advice] == ["recurrent=orthogonal"]
    assert found.advice[0].chance > 0.9


class Packed(Fused):
    def forward(self, x: Tensor) -> Tensor:
        lengths = [x.shape[1]] * (len(x) - 2) + [x.shape[1] - 3, 2]
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return self.head(self.rnn(packed)[1][-1])


class LastState(Fused):
    def forward(self, x: Tensor) -> Tensor:
        _, h = self.rnn(x)
        return self.head((h[0] if isinstance(h, tuple) else h)[-1])


@pytest.mark.parametrize("kind", ["relu", "lstm"])
def test_the_last_state_is_as_good_as_the_last_output(kind: str) -> None:
    for gain in (20.0, 1.0):
        torch.manual_seed(0)
        a = _forecast(Fused(kind, gain))
        torch.manual_seed(0)
        b = _forecast(LastState(kind, gain))
        assert a.chance == pytest.approx(b.chance, abs=1e-6)
        assert (a.verdict == "healthy") == (gain == 1.0)


def test_packed_sequences_are_opened() -> None:
    torch.manual_seed(0)
    assert _forecast(Packed("relu", 8.0)).verdict == "sick"
    torch.manual_seed(0)
    assert _forecast(Packed("relu", 1.0)).verdict == "healthy"


class Outer(Fused):
    """Torch's function without its module: nobody can open it."""

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(1, len(x), self.rnn.hidden_size)
        flat = list(self.rnn._flat_weights)
        return self.head(torch._VF.rnn_relu(x, h, flat, True, 1, 0.0, True, False, True)[0][:, -1])


def test_a_layer_that_cannot_be_opened_gets_no_promise() -> None:
    torch.manual_seed(0)
    found = _forecast(Outer("relu", 10.0))
    assert math.isnan(found.chance) and ThroughTime(View(found.run)).closed
    assert "could not be opened" in " ".join(text for text, _style in lines(found))


@pytest.mark.parametrize("kind", list(FUSED))
@pytest.mark.parametrize("first", [False, True])
def test_unrolled_is_what_torch_computes(kind: str, first: bool) -> None:
    torch.manual_seed(0)
    more: dict[str, Any] = {"proj_size": 3} if kind == "lstm" else {}
    for bias in (True, False):
        layer = FUSED[kind](
            4, 5, 2, bidirectional=True, batch_first=True, bias=bias, **more
        ).double()
        x = torch.randn(3, 7, 4, dtype=torch.float64)
        h = torch.randn(4, 3, more.get("proj_size", 5), dtype=torch.float64) if first else None
        c = torch.randn(4, 3, 5, dtype=torch.float64)
        state: Any = (h, c) if kind == "lstm" and first else h
        y, chains, ends = unrolled(layer, x, state)
        want, last = layer(x, state)
        torch.testing.assert_close(y, want)
        pair = last if kind == "lstm" else (last,)
        for k, end in enumerate(ends):
            for got, known in zip(end, pair, strict=False):
                torch.testing.assert_close(got, known[k])
        assert [len(chain) for chain in chains] == [7] * 4


def test_layer_errors_of_the_states_are_those_of_a_loop_of_cells() -> None:
    """The oracle keeps every state of an nn.RNNCell and asks autograd for its gradient."""
    torch.manual_seed(0)
    model = Fused("tanh", 2.0, hidden=12)
    x = torch.randn(8, 9, 4)
    found = evenflow.preflight(model, x, loss_fn=lambda out: out.square().mean(), advise=False)
    (chain,) = ThroughTime(View(found.run)).chains
    cell = nn.RNNCell(4, 12)
    for name, p in cell.named_parameters():
        p.data = getattr(model.rnn, f"{name}_l0").data
    h, states = torch.zeros(8, 12), []
    for t in range(9):
        h = cell(x[:, t], h)
        h.retain_grad()
        states.append(h)
    model.head(h).square().mean().backward()
    want = [math.log10(float(s.grad.square().mean().sqrt())) for s in states]  # type: ignore[union-attr]
    got = chain.delta - chain.delta[-1] + want[-1]
    assert got.tolist() == pytest.approx(want, abs=1e-4)
    sizes = [math.log10(float(s.detach().square().mean().sqrt())) for s in states]
    assert chain.rms.tolist() == pytest.approx(sizes, abs=1e-5)


def test_nothing_is_left_behind() -> None:
    model = Fused("lstm", 1.0)
    _forecast(model)
    assert not model.rnn._forward_hooks and all(p.grad is None for p in model.parameters())
