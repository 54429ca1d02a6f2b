"""Which units gradient reaches, against every element looked at."""

from __future__ import annotations

import pytest
import torch

from evenflow.tape.units import MAPPED_ALL, Units


def reached(delta: torch.Tensor, axis: int) -> list[bool]:
    """Unit by unit, element by element."""
    units = delta.movedim(axis, 0)
    return [any(float(v) != 0 for v in unit.reshape(-1)) for unit in units]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(
    "shape, axis", [((6, 5), -1), ((4, 3, 5), -1), ((4, 5, 40), 1), ((9, 5, 20, 20), 1), ((5,), 0)]
)
def test_a_unit_that_one_element_reaches_is_alive(
    shape: tuple[int, ...], axis: int, dtype: torch.dtype
) -> None:
    draws = torch.Generator().manual_seed(3)
    for lit in range(3):  # no unit, one by a single last element, all but one
        delta = torch.zeros(shape, dtype=dtype)
        by_unit = delta.movedim(axis, 0)
        if lit == 1:
            by_unit[(2, *(-1,) * (delta.dim() - 1))] = 1e-30
        if lit == 2:
            by_unit[torch.tensor([0, 1, 2, 4])] = torch.randn(
                by_unit[:4].shape, generator=draws, dtype=torch.float32
            ).to(dtype)
        units = Units()
        units.begin(0)
        units.observe(0, torch.ones_like(delta), delta, axis, limit=1 << 20)
        ((dead, observed),) = units.take().values()
        assert observed == 1
        assert dead == pytest.approx(1 - sum(reached(delta, axis)) / len(reached(delta, axis)))


def test_a_map_counts_the_batches_in_which_gradient_got_through() -> None:
    units = Units()
    draws = torch.Generator().manual_seed(0)
    counted = torch.zeros(7, dtype=torch.int64)
    for step in range(5):
        units.begin(step)
        delta = (torch.rand((4, 7), generator=draws) < 0.3).float()
        delta[:, 2] = 0
        counted += delta.any(0)
        units.observe(3, torch.ones_like(delta), delta, -1, limit=1 << 20)
        units.take()
    assert units.maps()[3].tolist() == counted.tolist()
    assert counted[2] == 0


def test_maps_are_bounded_and_sites_with_dead_units_come_first() -> None:
    units = Units()
    units.begin(0)
    for site in range(20):
        delta = torch.ones(1, 6000)
        if site == 19:
            delta[0, 5] = 0
        units.observe(site, torch.ones_like(delta), delta, -1, limit=1 << 20)
    units.take()
    maps = units.maps()
    assert next(iter(maps)) == 19
    assert sum(map(len, maps.values())) <= MAPPED_ALL
    assert maps[19][5] == 0
