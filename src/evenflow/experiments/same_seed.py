"""7. Same seed, same loss: what is not reproducible, and from which operation on."""

from __future__ import annotations

import math
from typing import Any

from ..lang import N_
from .base import Lab, failed, passed, unknown
from .bench import Change
from .result import Experiment, Tested

#: Losses that differ by less than this share differ by the order of additions.
ROUNDING = 1e-5
#: Where bits differ and losses do not, so many more runs.
MORE = 3


def test(lab: Lab) -> Tested:
    """The first step twice from the same random state; losses, the bits of each operation's output
    and of each gradient are held against each other. Differences above 1e-5 of the loss are a
    fault: something draws from a source that no seed sets (the clock, os.urandom, a generator
    seeded anew). Smaller ones are the order of additions on several threads or a GPU.
    """
    runs = [lab.bench.run(Change(), 1, ("ops",)) for _ in range(2)]
    if any(run.ended != "done" for run in runs):
        bad = next(run for run in runs if run.ended != "done")
        return unknown(bad.ended, names=(bad.why,))
    one, two = runs
    for _ in range(MORE):  # two draws of the clock may be close by chance
        if one.figures["ops"] != two.figures["ops"] and _same(*one.losses[:1], *two.losses[:1]):
            more = lab.bench.run(Change(), 1, ("ops",))
            two = more if more.ended == "done" else two
    told: dict[str, Any] = {"first": one.losses[0], "second": two.losses[0]}
    told["operations"] = len(one.figures.get("ops", ()))
    pairs = zip(one.figures["ops"], two.figures["ops"], strict=False)
    where = next((k for k, (a, b) in enumerate(pairs) if tuple(a) != tuple(b)), None)
    grads = [
        name
        for name, value in one.figures.get("gradients", {}).items()
        if two.figures.get("gradients", {}).get(name) != value
    ]
    if where is None and not grads and _same(one.losses[0], two.losses[0], 0.0):
        return passed("same", **told)
    if where is not None:
        told["at"] = where
    name = one.figures["ops"][where][0] if where is not None else ""
    if _same(one.losses[0], two.losses[0]):
        return passed("rounding", names=(name or "backward",), **told)
    return failed("differs" if name else "differs-later", names=(name,), **told)


def _same(a: float, b: float, share: float = ROUNDING) -> bool:
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return a == b or abs(a - b) <= share * max(abs(a), abs(b))


EXPERIMENT = Experiment(
    7,
    "same-seed",
    N_("same seed, same loss"),
    {
        "same": N_("Loss, {operations} operations and all gradients are equal to the bit."),
        "rounding": N_("Equal but for rounding, from {names} on."),
        "differs": N_(
            "From one random state the loss is {first}, then {second}: they part at operation "
            "{at}, {names}."
        ),
        "differs-later": N_("From one random state the loss is {first}, then {second}."),
    },
    {
        "differs": N_("Draw from torch's, NumPy's or Python's generator, which a seed sets."),
        "differs-later": N_("Draw from torch's, NumPy's or Python's generator, which a seed sets."),
    },
    test,
)
