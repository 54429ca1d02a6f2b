"""What topk, argmax and max choose from along the last axis, against counting by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import evenflow
from evenflow.tape.chosen import chosen, spread

Choose = Callable[[Tensor], Tensor]


def oracle(index: Tensor, options: int) -> dict[str, float]:
    """One choice after the other."""
    n, k = index.reshape(-1, index.shape[-1]).shape
    counts = Counter(int(i) for i in index.flatten())
    return {
        "favoured": sum(c for _, c in counts.most_common(k)) / (n * k),
        "even": k / options,
        "idle": sum(counts[i] < 0.1 * n * k / options for i in range(options)) / options,
    }


WAYS: dict[str, tuple[Choose, int]] = {
    "topk": (lambda p: p.topk(2, -1).indices, 2),
    "topk-without-an-axis": (lambda p: torch.topk(p, 3)[1], 3),
    "argmax": (lambda p: p.argmax(-1)[..., None], 1),
    "argmax-kept": (lambda p: torch.argmax(p, dim=p.dim() - 1, keepdim=True), 1),
    "max": (lambda p: p.max(-1)[1][..., None], 1),
}


class Router(nn.Module):
    def __init__(self, choose: Choose) -> None:
        super().__init__()
        self.score, self.choose = nn.Linear(3, 5), choose

    def forward(self, x: Tensor) -> Tensor:
        p = self.score(x).softmax(-1)
        self.index = self.choose(p)
        return p


def readings(net: Router, x: Tensor, path: Path) -> dict[str, float]:
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with evenflow.watch(net, optimizer, run=path, every=1) as watch:
        net(x).square().mean().backward()
        optimizer.step()
    columns = evenflow.load(watch.path).columns
    return {c.metric: float(v[0]) for c, v in columns.items() if c.metric in oracle(net.index, 5)}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", [(40, 3), (5, 12, 3)])
def test_choices_are_counted(way: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    torch.manual_seed(0)
    choose, k = WAYS[way]
    net = Router(choose)
    read = readings(net, 3 * torch.randn(shape), tmp_path / "run.evenflow")
    assert read == pytest.approx(oracle(net.index, 5))
    assert read["even"] == pytest.approx(k / 5)


NOT: dict[str, Choose] = {
    "another axis": lambda p: p.argmax(0)[..., None],
    "no axis": lambda p: p.argmax().reshape(1, 1),
    "all of them": lambda p: p.topk(5, -1).indices,
    "the largest value alone": lambda p: p.max().reshape(1, 1).long(),
    "of what is turned": lambda p: p.t().topk(1, -1).indices,
    "of constants": lambda p: p.detach().argmax(-1)[..., None],
}


@pytest.mark.parametrize("way", NOT)
def test_what_is_no_choice_along_the_last_axis(way: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    assert readings(Router(NOT[way]), torch.randn(40, 3), tmp_path / "run.evenflow") == {}


def test_few_choices_tell_nothing() -> None:
    p = torch.rand(19, 5)
    assert chosen("argmax", (p, -1), {}, p.argmax(-1), p) is None
    p = torch.rand(20, 5)
    assert chosen("argmax", (p, -1), {}, p.argmax(-1), p) is not None


def test_always_the_same() -> None:
    read = spread(torch.zeros(32, 1, dtype=torch.int64), 8)
    assert (float(read["favoured"]), read["even"], float(read["idle"])) == (1.0, 0.125, 0.875)
