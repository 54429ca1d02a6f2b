"""Who unscales gradients under a GradScaler: the script, before it clips them, or `step` itself."""

from __future__ import annotations

import torch

from ..tape import ScalarBuffer


class Unscaling:
    """Hears of GradScaler.unscale_ and GradScaler.step.

    Attributes:
        within: does GradScaler.step run? What it unscales it unscales itself.
    """

    def __init__(self) -> None:
        self.within = False
        self._by_script: set[int] = set()  # ids, until the optimizer steps

    def heard(self, optimizer: torch.optim.Optimizer) -> None:
        """unscale_ is about to run."""
        if not self.within:
            self._by_script.add(id(optimizer))

    def note(self, optimizer: torch.optim.Optimizer, scalars: ScalarBuffer) -> None:
        """The optimizer has stepped, sampled."""
        if self.within:
            scalars.add(("step", 0, "unscaled", -1), float(id(optimizer) in self._by_script))

    def over(self, optimizer: torch.optim.Optimizer) -> None:
        """GradScaler.step has run."""
        self.within = False
        self._by_script.discard(id(optimizer))
