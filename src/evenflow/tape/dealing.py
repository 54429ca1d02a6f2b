"""Was a tensor viewed in a shape that gives one axis the memory of another, within a sample?

`view` and `reshape` keep the order of memory. Where a result's axes are those of its argument in
another order (some of them joined), a transpose was meant: [N, H, T, d] as [N, T, H·d] makes steps
of heads, [N, K, H, W] as [N·H·W, K] pixels of classes, [N, H, W, 3] as [N, 3, H, W] colours of
rows. Read from shapes alone.
"""

from __future__ import annotations

import itertools
import math

from .meant import DEALING
from .retrace import Retrace, RetracedStep, Slot

Shape = tuple[int, ...]
#: What an attention's output may pass through and still be heads by steps, and what lies between a
#: view and the layer that reads its steps in time.
_ATTENDED = frozenset({"dropout", "contiguous", "clone", "to", "float"})
_BETWEEN = ("linear", "activation", "dropout", "norm", "other")
_PRODUCT = frozenset({"matmul", "bmm", "einsum"})


def dealt(retrace: Retrace) -> list[tuple[int, str, float]]:
    """The sites behind which such a view stands, each as ("dealt", 1)."""
    found = {
        step.site
        for at, step in enumerate(retrace.steps)
        if step.name in DEALING and step.site is not None and _dealt(retrace, at)
    }
    return [(site, "dealt", 1.0) for site in sorted(found)]


def _dealt(retrace: Retrace, at: int) -> bool:
    before, after = within(retrace.steps[at].before, retrace.steps[at].after)
    if len(before) > 5 or len(after) > 5 or not out_of_order(before, after):
        return False
    sure = len(after) == len(before) or after[0] in before  # steps of whatever was joined
    if sure and not nested(before, after):
        return True
    # An axis may also have been split and its parts joined to their neighbours, as where two
    # frames of speech are stacked to one, and what is last may be a length of the script's own
    # (capsules of 8): only who made or reads the axes tells.
    return (
        _heads(retrace, at, before, after)
        or _steps_in_time(retrace, at, before)
        or _classes(retrace, at)
    )


def within(before: Shape, after: Shape) -> tuple[Shape, Shape]:
    """Both shapes without the leading axes that they share, and without axes of length 1; a first
    axis that was joined to the next, or split, is taken apart first. Where the first axes have
    nothing to do with each other (`mixing` asks about these): none."""
    a, b = [n for n in before if n != 1], [n for n in after if n != 1]
    if a and b and a[0] != b[0]:
        if b[0] % a[0] == 0:
            b = [a[0], b[0] // a[0], *b[1:]]
        elif a[0] % b[0] == 0:
            a = [b[0], a[0] // b[0], *a[1:]]
        else:
            return (), ()
    while a and b and a[0] == b[0]:
        del a[0], b[0]
    return tuple(a), tuple(b)


def out_of_order(before: Shape, after: Shape) -> bool:
    """Whether the axes after are those before in another order, some of them joined."""
    if len(after) < 2 or len(after) > len(before) or _starts(after) <= _starts(before):
        return False  # neighbours were joined, and nothing else
    for where in itertools.product(range(len(after)), repeat=len(before)):
        joined = [1] * len(after)
        for n, place in zip(before, where, strict=True):
            joined[place] *= n
        if tuple(joined) == after:
            return True
    return False


def nested(before: Shape, after: Shape) -> bool:
    """Whether splitting axes and joining neighbours, in order, also leads there: all products of
    leading axes divide one another."""
    starts = sorted(_starts(before) | _starts(after))
    return all([m % n == 0 for n, m in itertools.pairwise(starts)])


def _starts(shape: Shape) -> set[int]:
    """Products of its leading axes."""
    return {math.prod(shape[:i]) for i in range(1, len(shape) + 1)}


def _heads(retrace: Retrace, at: int, before: Shape, after: Shape) -> bool:
    """Whether an attention gave heads by steps, and steps are to be the first axis again."""
    if len(before) != 3 or after != (before[1], before[0] * before[2]):
        return False
    at = _maker(retrace, at)
    while at >= 0 and retrace.steps[at].name in _ATTENDED:
        at = _maker(retrace, at)
    if at < 0:
        return False
    step = retrace.steps[at]
    if step.kind == "attention":
        return True
    made = [s.kind for s in _makers(retrace, step, 3)]
    return step.name in _PRODUCT and "softmax" in made


def _maker(retrace: Retrace, at: int) -> int:
    """The step that made the first argument of a step; -1 if none did."""
    slots = _slots(retrace.steps[at])
    made = [i for i, s in enumerate(retrace.steps[:at]) if slots and slots[0] in s.outs]
    return made[-1] if made else -1


def _makers(retrace: Retrace, step: RetracedStep, deep: int) -> list[RetracedStep]:
    """What made the arguments of a step, dropout and the like looked through."""
    slots = set(_slots(step))
    made = [s for s in retrace.steps if slots.intersection(s.outs)]
    if deep:
        made += [m for s in made if s.name in _ATTENDED for m in _makers(retrace, s, deep - 1)]
    return made


def _slots(step: RetracedStep) -> list[int]:
    return [a.number for a in (*step.args, *step.kwargs.values()) if type(a) is Slot]


def _steps_in_time(retrace: Retrace, at: int, before: Shape) -> bool:
    """Whether maps of three axes become what a recurrent layer reads. (Two: frames are stacked.)"""
    if len(before) < 3:
        return False
    known = set(retrace.steps[at].outs)
    for step in retrace.steps[at + 1 :]:
        if known.intersection(_slots(step)):
            if step.kind == "recurrent":
                return True
            if step.kind in _BETWEEN:
                known.update(step.outs)
    return False


def _classes(retrace: Retrace, at: int) -> bool:
    """Whether a loss is given the result, and whole numbers, which name its second axis."""
    step = retrace.steps[at]
    for pair in retrace.pairs:
        named = not pair.target.is_floating_point() and pair.target.dim() == len(pair.shape) - 1
        if named and pair.slot in step.outs:
            return True
    return False
