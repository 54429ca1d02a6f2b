"""What a ledger holds: the way from the loss back to one site, factor by factor.

Every ‖δ‖ is a 2-norm over all elements of dL/d(output), so it scales with the loss: with a mean
over the batch it falls like 1/√B, with a sum it grows like √B. Gains are ratios and do neither.
"""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..lang import _
from ..network import by_key
from ..schema import Where

#: Branches that cancel down to this share of their sizes have no reliable shares
#: (‖Σδ_k‖ <= 1e-3 Σ‖δ_k‖: rounding of float32 inputs is then of the order of 1e-4 of the shares).
CANCELLED = 1e-3

#: Below it float32 is subnormal: a run file keeps float32, and so do most models.
COARSE = 1.1754944e-38


def coarse(name: str) -> str:
    """A note on a δ that rounding has spoilt."""
    text = _("from {name} on δ is smaller than the smallest normal number: gains there are coarse")
    return text.format(name=name)


def decades(sent: float, received: float) -> float:
    """log10(sent / received); -inf when nothing is left, NaN when nothing came."""
    if math.isnan(sent) or math.isnan(received) or received == 0:
        return math.nan
    if sent == 0:
        return -math.inf
    if math.isinf(sent) or math.isinf(received):
        return math.nan
    return math.log10(sent) - math.log10(received)  # not of the ratio: that may underflow


def conv_scale(size: float, shape: Sequence[int], behind: Sequence[int] | None) -> float | None:
    """log10 of ‖W‖_F/√n_out of a convolution, of its output's shape; a transposed one sends each
    pixel of δ to S_in/S_out of its window (`behind`: the shape of its input)."""
    if len(shape) < 3:
        return None
    scale = math.log10(size) - 0.5 * math.log10(shape[1])
    if behind and len(behind) == len(shape):
        spread = math.prod(behind[2:]) / math.prod(shape[2:])
        scale += 0.5 * math.log10(min(1.0, spread)) if spread > 0 else 0.0
    return scale


class _Measured(ABC):
    """What an error went through: what came, what was sent on, and the output's size."""

    __slots__ = ()
    received: float
    sent: float
    size: float | None

    @property
    def gain(self) -> float:
        """Decades: log10(sent / received)."""
        return decades(self.sent, self.received)

    @property
    def elasticity(self) -> float | None:
        """‖δ‖·‖x‖: unlike the gain, not changed by rescaling x and unscaling it behind."""
        return None if self.size is None else self.received * self.size


@dataclass(frozen=True, slots=True)
class Factor(_Measured):
    """One op on the way, and what it made of the error that reached it.

    Attributes:
        name: of the op's place ("layers.3", "layers.3 → sigmoid", "cell @5").
        op, kind: as in `Site`.
        received: ‖δ‖ at the op's output.
        sent: ‖δ‖ of what it sent back towards the site.
        parts: decades that add up to the gain, where it can be taken apart. Affine: "scale"
            (‖W‖_F/√n_out, what an isotropic error would gain) and "alignment"; activation:
            "slope" (√Eφ'²) and "rest"; a fused recurrent layer's "flow" over its "flow_steps"
            time steps stands beside the gain and is no part of it.
        size: ‖x‖ of the op's output; None where it is not known.
        weight_elasticity: ‖∂L/∂W‖·‖W‖ of the op's parameters together; None if it has none, or
            they are not known.
        call: how many times the same weights were used before (time step of an unrolled cell).
        towards: the next op on the way.
    """

    name: str
    op: str
    kind: str
    received: float
    sent: float
    parts: Mapping[str, float] = field(default_factory=dict)
    size: float | None = None
    weight_elasticity: float | None = None
    call: int = 0
    towards: str = ""


@dataclass(frozen=True, slots=True)
class Branch:
    """One of several parts that add up to a δ: who sent it, ‖δ_k‖, ⟨δ_k, δ⟩/‖δ‖²."""

    name: str
    size: float
    share: float


@dataclass(frozen=True, slots=True)
class Fork:
    """A place whose output several ops read, so that its δ is a sum.

    Attributes:
        name: of the place.
        received: ‖Σδ_k‖.
        branches: in forward order of their senders.
        sure: are the shares well conditioned (‖Σδ_k‖ > 1e-3 Σ‖δ_k‖)?
    """

    name: str
    received: float
    branches: tuple[Branch, ...]
    sure: bool


@dataclass(frozen=True, slots=True)
class Block(_Measured):
    """What lies between two neighbouring places that every path crosses.

    Its gain is exact. Gains of the ops inside do not add up to it; the shares at the forks
    inside say which way mattered.

    Attributes:
        name: of the op where it begins, nearest the loss.
        received, sent: ‖δ‖ there and at the next place that every path crosses.
        ops: a factor for each edge inside, in backward order.
        forks: in backward order; the last is the block's end.
        towards: the place where it ends.
    """

    name: str
    received: float
    sent: float
    ops: tuple[Factor, ...]
    forks: tuple[Fork, ...]
    towards: str = ""
    call: int = 0
    op: str = "block"
    kind: str = "block"
    parts: Mapping[str, float] = field(default_factory=dict)
    size: float | None = None
    weight_elasticity: float | None = None


class Contribution(NamedTuple):
    """What all factors of one op did together."""

    op: str
    kind: str
    links: int
    decades: float
    parts: Mapping[str, float]  # sums, of those parts that every factor has


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    """The gains from the loss back to one site; they add up exactly.

    Attributes:
        site: where the way ends.
        received: ‖δ‖ at the loss; 1 for a loss that backward was called on.
        sent: ‖δ‖ at the site.
        links: factors, and blocks where the ways part, from the loss back to the site.
        time: for weights used over and over (an unrolled cell), (t, ‖δ‖ that later calls send
            back to call t), latest first; () otherwise.
        source: "live" (read off the graph) or "stored" (from a run's readings).
        run, step: of a stored one.
        notes: what a reader must know, in sentences.
        lines: of the script, by a factor's name: what made it or ran it. {} where not known.
    """

    site: str
    received: float
    sent: float
    links: tuple[Factor | Block, ...]
    time: tuple[tuple[int, float], ...] = ()
    source: str = "live"
    run: str = ""
    step: int | None = None
    notes: tuple[str, ...] = ()
    lines: Mapping[str, tuple[Where, ...]] = field(default_factory=dict)

    @property
    def gain(self) -> float:
        """Decades from the loss to the site: log10 of the whole ratio."""
        return decades(self.sent, self.received)

    @property
    def contributions(self) -> tuple[Contribution, ...]:
        """The links by op, those first that did most of what happened in total."""
        found = []
        for (op, kind), links in by_key(self.links, lambda link: (link.op, link.kind)).items():
            shared: set[str] = set.intersection(*(set(link.parts) for link in links))
            parts: dict[str, float] = {
                part: math.fsum(link.parts[part] for link in links)
                for part in ("scale", "alignment", "slope", "rest")
                if part in shared
            }
            gains = [link.gain for link in links]
            total = math.fsum(gains) if all(map(math.isfinite, gains)) else sum(gains)
            found.append(Contribution(op, kind, len(links), total, parts))
        sign = -1 if self.gain < 0 else 1
        return tuple(
            sorted(
                found, key=lambda c: -math.inf if math.isnan(c.decades) else sign * c.decades,
                reverse=True,
            )
        )  # fmt: skip
