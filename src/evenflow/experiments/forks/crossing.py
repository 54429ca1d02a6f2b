"""A check-up on its way from the process that made it, as plain values. Free of torch."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from ..result import Checkup

#: The file in which it is left.
FOUND = "checkup.json"


def as_plain(checkup: Checkup) -> dict[str, Any]:
    """What JSON can carry; an experiment by its name."""
    tested = []
    for one in checkup.tested:
        told = {f.name: getattr(one, f.name) for f in fields(one)}
        tested.append(told | {"evidence": dict(one.evidence), "experiment": one.name})
    return {"name": checkup.name, "seconds": checkup.seconds, "tested": tested}
