"""Which treatments are tried together, and at which learning rates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..schema.treatment import Treatment, text

Candidate = tuple[Treatment, ...]

#: The learning-rate ladder: by decades first, then by half decades around the best.
DECADES = (0.1, 0.01, 0.001, 0.0001)
FINER = (10**-0.5, 10**0.5)
RATE = "lr"
#: What helps many a treatment that lets a signal through; tried on top of the best.
COMPANION = Treatment("clip", "norm:1.0", reason="bounds the steps of a network made sensitive")


def rescaled(candidate: Candidate, factor: float) -> Candidate:
    """The same at `factor` times its learning rate, which may be "x0.1" or a rate by itself."""
    rest = tuple(t for t in candidate if t.kind != RATE)
    value = next((t.value for t in candidate if t.kind == RATE), "x1")
    times = value.startswith("x")
    rate = float(value.lstrip("x")) * factor
    if times and abs(rate - 1.0) < 1e-3:
        return rest
    said = f"{'x' if times else ''}{rate:.3g}"
    return (*rest, Treatment(RATE, said, reason="found on the learning-rate ladder"))


def base(candidate: Candidate) -> str:
    """Its text without the learning rate: rungs of one ladder have the same."""
    return text(t for t in candidate if t.kind != RATE)


def union(a: Candidate, b: Candidate) -> Candidate | None:
    """Both together, learning rate last; None where they change the same thing."""
    kinds = [t.kind for t in (*a, *b)]
    if len(set(kinds)) < len(kinds):
        return None
    both = (*a, *b)
    return (*(t for t in both if t.kind != RATE), *(t for t in both if t.kind == RATE))


def combinations(ranked: Sequence[Candidate], most: int) -> list[Candidate]:
    """Unions of the best, best first: each pair among the first four, then the companion."""
    found: dict[frozenset[Treatment], Candidate] = {}
    tops = ranked[:4]
    pairs = sorted(((i, j) for i in range(len(tops)) for j in range(i + 1, len(tops))), key=sum)
    tried = [union(tops[i], tops[j]) for i, j in pairs]
    with_companion = [union(c, (COMPANION,)) for c in tops[:2]]
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
