"""Which treatments are tried together, and at which learning rates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..schema import Treatment, treatment_text

Candidate = tuple[Treatment, ...]

#: The learning-rate ladder: by decades first, then by half decades around the best.
DECADE, HALF = 10.0, 10**0.5
#: So many decades below the script's own rate, and above, no further.
LOWEST, HIGHEST = 6, 3
RATE, DECAY, OPTIMIZER = "lr", "decay", "optimizer"
#: Tailored activations come with orthogonal weights: asking for these again only draws others.
TAILORED, ORTHOGONAL = ("tailored", "auto"), ("init", "orthogonal")
#: What helps many a treatment that lets a signal through; tried on top of the best.
COMPANION = Treatment("clip", "norm:1.0", reason="bounds the steps of a network made sensitive")


def rescaled(candidate: Candidate, factor: float) -> Candidate:
    """The same at `factor` times its learning rate.

    That is of the form "x0.1" (of the script's), a rate by itself, or the rate of an optimizer put
    in the script's place ("adam:0.001"), where "lr" has no say; one without a rate stays as it is.
    """
    rest = tuple(t for t in candidate if t.kind != RATE)
    if any(t.kind == OPTIMIZER for t in candidate):
        return tuple(_sped(t, factor) for t in rest)
    value = next((t.value for t in candidate if t.kind == RATE), "x1")
    times = value.startswith("x")
    rate = float(value.lstrip("x")) * factor
    if times:  # on the grid of half decades: x0.316 twice is x0.1, and not x0.0999
        rate = HALF ** round(math.log(rate, HALF))
        if rate == 1.0:
            return rest
    said = f"{'x' if times else ''}{rate:.3g}"
    return (*rest, Treatment(RATE, said, reason="found on the learning-rate ladder"))


def _sped(t: Treatment, factor: float) -> Treatment:
    name, colon, rate = t.value.partition(":")
    if t.kind != OPTIMIZER or not colon:
        return t
    return replace(t, value=f"{name}:{float(rate) * factor:.3g}")


def decayed(candidate: Candidate, steps: int) -> Candidate:
    """The same with a rate that falls to nearly nothing over the `steps` of the whole training."""
    if steps < 2 or any(t.kind == DECAY for t in candidate):
        return candidate
    rest = tuple(t for t in candidate if t.kind != RATE)
    fall = Treatment(DECAY, str(steps), reason="lets what a large rate has learned settle")
    return (*rest, fall, *(t for t in candidate if t.kind == RATE))


def steady(candidate: Candidate) -> Candidate:
    """The same without that fall."""
    return tuple(t for t in candidate if t.kind != DECAY)


def neighbours(best: Candidate, steps: int) -> list[Candidate]:
    """As it is, then with a falling rate, half a decade lower and higher."""
    falling = decayed(best, steps)
    return [steady(best), *(rescaled(falling, f) for f in (1 / HALF, HALF))]


def base(candidate: Candidate) -> str:
    """Its text without any learning rate: rungs of one ladder have the same."""
    kept = (t for t in candidate if t.kind not in (RATE, DECAY))
    bare = (replace(t, value=t.value.partition(":")[0]) if t.kind == OPTIMIZER else t for t in kept)
    return treatment_text(bare)


def change(candidate: Candidate) -> tuple[int, float]:
    """How much it changes: treatments, then decades between its rate and the script's own.

    Of equals the smaller change is preferred: a rate far off lies nearer to where training breaks.
    """
    times = (t.value[1:] for t in candidate if t.kind == RATE and t.value.startswith("x"))
    return len(candidate), max((abs(math.log10(float(x))) for x in times), default=0.0)


def hot(candidate: Candidate) -> bool:
    """Is its rate raised, and to the very end? Such a training may break down in its last steps."""
    raised = any(t.kind == RATE and t.value[0] == "x" and float(t.value[1:]) > 1 for t in candidate)
    return raised and not any(t.kind == DECAY for t in candidate)


def union(a: Candidate, b: Candidate) -> Candidate | None:
    """Both together, learning rate last; None where they change the same thing."""
    both = (*a, *b)
    kinds = [RATE if t.kind == OPTIMIZER else t.kind for t in both]
    if len(set(kinds)) < len(kinds) or {TAILORED, ORTHOGONAL} <= {(t.kind, t.value) for t in both}:
        return None
    return (*(t for t in both if t.kind != RATE), *(t for t in both if t.kind == RATE))


def combinations(ranked: Sequence[Candidate], most: int, companion: bool = True) -> list[Candidate]:
    """Unions of the best, best first: each pair among the first four, and the companion."""
    found: dict[frozenset[Treatment], Candidate] = {}
    tops = ranked[:4]
    pairs = sorted(((i, j) for i in range(len(tops)) for j in range(i + 1, len(tops))), key=sum)
    tried = [union(tops[i], tops[j]) for i, j in pairs]
    with_companion = [union(c, (COMPANION,)) for c in tops[:2] if companion]
    for candidate in [*with_companion[:1], *tried, *with_companion[1:]]:
        if candidate is not None:
            found.setdefault(frozenset(candidate), candidate)
    known = {frozenset(c) for c in ranked}
    return [c for key, c in found.items() if key not in known][:most]


def spread(ranked: Iterable[Candidate], most: int, each: int = 2) -> list[Candidate]:
    """The best `most`, at most `each` of one ladder: rungs of one must not crowd out the rest."""
    taken: list[Candidate] = []
    count: dict[str, int] = {}
    for candidate in ranked:
        name = base(candidate)
        if count.get(name, 0) < each and len(taken) < most:
            count[name] = count.get(name, 0) + 1
            taken.append(candidate)
    return taken
