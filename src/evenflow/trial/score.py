"""How good a run was, and whether one treatment is better than none: plain statistics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .job import Outcome

#: A score at a horizon is the mean loss over this last share of it (and at least so many steps):
#: long enough to even out batches, short enough not to average the start in.
TAIL, FEWEST = 0.2, 5
#: Losses that differ by less, relatively, at every step are of the same training.
ALIKE = 1e-3


def loss_at(outcome: Outcome, horizon: int = 0) -> float | None:
    """Mean training loss over the last fifth of the first `horizon` steps (0: of all steps).

    None, which is below everything, if the run broke off before, or the loss was not finite there
    or is not known.
    """
    if outcome.ended in ("refused", "killed"):
        return None
    reached = outcome.steps
    if horizon and reached < horizon and outcome.ended != "finished":
        return None  # it crashed, or was too slow to get there
    if outcome.ended == "error" and (not horizon or reached < horizon):
        return None
    end = min(horizon, reached) if horizon else reached
    begin = end - max(FEWEST, math.ceil(TAIL * end))
    tail = [v for s, v in zip(outcome.loss_steps, outcome.losses, strict=True) if begin <= s < end]
    if not tail or not all(map(math.isfinite, tail)):
        return None
    return sum(tail) / len(tail)


def first_loss(outcome: Outcome) -> float | None:
    """The loss before the first update; None if not finite or not known."""
    value = outcome.losses[0] if outcome.losses else math.nan
    return value if math.isfinite(value) else None


def unlearned(outcome: Outcome) -> float:
    """Mean loss over the whole run as a share of its first: the smaller, the sooner it learned.

    Of trainings that end alike the one that got there early, and did not lose on the way what it
    had gained, has steps to spare on another seed.
    Infinite where the loss is not known throughout.
    """
    start = first_loss(outcome)
    if start is None or start <= 0 or not all(map(math.isfinite, outcome.losses)):
        return math.inf
    return sum(outcome.losses) / len(outcome.losses) / start


def better(a: float | None, b: float | None, larger: bool) -> bool:
    """Is a better than b? None is below everything, and not better than itself."""
    if a is None:
        return False
    return b is None or (a > b if larger else a < b)


def order(value: float | None, larger: bool) -> tuple[bool, float]:
    """A key by which sorting puts the best first and None last."""
    return (True, 0.0) if value is None else (False, -value if larger else value)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds with its 95 % t-interval (None where a seed gave no number).

    `low` and `high` are None with fewer than two seeds.
    """

    mean: float | None
    per_seed: tuple[float | None, ...]
    low: float | None = None
    high: float | None = None


def estimate(values: Sequence[float | None]) -> Estimate:
    """Student's t over the seeds; a missing value makes the mean missing, too."""
    kept = [v for v in values if v is not None]
    if not kept or len(kept) < len(values):
        return Estimate(None, tuple(values))
    n = len(kept)
    mean = math.fsum(kept) / n
    if n < 2:
        return Estimate(mean, tuple(values))
    from scipy.special import stdtrit  # type: ignore[import-untyped, unused-ignore]

    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in kept) / (n - 1))
    reach = float(stdtrit(n - 1, 0.975)) * spread / math.sqrt(n)
    return Estimate(mean, tuple(values), mean - reach, mean + reach)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Treated against untreated, seed by seed.

    Attributes:
        wins, losses: seeds on which the treated run was better, and worse.
        gain: treated minus untreated, positive = better, over the seeds where both gave a number.
        proven: better on every seed, and the 95 % interval of the paired difference excludes 0
            (where the untreated run gave no number at all: better on each of two or more seeds).
    """

    wins: int
    seeds: int
    gain: Estimate
    proven: bool
    losses: int = 0

    @property
    def ahead(self) -> bool:
        """Better on more seeds than worse."""
        return self.wins > self.losses


def compare(
    before: Sequence[float | None], after: Sequence[float | None], larger: bool
) -> Comparison:
    """Paired by seed; of unequal lengths the shorter counts."""
    pairs = list(zip(before, after, strict=False))
    wins = sum(better(a, b, larger) for b, a in pairs)
    losses = sum(better(b, a, larger) for b, a in pairs)
    sign = 1.0 if larger else -1.0
    gains = [sign * (a - b) for b, a in pairs if a is not None and b is not None]
    gain = estimate(gains)
    every = bool(pairs) and wins == len(pairs) and len(pairs) > 1
    sure = not gains or (gain.low is not None and gain.low > 0)
    if len(gains) == 1:
        sure = len(pairs) > 1  # of all other seeds the untreated run gave no number
    return Comparison(wins, len(pairs), gain, every and sure, losses)


def alike(one: Sequence[float], other: Sequence[float]) -> bool:
    """Are two loss curves the same but for rounding, which training magnifies?"""
    pairs = zip(one, other, strict=False)
    same = len(one) == len(other) > 0
    return same and all(math.isclose(a, b, rel_tol=ALIKE) for a, b in pairs)
