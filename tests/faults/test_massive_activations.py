"""EF209: a few coordinates far above all others, on synthetic runs and on real ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.faults import REGISTRY, View, judge
from evenflow.schema import Finding, Severity

from .synthetic import BIRTH, Builder

STEPS = np.array(BIRTH)


def found(b: Builder) -> list[Finding]:
    return list(REGISTRY["EF209"]().check(View(b.run())))


def stream(normed: bool = True) -> tuple[Builder, int]:
    b = Builder()
    x = b.linear("embed", b.input((8, 16, 64)))
    s = b.site("block", "add", "join", (x, b.linear("down", x)), shape=(8, 16, 64))
    y = b.site("norm", "layer_norm", "norm", (s,), shape=(8, 16, 64)) if normed else s
    b.loss_on(b.linear("head", y, 10), target_shape=(8, 16))
    b.set(s, "absmax", 900.0).set(s, "typical", 0.3).set(s, "rms", 60.0)
    return b, s


def test_a_norm_that_follows_is_drowned() -> None:
    b, s = stream()
    (f,) = found(b)
    assert (f.sites, f.severity, f.cause) == ((s,), Severity.warning, "")
    assert f.evidence["peak"] == pytest.approx(3000)
    assert (f.evidence["absmax"], f.evidence["others"]) == (900, 0.005)


def test_elsewhere_it_is_worth_knowing_and_explains_nothing() -> None:
    for b, s in (stream(False), stream()):
        b.set(s, "rms", 20.0).set("norm layer_norm" if len(b.sites) > 7 else s, "spread", 0.0)
        (f,) = found(b)
        assert (f.severity, f.cause) == (Severity.info, "usual")
        assert {f.code: f.cause for f in judge(b.loss(2.3).run())}.get("EF401") != "EF209"


def test_in_float16_near_the_end_of_its_numbers() -> None:
    b, s = stream(False)
    assert found(b)[0].severity is Severity.info
    b.sites[s] = replace(b.sites[s], dtype="float16")
    assert found(b)[0].severity is Severity.info
    b.set(s, "absmax", 5000.0)
    assert found(b)[0].severity is Severity.warning


CALM: dict[str, Callable[[Builder, int], object]] = {
    "large, as all are": lambda b, s: b.set(s, "typical", 1.0),
    "small": lambda b, s: b.set(s, "absmax", 90.0).set(s, "typical", 0.01),
    "once": lambda b, s: b.set(s, "absmax", np.where(STEPS == 256, 900.0, 5.0)),
    "silent but for a few": lambda b, s: b.set(s, "typical", 0.0),
    "an outlier of the data": lambda b, s: b.set("input", "outlier", 500.0),
    "never read": lambda b, s: b.forget("site", "typical"),
}


@pytest.mark.parametrize("kind", CALM)
def test_what_is_none(kind: str) -> None:
    b, s = stream()
    CALM[kind](b, s)
    assert found(b) == []


class Residual(nn.Module):
    def __init__(self, spike: float, normed: bool) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(8, 64), nn.Linear(64, 4)
        self.blocks = nn.ModuleList(nn.Linear(64, 64) for _ in range(2))
        self.norm = nn.LayerNorm(64) if normed else nn.Identity()
        with torch.no_grad():
            self.blocks[0].bias[3] += spike

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x)
        for block in self.blocks:
            h = h + block(self.norm(h).relu())
        return self.head(self.norm(h))


def told(spike: float, path: Path) -> dict[str, Finding]:
    torch.manual_seed(0)
    net = Residual(spike, normed=True)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    with evenflow.watch(net, optimizer, run=path):
        for _ in range(150):
            x = torch.randn(64, 8)
            optimizer.zero_grad()
            F.cross_entropy(net(x), x[:, :4].argmax(1)).backward()
            optimizer.step()
    return {f.code: f for f in reversed(evenflow.diagnose(path))}


def test_on_real_runs(tmp_path: Path) -> None:
    f = told(5000.0, tmp_path / "sick.evenflow")["EF209"]
    assert f.severity >= Severity.warning
    assert f.evidence["absmax"] == pytest.approx(5000, rel=0.05)
    assert evenflow.diagnose(tmp_path / "sick.evenflow")[0].code == "EF209"
    well = told(0.0, tmp_path / "well.evenflow")
    assert "EF209" not in well


def test_the_median_is_of_the_magnitudes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Linear(5, 7)), torch.randn(9, 5)
    sizes = sorted(abs(v) for v in net(x).flatten().tolist())
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with evenflow.watch(net, optimizer, run=tmp_path / "r.evenflow", every=1) as watch:
        net(x).square().mean().backward()
        optimizer.step()
    columns = evenflow.load(watch.path).columns
    (read,) = [float(v[0]) for c, v in columns.items() if c.metric == "typical"]
    assert read == pytest.approx(sizes[31], rel=1e-6)  # the 32nd of 63
