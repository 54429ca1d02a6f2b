"""The ledger of a run file: against the live one, by hand, and what wrong questions get."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import evenflow
from evenflow.ledger import Block, Ledger, from_run
from evenflow.schema import Channel, Parameter, Run, Site

from .architectures import Block as Transformer
from .architectures import Fused, Residual, Unrolled


def chain() -> Run:
    """linear (lost 1 decade) and sigmoid (lost 2) three times, at two steps; by hand."""
    sites, params, columns = [Site(0, "Net", "", "input", "input", shape=(4, 4))], [], {}
    steps = np.array([0, 8])

    def add(metric: str, id: int, value: float, of: str = "site") -> None:
        columns[Channel(of, id, metric)] = np.array([value, value * 10])

    level = 1e-9
    for i in range(3):
        linear, act = 1 + 2 * i, 2 + 2 * i
        name = f"Net.{2 * i}.weight"
        sites.append(Site(linear, "Net", f"{2 * i}", "linear", "affine", shape=(4, 4),
                          inputs=(linear - 1,), params=(name,)))  # fmt: skip
        sites.append(
            Site(
                act, "Net", f"{2 * i + 1}", "sigmoid", "activation", shape=(4, 4), inputs=(linear,)
            )
        )
        params.append(Parameter(i, name, (4, 4)))
        add("delta", linear, level)
        add("delta", act, level * 100)
        add("rms", linear, 2.0)
        columns[Channel("site", act, "slope")] = np.array([0.02, np.nan])
        add("weight", i, 0.2, "param")
        add("grad", i, 3.0, "param")
        level *= 1000
    sites.append(Site(7, "", "", "mse_loss", "loss", inputs=(6,)))
    columns[Channel("site", 7, "delta")] = np.array([1.0, 1.0])
    return Run("hand", {}, tuple(sites), tuple(params), steps, columns,
               steps, np.ones(2))  # fmt: skip


def test_a_chain_by_hand() -> None:
    ledger = from_run(chain(), step=0)
    assert (ledger.site, ledger.step, ledger.source, ledger.run) == (
        "0 linear",
        0,
        "stored",
        "hand",
    )
    gains = {link.name: link.gain for link in ledger.links}
    assert list(gains) == [
        "mse_loss",
        "5 sigmoid",
        "4 linear",
        "3 sigmoid",
        "2 linear",
        "1 sigmoid",
    ]
    assert gains["5 sigmoid"] == pytest.approx(-2)
    assert gains["4 linear"] == pytest.approx(-1)
    assert sum(gains.values()) == pytest.approx(ledger.gain)
    by = {link.name: link for link in ledger.links}
    assert by["5 sigmoid"].parts["slope"] == pytest.approx(math.log10(0.02))
    assert by["5 sigmoid"].parts["rest"] == pytest.approx(-2 - math.log10(0.02))
    assert by["4 linear"].parts["scale"] == pytest.approx(-1)  # 0.2 / √4
    assert by["4 linear"].parts["alignment"] == pytest.approx(0, abs=1e-9)
    assert by["4 linear"].elasticity == pytest.approx(1e-3 * 4 * 2.0 * 4)
    assert by["4 linear"].weight_elasticity == pytest.approx(0.6)
    said = str(ledger)
    assert "6.0 of the 8.4 lost decades are the 3 sigmoids, 2 each" in said
    assert "2.0 are the 2 linear layers, 1 each (scale −1.00, alignment 0 each)" in said


def test_the_last_step_is_the_default_and_missing_readings_are_said() -> None:
    ledger = from_run(chain())
    assert ledger.step == 8
    assert "√Eφ'² was not measured at this step; the nearest with it is 0" in ledger.notes


ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "site": ({"site": "3 sigmod"}, "no site '3 sigmod': did you mean '3 sigmoid'"),
    "another": ({"site": "layer9"}, "no site 'layer9': there are '0 linear', '1 sigmoid'"),
    "step": ({"step": 3}, "step 3 was not sampled; the nearest that were: 0, 8."),
}


@pytest.mark.parametrize("case", ASKED)
def test_wrong_questions_get_near_answers(case: str) -> None:
    asked, said = ASKED[case]
    with pytest.raises(ValueError) as caught:
        from_run(chain(), **asked)
    assert said in str(caught.value)


@pytest.mark.parametrize("site", ["2", "Net.2", "2 linear", "Net.2 linear", "2.weight"])
def test_a_site_is_found_by_any_of_its_names(site: str) -> None:
    assert from_run(chain(), site=site).site == "2 linear"


def test_a_run_without_readings_says_so() -> None:
    run = dataclasses.replace(chain(), steps=np.empty(0, np.int64), columns={})
    with pytest.raises(ValueError, match="holds no readings"):
        from_run(run)


def test_a_step_without_that_error_says_when_there_was() -> None:
    run = chain()
    columns = {**run.columns, Channel("site", 1, "delta"): np.array([1.0, np.nan])}
    with pytest.raises(ValueError, match=r"'0 linear' at step 8; there are 0\."):
        from_run(dataclasses.replace(run, columns=columns), site="0", step=8)


class Gpt(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).mean(1)


MODELS: dict[str, Callable[[], tuple[nn.Module, torch.Tensor]]] = {
    "perceptron": lambda: (
        nn.Sequential(nn.Linear(8, 8), nn.Sigmoid(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3)),
        torch.randn(6, 8),
    ),
    "convolution": lambda: (
        nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(), nn.ConvTranspose2d(4, 4, 2, stride=2),
            nn.ReLU(), nn.Flatten(), nn.LazyLinear(3),
        ),
        torch.randn(6, 1, 9, 9),
    ),
    "residual": lambda: (
        nn.Sequential(
            nn.Linear(8, 8),
            *(Residual(nn.Sequential(nn.Linear(8, 8), nn.ReLU())) for _ in range(3)),
            nn.Linear(8, 3),
        ),
        torch.randn(6, 8),
    ),
    "transformer": lambda: (
        Gpt(nn.Linear(5, 8), Transformer(8, pre=True), Transformer(8, pre=False), nn.Linear(8, 3)),
        torch.randn(6, 4, 5),
    ),
    "recurrent": lambda: (Unrolled("rnn"), torch.randn(6, 5, 3)),
    "fused": lambda: (Fused(nn.LSTM), torch.randn(6, 5, 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_stored_and_live_agree(name: str, tmp_path: Path) -> None:
    """The same step read twice: by the tape, and off the graph."""
    torch.manual_seed(0)
    model, x = MODELS[name]()
    model(x)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    path = tmp_path / "run.evenflow"
    with evenflow.watch(model, optimizer, run=path, every=1):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), torch.arange(6) % 3)
        live: Ledger = evenflow.explain(loss, model)
        loss.backward()
        optimizer.step()
    stored = from_run(evenflow.load(path))
    assert stored.gain == pytest.approx(live.gain, abs=1e-5)
    assert sum(link.gain for link in stored.links) == pytest.approx(stored.gain, abs=1e-9)
    for kind in ("affine", "activation"):
        mine, theirs = (
            [link for link in ledger.links if link.kind == kind] for ledger in (stored, live)
        )
        assert [link.gain for link in mine] == pytest.approx(
            [link.gain for link in theirs], abs=1e-4
        )
        for a, b in zip(mine, theirs, strict=True):
            assert set(b.parts) <= set(a.parts)
            for part, value in b.parts.items():
                assert a.parts[part] == pytest.approx(value, abs=1e-4)
    ends = [
        [[br.share for br in b.forks[-1].branches] for b in ledger.links if isinstance(b, Block)]
        for ledger in (stored, live)
    ]
    for shares, expected in zip(*ends, strict=True):
        assert sorted(shares) == pytest.approx(sorted(expected), abs=1e-4)


def test_a_fused_layer_tells_its_flow_through_time(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, x = MODELS["fused"]()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with evenflow.watch(model, optimizer, run=tmp_path / "run.evenflow", every=1):
        model(x).square().mean().backward()
        optimizer.step()
    run = evenflow.load(tmp_path / "run.evenflow")
    ledger = from_run(run, site="embed")
    (fused,) = [link for link in ledger.links if link.kind == "recurrent"]
    assert fused.parts["flow_steps"] == 5
    assert "through 5 time steps" in str(ledger)


def test_two_losses_begin_together() -> None:
    """A trunk (δ = 5) with two heads whose losses send 3 and 4 at right angles."""
    sites = (
        Site(0, "N", "trunk", "linear", "affine", shape=(1,), params=("N.trunk.weight",)),
        Site(1, "", "", "mse_loss", "loss", inputs=(0,)),
        Site(2, "", "", "l1_loss", "loss", inputs=(0,)),
    )
    columns = {
        Channel("site", 0, "delta"): np.array([5.0]),
        Channel("site", 1, "delta"): np.array([1.0]),
        Channel("site", 2, "delta"): np.array([1.0]),
        Channel("edge", 1, "delta_in", 0): np.array([3.0]),
        Channel("edge", 2, "delta_in", 0): np.array([4.0]),
    }
    at = np.array([0])
    ledger = from_run(Run("two", {}, sites, (), at, columns, at, np.ones(1)))
    assert ledger.received == pytest.approx(math.sqrt(2))
    (block,) = ledger.links
    assert isinstance(block, Block)
    assert [b.share for b in block.forks[0].branches] == pytest.approx([9 / 25, 16 / 25])
    assert "2 losses reach it" in ledger.notes[0]


def test_no_torch_is_needed(tmp_path: Path) -> None:
    code = (
        "import sys; import evenflow.ledger\nevenflow.Ledger\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
