"""What `evenflow run` was asked to do."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path


class OnNonfinite(str, enum.Enum):
    """What the guard does when a gradient is NaN or Inf."""

    report = "report"
    skip = "skip"
    stop = "stop"


@dataclass(frozen=True, slots=True)
class Plan:
    """A script or module, what belongs to it, and how to watch it."""

    target: str
    module: bool = False
    args: tuple[str, ...] = ()
    folder: Path = Path()  # where the command was given; a script may change folder
    every: str | int = "auto"
    budget: float = 0.01
    out: Path | None = None
    resume: bool = False
    json: str | None = None
    on_nonfinite: str | None = None
    heal: str = ""
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    quiet: bool = False
    treatments: str = ""  # of evenflow.toml
