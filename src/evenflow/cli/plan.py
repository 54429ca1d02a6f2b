"""What `evenflow run` was asked to do."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from ..script import Program


class OnNonfinite(str, enum.Enum):
    """What the guard does when a gradient is NaN or Inf."""

    report = "report"
    skip = "skip"
    stop = "stop"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run, and how to watch it."""

    program: Program
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
    verbose: bool = False
    live: bool = False
    source: bool = True  # are the script's lines to be kept with the run?
    treatments: str = ""  # of evenflow.toml
