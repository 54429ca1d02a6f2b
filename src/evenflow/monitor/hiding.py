"""Leaving one update out without the optimizer, the script or its log noticing."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor


class Hidden:
    """Gradients taken away for one update, so that it leaves these parameters and their moments
    alone; then given back, since the script may read or log them."""

    def __init__(self) -> None:
        self._taken: list[tuple[Tensor, Tensor]] = []

    def take(self, params: Iterable[Tensor]) -> None:
        for p in params:
            if p.grad is not None:
                self._taken.append((p, p.grad))
                p.grad = None

    def give_back(self) -> None:
        """As they were, where nobody has set another since."""
        taken, self._taken = self._taken, []
        for p, g in taken:
            if p.grad is None:
                p.grad = g
