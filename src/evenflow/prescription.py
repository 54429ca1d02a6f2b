"""From a run or a forecast to the treatments that promise to mend it. No torch."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from .diagnosis import diagnose, facts_of
from .schema import Finding, Run, Treatment
from .store import load
from .treatments import Refused, courses


def prescribe(
    run: Run | str | os.PathLike[str] | Any, refused: list[Refused] | None = None
) -> list[Treatment]:
    """Treatments for what is wrong, most promising first, each with its reason and codes.

    Pure: nothing is changed and nothing is tried; `evenflow cure` proves them. A healthy run
    gives [].

    Args:
        run: a `Run`, a run file's path, or a `Forecast`.
        refused: a list to which `Refused(treatment, reason)` are appended: what the findings call
            for, but would do harm in this network.

    Raises:
        ValueError: the file cannot be judged.

    >>> import tempfile, torch, evenflow
    >>> folder, model = tempfile.TemporaryDirectory(), torch.nn.Linear(2, 1)
    >>> with evenflow.watch(model, run=f"{folder.name}/run.evenflow", every=1) as watch:
    ...     model(1000.0 * torch.arange(8.0).reshape(4, 2)).square().mean().backward()
    >>> first = evenflow.prescribe(watch.path)[0]
    >>> str(first), first.codes
    ('input=standardise', ('EF501',))
    >>> folder.cleanup()
    """
    if isinstance(run, (str, os.PathLike)):
        run = load(run)
    if isinstance(run, Run):
        findings: Iterable[Finding] = diagnose(run)
    else:  # a Forecast
        findings, run = run.findings, run.run
    found, not_given = courses(findings, facts_of(run))
    if refused is not None:
        refused.extend(not_given)
    return list(dict.fromkeys(t for course in found for t in course.treatments))
