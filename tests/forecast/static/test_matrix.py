"""An unseen matrix against a stored one: the same law, forward, backward and reused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evenflow.forecast.static.matrix import RandomMatrix

ROWS, COLUMNS, T = 60, 80, 6


def _chain(times, transposed, x_NT: Tensor) -> Tensor:
    """Statistics of two passes through the same weights and back; what each entry is does not
    matter, that later entries depend on earlier ones does."""
    y = times(x_NT).tanh()
    d = transposed(y)
    z = times(d.tanh() + x_NT)
    e = transposed(z)
    return torch.stack(
        [y.square().mean(), d.square().mean(), z.square().mean(), e.square().mean(),
         (y * z).mean(), (d * e).mean(), (x_NT * d).mean(), (y[:, 0] * y[:, 1]).mean()]
    )  # fmt: skip


@pytest.mark.parametrize("mean", [0.0, 0.02])
def test_the_law_is_that_of_a_stored_gaussian_matrix(mean: float) -> None:
    random = torch.Generator().manual_seed(3)
    x = torch.randn(COLUMNS, T, generator=random, dtype=torch.float64)
    unseen, stored = [], []
    for _ in range(300):
        w = torch.randn(ROWS, COLUMNS, generator=random, dtype=torch.float64) * 0.1 + mean
        stored.append(_chain(lambda v, w=w: w @ v, lambda v, w=w: w.T @ v, x))
        m = RandomMatrix(ROWS, COLUMNS, mean, 0.1, random, torch.float64)
        unseen.append(_chain(m.times, m.transposed_times, x))
    a, b = torch.stack(unseen), torch.stack(stored)
    error = (a.var(0) / len(a) + b.var(0) / len(b)).sqrt()
    assert ((a.mean(0) - b.mean(0)).abs() < 4.5 * error).all()
    assert ((a.std(0) / b.std(0)).log().abs() < 0.25).all()


def test_what_was_revealed_stays_so() -> None:
    m = RandomMatrix(ROWS, COLUMNS, 0.01, 0.1, torch.Generator().manual_seed(0), torch.float64)
    x, d = torch.randn(COLUMNS, T).double(), torch.randn(ROWS, T).double()
    y, g = m.times(x), m.transposed_times(d)
    torch.testing.assert_close(d.T @ y, g.T @ x)  # <d, W x> = <Wᵀ d, x>
    torch.testing.assert_close(m.times(2 * x), 2 * y)
    w = m.stored()
    torch.testing.assert_close(w @ x, y)
    torch.testing.assert_close(w.T @ d, g)
    assert abs(float((w - w.mean()).std()) - 0.1) < 0.01


def test_more_vectors_than_dimensions() -> None:
    m = RandomMatrix(5, 4, 0.0, 1.0, torch.Generator().manual_seed(0), torch.float64)
    x = torch.randn(4, 9).double()
    y = m.times(x)
    w = y @ torch.linalg.pinv(x)
    torch.testing.assert_close(w @ x, y)
    torch.testing.assert_close(m.stored(), w)


def test_weak_signals_are_signals_beside_strong_ones() -> None:
    m = RandomMatrix(ROWS, COLUMNS, 0.0, 0.1, torch.Generator().manual_seed(0))
    x = torch.randn(COLUMNS, 2)
    scale = torch.tensor([1.0, 1e-30])
    y = m.times(x * scale)
    sizes = y.double().square().mean(0).sqrt() / (x * scale).double().square().mean(0).sqrt()
    assert ((sizes - 0.1 * COLUMNS**0.5).abs() < 0.3).all()
    assert not m.times(torch.zeros(COLUMNS, 1)).any()


def test_a_signal_that_overflowed_is_told() -> None:
    m = RandomMatrix(ROWS, COLUMNS, 0.0, 0.1)
    with pytest.raises(ValueError, match="overflows at its initialisation"):
        m.times(torch.full((COLUMNS, 1), float("inf")))
