"""From a run or a forecast to the treatments that promise to mend it. No torch."""

from __future__ import annotations

import os
from typing import Any

from .diagnosis import diagnose, facts_of
from .schema import Finding, Run, Treatment
from .store import load
from .treatments import Course, Facts, Refused, rank
from .treatments import courses as ranked_courses


def prescribe(
    run: Run | str | os.PathLike[str] | Any, refused: list[Refused] | None = None
) -> list[Treatment]:
    """Treatments for what is wrong, most promising first, each with its reason and codes.

    Pure: nothing is changed and nothing is tried; `evenflow cure` proves them. A healthy run
    gives []. Some only work together: see `courses`.

    Args:
        run: a `Run`, a run file's path, or a `Forecast`.
        refused: a list to which `Refused(treatment, reason)` are appended: what the findings call
            for, but would do harm in this network.

    Raises:
        ValueError: the file cannot be judged.
    """
    findings, facts = _read(run)
    found, not_given = rank(findings, facts)
    if refused is not None:
        refused.extend(not_given)
    return found


def courses(
    run: Run | str | os.PathLike[str] | Any, refused: list[Refused] | None = None
) -> list[Course]:
    """As `prescribe`, but treatments that belong together stay together: what a trial tries."""
    findings, facts = _read(run)
    found, not_given = ranked_courses(findings, facts)
    if refused is not None:
        refused.extend(not_given)
    return found


def _read(run: Any) -> tuple[list[Finding], Facts]:
    if isinstance(run, (str, os.PathLike)):
        run = load(run)
    if isinstance(run, Run):
        return diagnose(run), facts_of(run)
    return list(run.findings), facts_of(run.run)  # a Forecast
