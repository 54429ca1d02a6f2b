"""A network is looked at before it is trained, and born anew where it would not learn."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ..forecast import preflight
from ..schema import Finding, Severity
from .network import NetworkShape, build
from .outcome import Applied
from .starting import Init, start_


@dataclass(frozen=True, slots=True)
class Born:
    """A network with its start, what preflight still sees in it, and what was changed for it."""

    net: nn.Sequential
    shape: NetworkShape
    findings: tuple[Finding, ...] = ()
    applied: tuple[Applied, ...] = ()


def born(
    shape: NetworkShape, init: Init, x_BI: Tensor, dtype: torch.dtype, seed: int, heal: bool
) -> Born:
    """Build, start, and (with `heal`) foresee on the rows x; another start where it is sick.

    Starts are tried in this order until preflight finds no error: as asked; the automatic one;
    the automatic one with ReZero skips, at which every depth is the identity.
    """
    why = ""
    first: Born | None = None
    skipping = replace(shape, residual="rezero")
    starts = [(shape, init, "init="), (shape, "auto", "init="), (skipping, "auto", "rezero; init=")]
    for this, how, treatment in starts[: 3 if shape != skipping else 2]:
        net = build(this).to(device=x_BI.device, dtype=dtype)
        drawn = start_(net, this, how, x_BI, seed)
        applied = (Applied(treatment + drawn, 0, why),) if first else ()
        made = Born(net, this, _foreseen(net, this, x_BI) if heal and shape.hidden else (), applied)
        wrong = [f for f in made.findings if f.severity == Severity.error]
        if not wrong:
            return made
        first = first or made
        why = why or f"{wrong[0].code} {wrong[0].name} was foreseen: {wrong[0].message}"
    assert first is not None
    return first


def _foreseen(net: nn.Sequential, shape: NetworkShape, x_BI: Tensor) -> tuple[Finding, ...]:
    """Preflight's findings. What ReZero starts with is its design: a branch that is off."""
    found = preflight(net, (x_BI,), advise=False).findings
    closed = _CLOSED if shape.residual == "rezero" else ()
    return tuple(f for f in found if f.code not in closed)


#: What a branch that starts at 0 shows: its inner gradients are exactly 0 at the first step.
_CLOSED = frozenset({"EF101", "EF104", "EF301", "EF603"})
