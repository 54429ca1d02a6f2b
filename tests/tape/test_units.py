"""Which units gradient reaches, against every element looked at."""

from __future__ import annotations

import pytest
import torch

from evenflow.tape.units import Units


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
