"""Weights pulled towards 0: added to the gradients right before the optimizer steps."""

from __future__ import annotations

from ...lang import _
from ...treatments import Parsed
from ..editing import Editing
from ..optimizer_call import number
from ..step_place import StepPlace
from .clipping import above_step

_PULL = '''
def pull_weights(parameters, strength):
    """Add the gradient of {penalty} to that of each matrix."""
    with torch.no_grad():
        for p in parameters:
            if p.grad is not None and p.dim() >= 2:
                p.grad.add_({pull}, alpha=strength)
'''


def shrink(editing: Editing, p: Parsed) -> None:
    """l2: λw on every gradient of a matrix; l1: λ sign(w). Biases and gains are left alone, which
    `weight_decay=` would not do; AdamW's decay would not pass through the gradient at all."""
    made, first = editing.optimizers(), p.entry.kind == "l1"
    template = _PULL.format(
        penalty="strength * |w|" if first else "strength / 2 * w**2",
        pull="p.sign()" if first else "p",
    )

    def line(place: StepPlace) -> str:
        function = editing.names(place.file).function(template, place.statement)
        return f"{function}({place.parameters(made)}, {number(p.value)})"

    above_step(editing, p, line, _("weights pulled towards 0 before each step"))
