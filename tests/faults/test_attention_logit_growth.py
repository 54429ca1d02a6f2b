"""EF208: scores that grow without an end, on synthetic runs and on real ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.faults import REGISTRY, View, judge
from evenflow.schema import Finding, Severity

from .synthetic import BIRTH, Builder, perceptron

STEPS = np.array(BIRTH)
#: Scores that grow from 1.5 to 150 without an end, and the entropy that they leave.
GROWS = np.geomspace(1.5, 150.0, len(STEPS))
SHARPENS = np.linspace(0.98, 0.3, len(STEPS))
SITE = "blocks.1 attention"


def found(b: Builder) -> list[Finding]:
    return list(REGISTRY["EF208"]().check(View(b.run())))


def growing() -> Builder:
    b = Builder()
    x = b.linear("embed", b.input((8, 16, 64)))
    for i in range(2):
        a = b.site(f"blocks.{i}", "attention", "attention", (x,), shape=(8, 16, 64))
        b.set(a, "entropy", 0.8).set(a, "logit_max", 5.0)
        x = b.linear(f"blocks.{i}.out", a)
    b.loss_on(b.linear("head", x, 10), target_shape=(8, 16))
    return b.loss(1.5).set(SITE, "logit_max", GROWS).set(SITE, "entropy", SHARPENS)


def test_growth_is_told_ahead_of_the_collapse() -> None:
    b = growing()
    (f,) = found(b)
    assert [b.sites[i].path for i in f.sites] == ["blocks.1"]
    assert f.evidence["score"] == pytest.approx(np.median(GROWS[-3:]))
    assert f.evidence["score_at_birth"] == pytest.approx(GROWS[0])
    half, quarter = STEPS > 144, (STEPS > 72) & (STEPS <= 144)
    assert f.evidence["rising"] == pytest.approx(np.median(GROWS[half]) / np.median(GROWS[quarter]))
    assert (f.evidence["sites_affected"], f.evidence["attentions"]) == (1, 2)
    assert f.severity is Severity.warning
    assert f.first_step == STEPS[np.flatnonzero(3 * GROWS[0] <= GROWS)[0]]
    assert "EF204" not in {f.code for f in judge(b.run())}


def test_it_is_the_root_of_the_collapse() -> None:
    b = growing().set(SITE, "entropy", np.geomspace(0.98, 0.01, len(STEPS)))
    told = {f.code: f.cause for f in judge(b.run())}
    assert (told["EF208"], told["EF204"]) == ("", "EF208")


CALM: dict[str, Callable[[Builder], Builder]] = {
    "levelled off": lambda b: b.set(SITE, "logit_max", np.fmin(20 * GROWS, 90.0)),
    "small": lambda b: b.set(SITE, "logit_max", GROWS / 3),
    "large from birth": lambda b: b.set(SITE, "logit_max", 80 + GROWS),
    "one head among even ones": lambda b: b.set(SITE, "entropy", 0.8),
    "learned": lambda b: b.loss(0.01 + 2.3 * np.exp(-np.arange(289) / 20)),
    "seldom read": lambda b: b.set(SITE, "logit_max", np.where(STEPS > 64, GROWS, np.nan)),
    "never read": lambda b: b.forget("site", "logit_max"),
}


@pytest.mark.parametrize("kind", CALM)
def test_what_is_no_fault(kind: str) -> None:
    assert found(CALM[kind](growing())) == []


def test_scores_by_hand_are_of_an_attention_where_values_are_mixed() -> None:
    def by_hand(reader: str, kind: str) -> list[Finding]:
        b = perceptron(2)
        x = b.id("layers.1 relu")
        p = b.site("attend", "softmax", "softmax", (x,), shape=(32, 8, 8))
        b.set(p, "entropy", SHARPENS).set(p, "logit_max", GROWS)
        p = b.site("attend", "dropout", "dropout", (p,), shape=(32, 8, 8))
        mixed = b.site("attend", reader, kind, (p, x), shape=(32, 64))
        b.loss_on(b.linear("last", mixed, 10))
        return found(b.loss(1.5))

    assert len(by_hand("matmul", "matmul")) == 1
    assert by_hand("mul", "join") == []  # a gate, or the weights of experts


class Attends(nn.Module):
    """Attention over eight tokens: torch's own function, or by hand with hidden keys."""

    def __init__(self, by_hand: bool, normed: bool = False) -> None:
        super().__init__()
        self.embed, self.qkv = nn.Linear(8, 32), nn.Linear(32, 96)
        self.head, self.by_hand, self.normed = nn.Linear(32, 5), by_hand, normed

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x)
        q, k, v = self.qkv(h).chunk(3, -1)
        if self.normed:
            q, k = F.rms_norm(q, (32,)), F.rms_norm(k, (32,))
        if self.by_hand:
            scores = q @ k.transpose(-2, -1) / 32**0.5
            hidden = torch.ones(8, 8, dtype=torch.bool).triu(1)
            mixed = scores.masked_fill(hidden, -1e9).softmax(-1) @ v
        else:
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.head((h + mixed).mean(1))


def told(path: Path, *, rate: float, **how: bool) -> dict[str, Finding]:
    """Trained to say which of five tokens is the largest, queries and keys at a rate of theirs."""
    torch.manual_seed(0)
    net = Attends(**how)
    others = [*net.embed.parameters(), *net.head.parameters()]
    groups = [{"params": others}, {"params": net.qkv.parameters(), "lr": rate}]
    optimizer = torch.optim.Adam(groups, 1e-3)
    with evenflow.watch(net, optimizer, run=path):
        for _ in range(260):
            x = torch.randn(32, 8, 8)
            optimizer.zero_grad()
            F.cross_entropy(net(x), x[:, :5, :2].sum(-1).argmax(1)).backward()
            optimizer.step()
    return {f.code: f for f in reversed(evenflow.diagnose(path))}


@pytest.mark.parametrize("by_hand", [False, True])
def test_on_real_runs(by_hand: bool, tmp_path: Path) -> None:
    make = partial(told, by_hand=by_hand)
    f = make(tmp_path / "sick.evenflow", rate=0.03)["EF208"]
    assert f.evidence["score"] > 60 > 6 > f.evidence["score_at_birth"]
    assert evenflow.words.advice(f)[0].startswith("Normalise queries and keys (QK-norm)")
    assert "EF208" not in make(tmp_path / "normed.evenflow", rate=0.03, normed=True)
    assert "EF208" not in make(tmp_path / "slower.evenflow", rate=1e-3)
