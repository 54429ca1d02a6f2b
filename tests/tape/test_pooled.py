"""How many values a normalisation's statistics are taken over, held against autograd."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import evenflow
from evenflow.tape.given import pooled

Norm = Callable[[Tensor], Tensor]


def oracle(norm: Norm, x: Tensor) -> int:
    """Elements of x that the first element of the result depends on: slow and obvious."""
    x = x.double().requires_grad_()
    (slope,) = torch.autograd.grad(norm(x).flatten()[0], x)
    return int((slope != 0).sum())


LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "batch-1d": (nn.BatchNorm1d(3), (5, 3)),
    "batch-1d-time": (nn.BatchNorm1d(3), (5, 3, 4)),
    "batch-2d": (nn.BatchNorm2d(3), (2, 3, 4, 5)),
    "batch-3d": (nn.BatchNorm3d(2), (2, 2, 3, 2, 2)),
    "batch-without-statistics": (nn.BatchNorm1d(3, track_running_stats=False), (6, 3)),
    "batch-plain": (nn.BatchNorm1d(3, affine=False), (6, 3)),
    "instance": (nn.InstanceNorm2d(3), (2, 3, 4, 5)),
    "group": (nn.GroupNorm(2, 6), (3, 6)),
    "group-maps": (nn.GroupNorm(3, 6), (3, 6, 2, 2)),
    "layer": (nn.LayerNorm(7), (4, 7)),
    "layer-of-two-axes": (nn.LayerNorm((3, 4)), (2, 3, 4)),
    "rms": (nn.RMSNorm(7), (4, 7)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_watched_layer_is_counted(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    layer, shape = LAYERS[name]
    x = torch.randn(shape)
    wanted = oracle(layer.double(), x)
    layer.float()
    assert readings(layer, x, tmp_path) == [wanted]


def readings(layer: nn.Module, x: Tensor, folder: Path) -> list[float]:
    """What one watched step noted of the layer's norms."""
    net = nn.Sequential(layer)
    scale = nn.Parameter(torch.ones(()))
    optimizer = torch.optim.SGD([*net.parameters(), scale], lr=0.1)
    with evenflow.watch(net, optimizer, run=folder / "run.evenflow", every=1) as watch:
        (net(x * scale) ** 3).mean().backward()
        optimizer.step()
    run = evenflow.load(watch.path)
    return [float(v[0]) for c, v in run.columns.items() if c.metric == "pooled"]


def test_running_statistics_are_none_of_what_is_seen(tmp_path: Path) -> None:
    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(3)
            self.norm.eval()

        def train(self, mode: bool = True) -> Frozen:
            super().train(mode)
            self.norm.eval()
            return self

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(x)

    assert readings(Frozen(), torch.randn(2, 3), tmp_path) == []
    still = nn.InstanceNorm1d(3, track_running_stats=True).eval()
    kwargs = {"use_input_stats": not still.track_running_stats}
    assert pooled("instance_norm", (torch.randn(2, 3, 4),), kwargs) is None


CALLS: dict[str, tuple[Norm, str, tuple[object, ...], dict[str, object]]] = {
    "functional": (
        lambda x: F.batch_norm(x, None, None, training=True),
        "batch_norm",
        (),
        {"training": True},
    ),
    "by-place": (
        lambda x: torch.batch_norm(x, None, None, None, None, True, 0.1, 1e-5, False),
        "batch_norm",
        (None, None, None, None, True, 0.1, 1e-5, False),
        {},
    ),
    "instance": (lambda x: F.instance_norm(x), "instance_norm", (), {}),
    "group": (lambda x: F.group_norm(x, 3), "group_norm", (3,), {}),
    "group-named": (lambda x: F.group_norm(x, 2), "group_norm", (), {"num_groups": 2}),
    "layer-named": (lambda x: F.layer_norm(x, [5]), "layer_norm", (), {"normalized_shape": [5]}),
}


@pytest.mark.parametrize("name", CALLS)
def test_arguments_by_place_and_by_name(name: str) -> None:
    torch.manual_seed(0)
    norm, op, args, kwargs = CALLS[name]
    x = torch.randn(4, 6, 5)
    assert pooled(op, (x, *args), kwargs) == oracle(norm, x)
    if not args:
        assert pooled(op, (), {"input": x, **kwargs}) == oracle(norm, x)


@pytest.mark.parametrize(
    ("op", "args"),
    [
        ("normalize", (torch.ones(2, 3),)),
        ("batch_norm", ()),
        ("batch_norm", (torch.ones(3), None, None, None, None, True)),
        ("group_norm", (torch.ones(2, 3),)),
        ("group_norm", (torch.ones(2, 3), 0)),
        ("layer_norm", (torch.ones(2, 3),)),
        ("layer_norm", (torch.ones(2, 3), ())),
    ],
)
def test_what_the_arguments_do_not_tell_is_not_guessed(op: str, args: tuple[object, ...]) -> None:
    assert pooled(op, args, {}) is None
