"""What is told of a ledger adds up: no part is larger than the whole it is a part of."""

from __future__ import annotations

import math
import re
from collections import defaultdict

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import evenflow
from evenflow.ledger import Ledger
from evenflow.ledger.render import sentences

from .architectures import NETWORKS

OF = re.compile(r"^([0-9.]+) of the ([0-9.]+) (lost|gained) decades (is|are) ")
MORE = re.compile(r"^([0-9.]+) (is|are) ")
AGAINST = re.compile(r"^([0-9.]+) decades are (lost|gained) at ")


def _check(ledger: Ledger) -> int:
    """Every number told against the links, op by op; how many parts of a whole were told."""
    said = sentences(ledger)
    if not math.isfinite(ledger.gain):
        assert not said
        return 0
    by_op: dict[tuple[str, str], float] = defaultdict(float)
    for link in ledger.links:
        by_op[link.op, link.kind] += link.gain
    assert sum(by_op.values()) == pytest.approx(ledger.gain, abs=1e-6)
    down = -sum(v for v in by_op.values() if v < 0)
    up = sum(v for v in by_op.values() if v > 0)
    assert up - down == pytest.approx(ledger.gain, abs=1e-6)
    parts = []
    for line in said:
        if found := OF.match(line):
            whole = down if found[3] == "lost" else up
            assert (found[3] == "lost") == (ledger.gain < 0)
            assert float(found[2]) == pytest.approx(whole, abs=0.051)
            assert float(found[1]) <= float(found[2]), line
            parts.append(float(found[1]))
        elif found := MORE.match(line):
            parts.append(float(found[1]))
        else:
            found = AGAINST.match(line)
            assert found, line
            assert float(found[1]) <= (down if found[2] == "lost" else up) + 0.051, line
    whole = down if ledger.gain < 0 else up
    assert sum(parts) <= whole + 0.051 * max(1, len(parts)), said
    return len(parts)


@pytest.mark.parametrize("name", NETWORKS)
def test_parts_of_every_architecture_add_up(name: str) -> None:
    loss, model = NETWORKS[name]()
    _check(evenflow.explain(loss, model))


@pytest.mark.parametrize("seed", range(12))
def test_parts_of_random_chains_add_up(seed: int) -> None:
    """Layers and activations of random gains, some above one and some below."""
    torch.manual_seed(seed)
    told = 0
    for _ in range(5):
        layers: list[nn.Module] = []
        for _ in range(int(torch.randint(1, 9, ()))):
            linear = nn.Linear(8, 8)
            nn.init.normal_(linear.weight, std=float(10 ** (2 * torch.rand(()) - 1.2)))
            layers += [linear, (nn.Tanh(), nn.Sigmoid(), nn.ReLU())[int(torch.randint(3, ()))]]
        model = nn.Sequential(*layers, nn.Linear(8, 3))
        loss = F.cross_entropy(model(torch.randn(6, 8)), torch.arange(6) % 3)
        told += _check(evenflow.explain(loss, model))
    assert told


def test_an_op_that_loses_more_than_is_missing_in_the_end() -> None:
    """Sigmoids lose what the layers give back in part: each part is of all that was lost."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(3):
        linear = nn.Linear(8, 8)
        nn.init.orthogonal_(linear.weight, gain=4.0)
        layers += [linear, nn.Sigmoid()]
    model = nn.Sequential(*layers, nn.Linear(8, 3))
    ledger = evenflow.explain(F.cross_entropy(model(torch.randn(6, 8)), torch.arange(6) % 3), model)
    sigmoids = -sum(link.gain for link in ledger.links if link.op == "sigmoid")
    assert sigmoids > -ledger.gain
    assert f"{sigmoids:.1f} of the " in sentences(ledger)[0]
    assert any("decades are gained at the" in line for line in sentences(ledger))
    assert _check(ledger)
