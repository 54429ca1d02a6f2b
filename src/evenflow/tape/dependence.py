"""On whose input does the output for one sample, or at one time, depend? Exactly, by a second
backward through a forward that is run again (`retrace`).

    mixed   d(output of sample n) / d(input of sample m) is not 0, m != n
    ahead   d(output at time t) / d(input at t') is not 0, t' > t, where the output is held against
            the input of a later time

and a third from shapes alone: `dealt`, a view that gives one axis the memory of another.

A gradient is no judgement: normalisation by the batch, graphs, tables of all pairs and choices by
index mix samples on purpose, so no gradient is let through these (`meant`); and of what remains
only those ways of mixing are told that are never meant.
"""

from __future__ import annotations

from .dealing import dealt
from .isolation import unheard
from .leaking import ahead
from .mixing import mixed
from .retrace import Retrace, Unplayable, apart
from .scalars import ScalarBuffer


def what_depends(retrace: Retrace, scalars: ScalarBuffer) -> None:
    """Ask both questions of the forward that was followed, and forget it."""
    found: list[tuple[int, str, float]] = []
    try:
        found = dealt(retrace)  # nothing is run for it
        with unheard():
            devices = _devices(retrace)
        with apart(devices, retrace.autocast):
            found += ahead(retrace) or mixed(retrace)
        retrace.wanted = 0
    except Unplayable:
        retrace.wanted -= 1
    except BaseException as e:
        retrace.wanted = 0
        retrace.failed(e)
    finally:
        retrace.forget()
    for site, metric, value in found:
        scalars.add(("site", site, metric, -1), value)


def _devices(retrace: Retrace) -> list[int]:
    return sorted({s.value.device.index or 0 for s in retrace.sources if s.value.is_cuda})
