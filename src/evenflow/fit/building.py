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
    first = _made(shape, init, x_BI, dtype, seed, "")
    if not heal or not shape.hidden:
        return first
    first = _foreseen(first, x_BI)
    wrong = [f for f in first.findings if f.severity == Severity.error]
    if not wrong:
        return first
    why = f"{wrong[0].code} {wrong[0].name} was foreseen: {wrong[0].message}"
    tried: list[tuple[NetworkShape, str]] = [(shape, "init")]
    if shape.residual != "rezero":
        tried.append((replace(shape, residual="rezero"), "rezero"))
    for other, what in tried:
        again = _foreseen(_made(other, "auto", x_BI, dtype, seed, why, what), x_BI)
        if not any(f.severity == Severity.error for f in again.findings):
            return again
    return first


def _made(
    shape: NetworkShape,
    init: Init,
    x_BI: Tensor,
    dtype: torch.dtype,
    seed: int,
    why: str,
    what: str = "",
) -> Born:
    net = build(shape).to(device=x_BI.device, dtype=dtype)
    drawn = start_(net, shape, init, x_BI, seed)
    text = f"rezero; init={drawn}" if what == "rezero" else f"init={drawn}"
    return Born(net, shape, (), (Applied(text, 0, why),) if what else ())


def _foreseen(born: Born, x_BI: Tensor) -> Born:
    """With preflight's findings. What ReZero starts with is its design: a branch that is off."""
    found = preflight(born.net, (x_BI,), advise=False).findings
    if born.shape.residual == "rezero":
        found = tuple(f for f in found if f.code not in _CLOSED)
    return replace(born, findings=found)


#: What a branch that starts at 0 shows: its inner gradients are exactly 0 at the first step.
_CLOSED = frozenset({"EF101", "EF104", "EF301", "EF603"})
