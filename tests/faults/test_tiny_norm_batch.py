"""EF806 on real recorded runs: batches and groups that are too small, and healthy twins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.schema import Finding, Severity

Norm = Callable[[int], nn.Module]


def batches(size: int, ragged: int = 0, every: int = 4) -> Iterator[Tensor]:
    """Samples whose class is the largest of their first three features; each `every`th batch has
    only `ragged` of them."""
    i = 0
    while True:
        i += 1
        yield torch.randn(ragged if ragged and i % every == 0 else size, 8)


def told(
    net: nn.Module,
    data: Iterator[Tensor],
    path: Path,
    *,
    steps: int = 60,
    frozen: bool = False,
    accumulate: int = 1,
    lr: float = 3e-3,
) -> dict[str, Finding]:
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    with evenflow.watch(net, optimizer, run=path):
        for _ in range(steps):
            optimizer.zero_grad()
            for _ in range(accumulate):
                net.train()
                if frozen:
                    for m in net.modules():
                        if isinstance(m, nn.BatchNorm1d):
                            m.eval()
                x = next(data)
                (F.cross_entropy(net(x), x[:, :3].argmax(1)) / accumulate).backward()
            optimizer.step()
    return {f.code: f for f in reversed(evenflow.diagnose(path))}


def dense(norm: Norm, width: int = 16) -> nn.Module:
    return nn.Sequential(
        *(nn.Linear(8, width), norm(width), nn.ReLU()),
        *(nn.Linear(width, width), norm(width), nn.ReLU()),
        nn.Linear(width, 3),
    )


class Maps(nn.Module):
    """An 8 x 8 map of each sample, normalised as it is, or after it was pooled to 1 x 1."""

    def __init__(self, pooled: bool) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.pooled, self.head = pooled, nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv((x[:, :, None] * x[:, None, :])[:, None])
        h = F.adaptive_avg_pool2d(h, 1) if self.pooled else h
        return self.head(self.norm(h).relu().mean((2, 3)))


SICK: dict[str, tuple[Callable[[], nn.Module], int, float, str]] = {
    "batch-of-two": (partial(dense, nn.BatchNorm1d), 2, 2, "small-batch"),
    "batch-of-three": (partial(dense, nn.BatchNorm1d), 3, 3, "small-batch"),
    "pooled-to-a-pixel": (partial(Maps, True), 2, 2, "small-batch"),
    "own-function": (partial(dense, lambda w: Own()), 2, 2, "small-batch"),
    "groups-of-one": (partial(dense, lambda w: nn.GroupNorm(w, w)), 32, 1, "small-groups"),
    "groups-of-two": (partial(dense, lambda w: nn.GroupNorm(w // 2, w)), 32, 2, "small-groups"),
    "rms-norm-of-one": (partial(dense, lambda w: OneByOne()), 32, 1, "small-groups"),
    "two-features": (partial(dense, nn.LayerNorm, 2), 32, 2, "small-groups"),
}


class Own(nn.Module):
    """A batch norm without parameters, by the function."""

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, None, None, training=True)


class OneByOne(nn.Module):
    """An RMS norm over an axis of length one."""

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x[..., None], (1,))[..., 0]


@pytest.mark.parametrize("kind", SICK)
def test_too_few_values_are_told(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    make, size, values, cause = SICK[kind]
    found = told(make(), batches(size), tmp_path / "run.evenflow")
    f = found["EF806"]
    assert f.cause == cause and f.evidence["pooled"] == values
    assert f.severity >= Severity.warning
    site = evenflow.load(tmp_path / "run.evenflow").sites[f.sites[0]]
    assert site.kind == "norm"
    assert next(iter(evenflow.diagnose(tmp_path / "run.evenflow"))).code == "EF806"  # the root


HEALTHY: dict[str, Callable[[Path], dict[str, Finding]]] = {
    "layer-norm": lambda p: told(dense(nn.LayerNorm), batches(2), p),
    "group-norm": lambda p: told(dense(partial(nn.GroupNorm, 4)), batches(2), p),
    "rms-norm-of-two": lambda p: told(dense(nn.RMSNorm, 2), batches(32), p),
    "groups-of-three": lambda p: told(dense(lambda w: nn.GroupNorm(5, w), 15), batches(32), p),
    "maps": lambda p: told(Maps(False), batches(2), p),
    "batch-of-four": lambda p: told(dense(nn.BatchNorm1d), batches(4), p),
    "ragged-1": lambda p: told(Maps(False), batches(16, 1), p),
    "ragged-2": lambda p: told(dense(nn.BatchNorm1d), batches(16, 2), p),
    "ragged-3-of-two": lambda p: told(dense(nn.BatchNorm1d), batches(16, 3, every=3), p),
    "frozen": lambda p: told(dense(nn.BatchNorm1d), batches(2), p, frozen=True),
    "micro-batches": lambda p: told(dense(nn.BatchNorm1d), batches(8), p, accumulate=4),
}


@pytest.mark.parametrize("kind", HEALTHY)
def test_enough_values_are_not(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    assert "EF806" not in HEALTHY[kind](tmp_path / "run.evenflow")


def test_accumulated_batches_of_two_stay_batches_of_two(tmp_path: Path) -> None:
    torch.manual_seed(0)
    found = told(dense(nn.BatchNorm1d), batches(2), tmp_path / "run.evenflow", accumulate=8)
    assert found["EF806"].evidence["pooled"] == 2
    advice = evenflow.words.advice(found["EF806"])
    assert "accumulating gradients does not help" in " ".join(advice)


def test_an_error_where_nothing_is_learned_and_its_consequences_follow(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = dense(lambda w: nn.GroupNorm(w, w))
    found = told(net, batches(32), tmp_path / "run.evenflow", steps=300)
    assert found["EF806"].severity is Severity.error
    assert {f.cause for code, f in found.items() if code != "EF806"} <= {"EF806"}
    assert "EF101" in found or "EF401" in found


def test_of_too_few_readings_nothing_is_said(tmp_path: Path) -> None:
    torch.manual_seed(0)
    assert "EF806" not in told(dense(nn.BatchNorm1d), batches(2), tmp_path / "r.evenflow", steps=2)


def test_what_torch_refuses_is_torchs_to_say(tmp_path: Path) -> None:
    torch.manual_seed(0)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        told(dense(nn.BatchNorm1d), batches(1), tmp_path / "one.evenflow")
    with pytest.raises(ValueError, match="more than 1 spatial element"):
        F.instance_norm(torch.randn(2, 3, 1, 1))
