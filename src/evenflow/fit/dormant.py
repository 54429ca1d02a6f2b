"""Hidden units that no training row switches on, drawn anew between two epochs (ReDo).

N rows, I inputs, H units. A rectifier below its kink for every row gets no gradient and stays so.
Whether there are such units is asked in three steps, each only if the one before says "perhaps":
a gradient that is exactly 0 in the last batch, an output of 0 on `LOOK` rows, on all rows. New
units start with outgoing weights 0 (Sokar et al. 2023, arXiv:2302.12902): the loss on the training
data stays the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..activations import find
from ..treatments import treat_
from .network import NetworkShape, ResidualBlock
from .outcome import Applied
from .planning import LOOK
from .stepping import Updater

#: Rows of one forward.
PIECE = 8192
#: x at which an activation that can die gives exactly 0.
OFF = -30.0


def mortal(name: str) -> bool:
    """Can a unit of this activation be off for good: f(x) = 0 far below its kink?"""
    f = find(name).f
    return f is not None and float(f(np.array([OFF]))[0]) == 0.0


@dataclass(frozen=True, slots=True)
class Mortal:
    """The activations of a network that can die, each with its place among the parameters.

    Attributes:
        parts: activation modules between two linear layers.
        biases: of each, the index (in `net.parameters()`) of the first one's bias. Its gradient
            is exactly 0 for a unit that is off on a whole batch.
    """

    net: nn.Sequential
    parts: tuple[nn.Module, ...]
    biases: tuple[int, ...]

    @classmethod
    def of(cls, net: nn.Sequential, shape: NetworkShape) -> Mortal | None:
        """None if there is none, as behind a norm, whose own shift would keep new units off, and
        behind a skip, where what a unit feeds is a sum."""
        places = {id(p): k for k, p in enumerate(q for q in net.parameters() if q.requires_grad)}
        found: list[tuple[nn.Module, int]] = []
        if shape.norm == "none":
            parts = [p for p in net if not isinstance(p, (nn.Dropout, nn.AlphaDropout))]
            names = iter(shape.activations)  # every part but a linear one holds one
            dies = [not isinstance(p, nn.Linear) and mortal(next(names)) for p in parts]
            for before, part, can, after in zip(
                parts, parts[1:], dies[1:], parts[2:], strict=False
            ):
                plain = isinstance(before, nn.Linear) and isinstance(after, nn.Linear)
                if can and plain and not isinstance(part, ResidualBlock):
                    found.append((part, places[id(before.bias)]))
        return cls(net, tuple(p for p, _ in found), tuple(b for _, b in found)) if found else None

    def perhaps(self, grads: Sequence[Tensor]) -> bool:
        """Did a unit get no gradient at all from the last batch?"""
        return any(bool((grads[k] == 0).any()) for k in self.biases)

    def revive_(self, x_NI: Tensor, step: Updater, epoch: int) -> Applied | None:
        """Draw the units anew that are 0 on all rows; None, and nothing touched, if none is."""
        training = self.net.training
        self.net.eval()
        try:
            rows, dead = self._dead(x_NI)
            if not dead:
                return None
            before = [p.detach().clone() for p in step.params]
            try:
                treat_(self.net, None, "revive=0", batch=rows, seed=epoch, keep=False, force=True)
            except ValueError:  # a composed activation: its units cannot be told from outside
                return None
            if all(map(torch.equal, step.params, before)):
                return None
            step.forget(before)
        finally:
            self.net.train(training)
        return Applied(
            "revive=0",
            epoch,
            f"EF202: {dead} hidden units gave 0 on all {len(x_NI)} training rows: drawn anew, "
            "with outgoing weights of 0",
        )

    def _dead(self, x_NI: Tensor) -> tuple[Tensor, int]:
        """Rows on which a unit is off only if it is off on all; and how many such units."""
        few = torch.linspace(0, len(x_NI) - 1, min(len(x_NI), LOOK)).long().to(x_NI.device)
        look = x_NI[few]
        off = [(h == 0).all(0) for h in self._outputs(look)]
        witnesses = [look]
        if len(few) < len(x_NI):
            for piece in torch.split(x_NI, PIECE):
                if not any(bool(mask.any()) for mask in off):
                    break
                for mask, h in zip(off, self._outputs(piece), strict=True):
                    on = (h != 0) & mask
                    alive = on.any(0)
                    witnesses.append(piece[on.to(torch.uint8).argmax(0)[alive]])
                    mask &= ~alive
        return torch.cat(witnesses), sum(int(mask.sum()) for mask in off)

    def _outputs(self, x: Tensor) -> list[Tensor]:
        """What each of the activations gives, [rows, H]."""
        kept: list[Tensor] = []
        hooks = [p.register_forward_hook(lambda _m, _i, out: kept.append(out)) for p in self.parts]
        try:
            with torch.no_grad():
                self.net(x)
        finally:
            for hook in hooks:
                hook.remove()
        return kept
