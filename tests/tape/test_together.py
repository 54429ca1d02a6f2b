"""Small tensors read together: the same numbers as one at a time, whatever they hold.

The oracle is torch in float64, a tensor at a time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import evenflow
from evenflow.tape import ScalarBuffer, numbers
from evenflow.tape.snapshot import Snapshot
from evenflow.tape.together import SMALL, copied, flattened, norms_of, reached, small

SHAPES = [(1,), (7,), (3, 4), (2, 3, 4, 5), (64, 32), (64, 33), (40, 64)]


def some(seed: int = 0, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    made = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=made, dtype=dtype) for shape in SHAPES]


def norm(x: Tensor) -> float:
    return math.sqrt(float((x.double() ** 2).sum()))


def test_small_is_of_so_many_elements_on_the_host() -> None:
    assert [small(x) for x in some()] == [math.prod(s) <= SMALL for s in SHAPES]
    assert not small(torch.zeros(0)) and not small(torch.zeros(3, dtype=torch.int64))
    assert not small(torch.zeros(3, dtype=torch.bfloat16)) and not small(torch.zeros(3).to("meta"))
    assert not small(torch.zeros(3, 3).to_sparse())
    assert not small(torch.zeros(3, dtype=torch.complex64).conj().imag)


@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e-44, 1e30])
def test_norms_are_exact_at_any_scale(scale: float) -> None:
    xs = [x * scale for x in some()]
    assert numbers.norms(xs) == pytest.approx([norm(x) for x in xs], rel=1e-6, abs=0)


@given(st.lists(st.lists(st.floats(width=32), min_size=1, max_size=9), min_size=1, max_size=9))
def test_norms_of_any_numbers(rows: Sequence[Sequence[float]]) -> None:
    xs = [torch.tensor(row, dtype=torch.float32) for row in rows]
    got = norms_of(flattened(xs), map(len, rows))
    assert got == pytest.approx([norm(x) for x in xs], nan_ok=True)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 1e200, 1e-320, 0.0])
def test_no_number_makes_numpy_warn(value: float) -> None:
    xs = [torch.full((3,), value, dtype=torch.float64), torch.ones(2, dtype=torch.float64)]
    taken = Snapshot(xs)
    moved = taken.moved([-x for x in xs])
    told = [norm(x) for x in xs]
    assert numbers.norms(xs) == pytest.approx(told, nan_ok=True)
    assert moved == pytest.approx({i: norm(-2 * x) for i, x in enumerate(xs)}, nan_ok=True)
    again = Snapshot(xs).moved(xs)
    assert again[1] == 0.0 and (again[0] == 0.0) is math.isfinite(value)


def test_a_copy_is_in_order_and_stays_as_it_was() -> None:
    x = torch.arange(6.0).reshape(2, 3).T
    copy, alone = copied(x), flattened([x])
    assert copy is not None
    x.zero_()
    assert flattened([copy]).tolist() == alone.tolist() == [0, 3, 1, 4, 2, 5]
    assert flattened([copy, torch.ones(1, dtype=torch.float64)]).tolist() == [0, 3, 1, 4, 2, 5, 1]


@pytest.mark.parametrize("axis", [-1, 1])
@pytest.mark.parametrize("shape", [(), (5,), (4, 5), (4, 5, 6), (2, 5, 3, 3)])
def test_units_that_anything_reached(shape: tuple[int, ...], axis: int) -> None:
    if len(shape) < 2:
        axis = -1
    made = torch.Generator().manual_seed(1)
    xs = [(torch.rand(shape, generator=made) > 0.8).float() for _ in range(3)]
    told = reached(xs, shape, axis)
    for x, row in zip(xs, told, strict=True):
        units = x.reshape(1) if not shape else x.movedim(axis, 0)
        assert row.tolist() == [bool((u != 0).any()) for u in units]


def test_what_is_held_is_read_before_anybody_asks() -> None:
    buffer, told = ScalarBuffer(), []

    def read(into: ScalarBuffer, flat: np.ndarray, size: float, name: str) -> None:
        told.append(name)
        into.add(("step", 0, name, -1), size)

    xs = [torch.full((n,), 2.0) for n in (4, 9)]
    for x, name in zip(xs, ("loss", "lr"), strict=True):
        assert buffer.hold(x, read, name)
        x.zero_()
    assert not buffer.hold(torch.zeros(SMALL + 1), read, "wall") and not told
    assert [(c.metric, v) for c, v in buffer.values()] == [("loss", 4.0), ("lr", 6.0)]
    buffer.hold(torch.ones(1), read, "wall")
    assert len(buffer) == 3
    buffer.cut(0, 2)
    buffer.hold(torch.ones(1), read, "cost")
    assert [c.metric for c in buffer.finish(0).reading({}).channels] == ["wall", "cost"]


def test_what_another_thread_adds_meanwhile_is_read_too() -> None:
    buffer, noted = ScalarBuffer(), 0

    def read(into: ScalarBuffer, flat: np.ndarray, size: float, more: bool) -> None:
        nonlocal noted
        noted += 1

    class Late(list):  # type: ignore[type-arg]
        """Another thread adds right after the list was looked at."""

        def __getitem__(self, at: Any) -> Any:
            found = super().__getitem__(at)
            self.append((torch.ones(1), read, (False,)))
            return found

    buffer._small = Late()
    buffer.hold(torch.ones(2), read, True)
    buffer.settle()
    buffer._small = list(buffer._small)
    assert noted == 1 and len(buffer._small) == 1
    buffer.settle()
    assert noted == 2 and not buffer._small


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("alone", [False, True])
def test_a_snapshot_tells_how_far_each_has_moved(dtype: torch.dtype, alone: bool) -> None:
    xs, ways = some(0, dtype), some(1, dtype)
    if alone:
        xs, ways = xs[:1], ways[:1]
    before = [x.clone() for x in xs]
    taken = Snapshot(xs)
    for x, way in zip(xs, ways, strict=True):
        x += 1e-3 * way
    assert taken.norms() == pytest.approx([norm(x) for x in before], rel=1e-6)
    moved = taken.moved(xs)
    there = [norm(x.double() - b.double()) for x, b in zip(xs, before, strict=True)]
    assert list(moved) == list(range(len(xs)))
    assert list(moved.values()) == pytest.approx(there, rel=1e-4)


def test_a_snapshot_leaves_out_what_has_another_size_now() -> None:
    xs = [torch.ones(4), torch.ones(3), torch.ones(SMALL + 1), torch.ones(SMALL + 2)]
    taken = Snapshot(xs)
    now = [torch.zeros(4), torch.ones(5), torch.zeros(SMALL + 1), torch.ones(2)]
    moved = taken.moved(now)
    assert moved == pytest.approx({0: 2.0, 2: math.sqrt(SMALL + 1)})


@pytest.mark.parametrize("width", [4, 300])
@pytest.mark.parametrize("full", [False, True])
def test_a_script_may_still_resize_what_was_read(width: int, full: bool, tmp_path: Path) -> None:
    """Memory that an activation, a gradient or a weight had is let go by hand, as some do."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 1), nn.Sigmoid())
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    met: list[Tensor] = []
    x = torch.randn(16, 4)
    with evenflow.watch(net, optimizer, run=tmp_path / "r.evenflow", every=1) as watch:
        watch._conductor.cadence.full = lambda step, samples: full  # type: ignore[union-attr]
        for _ in range(3):
            h = x
            for layer in net:
                h = layer(h)
                h.register_hook(met.append)
                met.append(h.detach())
            optimizer.zero_grad()
            h.square().mean().backward()
            optimizer.step()
    assert len(evenflow.load(watch.path).steps) == 3
    for t in [
        x,
        *met,
        *net.parameters(),
        *[p.grad for p in net.parameters() if p.grad is not None],
    ]:
        t.untyped_storage().resize_(0)
